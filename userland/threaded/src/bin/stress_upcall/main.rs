//! Has upcalls interrupt upcalls: everybody posts to everybody, timers ring, threads block for moments, and the library
//! keeps stacks and slots that the kernel waits for.
//!
//! ```text
//! stress_upcall [ROUNDS | SECONDSs [SEED]]      two rounds unless said; `20s` are twenty seconds
//! ```
//!
//! What must hold: no thread and no event is lost, every stack and every slot comes back, every virtual processor hears
//! what is posted to it, and threads that compute without a call give way to the others.

#![no_std]
#![no_main]

extern crate alloc;

mod rest;
mod storm;
mod timers;

use libsa::runtime::{self, Mode};
use storm::{Kind, Storm};
use threaded::amount::{Amount, amount_and_seed};
use threaded::{processors, table};
use userland::{Arguments, eprintln, println};

libsa::program!(main);

fn main(arguments: Arguments) -> i32 {
    let words = amount_and_seed(&mut arguments.words(), Amount::Rounds(2));
    let Some((amount, seed)) = words else {
        eprintln!("stress_upcall: how many rounds, or seconds (20s), and which seed?");
        return 2;
    };
    if runtime::mode() != Mode::Sa {
        eprintln!("stress_upcall: only LIBSA=sa has upcalls");
        return 2;
    }
    table::begin(format_args!("{} threads at once, seed {seed}", storm::WORKERS));
    let storm = Storm::new();
    let mut wrong = 0;
    for round in amount.rounds() {
        let seed = seed.wrapping_add(round);
        println!("round {}, seed {seed}:", round + 1);
        let parts: [(&str, &dyn Fn() -> _); 6] = [
            ("threads block while all post to all, and timers ring", &|| {
                storm.blow(seed, Kind::default())
            }),
            ("while stacks and slots go back late", &|| {
                storm.blow(seed, Kind { keeps: true, ..Kind::default() })
            }),
            ("while others compute without a call", &|| {
                storm.blow(seed, Kind { computes: true, ..Kind::default() })
            }),
            ("all of that", &|| storm.blow(seed, Kind { keeps: true, computes: true })),
            ("every block has ended, and everything is back", &rest::is_quiet),
            ("every virtual processor hears, and runs threads", &|| {
                rest::all_hear().and_then(|()| processors::all_run_threads())
            }),
        ];
        for (name, part) in parts {
            wrong += i32::from(!table::round(name, part));
        }
    }
    storm.end();
    table::end();
    wrong.min(1)
}
