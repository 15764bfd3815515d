//! Ends with 0, whatever it is told.

#![no_std]
#![no_main]

use userland::{Arguments, program};

program!(main);

fn main(_: Arguments) -> i32 {
    0
}
