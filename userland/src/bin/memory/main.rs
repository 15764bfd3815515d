//! Checks of memory and processes from user mode: what is mapped, protected, copied and inherited;
//! children; arrays of stacks.

#![no_std]
#![no_main]

mod describe;
mod maps;
mod processes;
mod stacks;
mod vectors;

use userland::report::Checks;
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    // A child of one of the checks that has become this program anew.
    if arguments.words().next() == Some("child") {
        return processes::after_execve(arguments);
    }
    let mut checks = Checks::new("memory");
    maps::run(&mut checks);
    processes::run(&mut checks);
    stacks::run(&mut checks);
    vectors::run(&mut checks);
    describe::run(&mut checks);
    checks.finish()
}
