//! Dies in each way in which a program can die by its own fault, and tries what the kernel must
//! refuse.
//!
//! What must hold: each way to die is a function of its own that is not inlined, so that a backtrace
//! names it; what must be refused is judged here, by checks on the report channel.

#![no_std]
#![no_main]

mod bad_numbers;
mod bad_pointers;
mod calls_on_files;
mod calls_on_lwps;
mod calls_on_paths;
mod ways_to_die;

use userland::{Arguments, eprintln, program};
use ways_to_die::WAYS;

program!(main);

/// What is asked for is not known.
const WRONG_USE: i32 = 2;
/// The program should be dead, and is not.
const STILL_ALIVE: i32 = 1;

/// What the kernel must refuse.
type Trial = fn(Arguments) -> i32;
const TRIALS: [(&str, &str, Trial); 2] = [
    ("bad-pointers", "every call that takes pointers, with bad ones", bad_pointers::try_all),
    (
        "bad-numbers",
        "calls that there are none, and high garbage in registers",
        bad_numbers::try_all,
    ),
];

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let (Some(name), None) = (words.next(), words.next()) else { return usage() };
    if let Some((.., run)) = TRIALS.iter().find(|trial| trial.0 == name) {
        return run(arguments);
    }
    let Some(way) = WAYS.iter().find(|way| way.name == name) else { return usage() };
    (way.die)();
    eprintln!("fault: still alive after {name}, which should have been {}", way.signal);
    STILL_ALIVE
}

fn usage() -> i32 {
    eprintln!("usage: fault NAME\nwhere NAME is one of");
    for way in &WAYS {
        eprintln!("  {:20}{:9}{}", way.name, way.signal, way.what);
    }
    eprintln!("or, survived by the program,");
    for (name, what, _) in TRIALS {
        eprintln!("  {name:20}{:9}{what}", "-");
    }
    WRONG_USE
}
