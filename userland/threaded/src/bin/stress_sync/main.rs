//! Puts everything that threads wait for each other with under contention, and counts what must hold exactly.
//!
//! ```text
//! stress_sync [ROUNDS | SECONDSs [SEED]]      one round unless said; `20s` are twenty seconds
//! LIBSA=mode,processors                       as any program of many threads: see libsa's `runtime`
//! ```
//!
//! Hundreds of threads compute, sleep in the library and block in the kernel, while they hold something and while they do
//! not. That nobody is forgotten shows in that the program ends.

#![no_std]
#![no_main]

extern crate alloc;

mod channels;
mod locks;
mod meetings;
mod own;
mod waiting;

use libsa::thread;
use threaded::activities::Activities;
use threaded::amount::{Amount, amount_and_seed};
use threaded::many::Outcome;
use threaded::table;
use userland::{Arguments, eprintln, println};

libsa::program!(main);

/// Threads of each part; beside each other the parts have fewer.
const THREADS: u64 = 192;
const THREADS_BESIDE: u64 = 48;
/// What each of them does so often.
const STEPS: u64 = 10;

/// What a part has to do.
pub struct Work<'a> {
    /// So many threads.
    pub threads: u64,
    /// What each of them does so often.
    pub steps: u64,
    /// For their choices.
    pub seed: u64,
    /// What they do besides.
    pub activities: &'a Activities,
}

type Part = fn(&Work) -> Outcome;

const PARTS: [(&str, Part); 10] = [
    ("mutexes, whose holders are alone", locks::mutexes),
    ("locks for readers or one writer", locks::readers_and_writers),
    ("condition variables: turns, with deadlines", waiting::turns),
    ("condition variables: each takes what one brings", waiting::deliveries),
    ("semaphores, never above their units", waiting::semaphores),
    ("threads that wake each other", waiting::wakers),
    ("barriers, and nobody is a meeting ahead", meetings::barriers),
    ("what is done once", meetings::once),
    ("channels, from which nothing is lost", channels::channels),
    ("scopes within scopes, each thread with its own", own::scopes),
];

fn main(arguments: Arguments) -> i32 {
    let words = amount_and_seed(&mut arguments.words(), Amount::Rounds(1));
    let Some((amount, seed)) = words else {
        eprintln!("stress_sync: how many rounds, or seconds (20s), and which seed?");
        return 2;
    };
    table::begin(format_args!("{THREADS} threads at once, seed {seed}"));
    let activities = Activities::new();
    let mut wrong = 0;
    for round in amount.rounds() {
        let seed = seed.wrapping_add(round);
        println!("round {}, seed {seed}:", round + 1);
        let work = Work { threads: THREADS, steps: STEPS, seed, activities: &activities };
        for (name, part) in PARTS {
            wrong += i32::from(!table::round(name, || part(&work)));
        }
        let work = Work { threads: THREADS_BESIDE, ..work };
        wrong += i32::from(!table::round("all of that beside each other", || beside(&work)));
    }
    activities.end();
    table::end();
    wrong.min(1)
}

/// All parts at the same time.
fn beside(work: &Work) -> Outcome {
    thread::scope(|scope| {
        let parts = PARTS.map(|(_, part)| scope.spawn(move || part(work)));
        let mut outcome = Ok(());
        for part in parts {
            let Ok(came) = part.join();
            outcome = outcome.and(came);
        }
        outcome
    })
}
