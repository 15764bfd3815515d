//! Checks of observing: stops at calls, signals and ends; changed calls and results; memory that is read; who dies when; what is told of processes.

#![no_std]
#![no_main]

mod calls;
mod child;
mod errors;
mod families;
mod information;
mod memory;
mod signals;

use userland::report::Checks;
use userland::{Arguments, program};

program!(main);

fn main(_: Arguments) -> i32 {
    let mut checks = Checks::new("observe");
    calls::run(&mut checks);
    signals::run(&mut checks);
    memory::run(&mut checks);
    families::run(&mut checks);
    errors::run(&mut checks);
    information::run(&mut checks);
    checks.finish()
}
