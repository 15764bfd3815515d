//! Clears the screen.

#![no_std]
#![no_main]

use userland::{Arguments, print, program};

program!(main);

fn main(_: Arguments) -> i32 {
    print!("\x1b[H\x1b[2J");
    0
}
