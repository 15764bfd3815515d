//! Measures, prints a table and reports each value to the harness (`userland::bench`).

#![no_std]
#![no_main]

use userland::{Arguments, bench, eprintln, program};

program!(main);

/// The status after a wrong argument.
const WRONG_USE: i32 = 2;

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let group = words.next();
    if words.next().is_some() || group.is_some_and(|word| word.starts_with('-')) {
        return usage();
    }
    if bench::run(group) { 0 } else { usage() }
}

fn usage() -> i32 {
    eprintln!("usage: bench [GROUP]\nwhere GROUP is one of");
    for group in bench::GROUPS {
        eprintln!("  {}", group.name);
    }
    WRONG_USE
}
