//! Does nothing, and ends with status 0. What it takes to become a program is measured with it.

#![no_std]
#![no_main]

use userland::{Arguments, program};

program!(main);

fn main(_: Arguments) -> i32 {
    0
}
