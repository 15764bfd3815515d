//! Sends a signal (-NAME or -NUMBER) to processes; -l lists them.

#![no_std]
#![no_main]

use userland::{Arguments, program, signal_names};

program!(main);

fn main(arguments: Arguments) -> i32 {
    signal_names::kill(arguments.words(), |_| None)
}
