//! Bodies that attract each other, by many threads and with too little memory: as T. Anderson and others measured it.
//!
//! ```text
//! nbody                                       tables: time by memory, two copies at a time, speed-up
//! nbody --quick                               the same in short
//! nbody BODIES STEPS PERCENT [MICROSECONDS]   one run, with so much memory and so slow a disk, and one to compare with
//! LIBSA=mode,processors                       as any program of many threads: see libsa's `runtime`
//! ```
//!
//! After "Scheduler Activations: Effective Kernel Support for the User-Level Management of Parallelism", ACM Transactions
//! on Computer Systems 10 (1992). The program has the N-body problem's tree in a buffer cache of its own. What is not
//! in it is missed, and a thread that misses a block sleeps in the kernel for a fixed time: theirs slept 50 ms.
//!
//! | file | concept |
//! |---|---|
//! | [`bodies`] | the bodies, how they move, their energy |
//! | [`tree`], [`forces`] | gravity in N log N, by Barnes and Hut |
//! | [`cache`] | the buffer cache |
//! | [`once`] | one run |
//! | [`cell`], [`table`] | runs in children, and what comes of them |

#![no_std]
#![no_main]

extern crate alloc;

mod bodies;
mod cache;
mod cell;
mod forces;
mod once;
mod table;
mod tree;

use once::Run;
use table::Plan;
use userland::{Arguments, eprintln, program};

program!(begin);

/// How long a disk takes unless it is said, in microseconds.
const MISS: u64 = 5000;

const WHOLE: Plan = Plan {
    run: Run { bodies: 1024, steps: 1, percent: 100, miss: MISS },
    percents: &[100, 90, 80, 70, 60, 50, 40],
};

const QUICK: Plan =
    Plan { run: Run { bodies: 512, steps: 1, percent: 100, miss: MISS }, percents: &[100, 40] };

/// What the words ask for.
enum Wish {
    Tables(&'static Plan),
    One(Run),
    Cell(Run, bool),
}

fn wish(arguments: Arguments) -> Option<Wish> {
    let mut words = arguments.words().peekable();
    match words.peek().copied() {
        None => return Some(Wish::Tables(&WHOLE)),
        Some("--quick") => {
            words.next();
            return words.next().is_none().then_some(Wish::Tables(&QUICK));
        }
        _ => {}
    }
    let is_cell = words.next_if_eq(&cell::WORD).is_some();
    let mut numbers = [0, 0, 0, MISS, u64::from(is_cell)];
    let mut count = 0;
    for word in words {
        *numbers.get_mut(count)? = word.parse().ok()?;
        count += 1;
    }
    let [bodies, steps, percent, miss, is_threaded] = numbers;
    let run = Run {
        bodies: usize::try_from(bodies).ok().filter(|count| (2..=1 << 20).contains(count))?,
        steps: usize::try_from(steps).ok().filter(|count| *count <= 1 << 20)?,
        percent: usize::try_from(percent).ok().filter(|percent| (1..=100).contains(percent))?,
        miss: Some(miss).filter(|miss| *miss <= 1_000_000)?,
    };
    match (is_cell, count) {
        (false, 3 | 4) => Some(Wish::One(run)),
        (true, 5) => Some(Wish::Cell(run, is_threaded != 0)),
        _ => None,
    }
}

fn begin(arguments: Arguments) -> i32 {
    match wish(arguments) {
        Some(Wish::Tables(plan)) => table::run(plan),
        Some(Wish::One(_) | Wish::Cell(..)) => libsa::runtime::run(arguments, main),
        None => {
            eprintln!("usage: nbody                                      tables");
            eprintln!("       nbody --quick                              the same in short");
            eprintln!(
                "       nbody BODIES STEPS PERCENT [MICROSECONDS]  one run: with so much memory, and so slow a disk"
            );
            2
        }
    }
}

/// With the library of threads.
fn main(arguments: Arguments) -> i32 {
    match wish(arguments) {
        Some(Wish::One(run)) => once::compare(&run),
        Some(Wish::Cell(run, is_threaded)) => cell::be(&run, is_threaded),
        _ => 2,
    }
}
