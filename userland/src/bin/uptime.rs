//! Says for how long the system has been up.

#![no_std]
#![no_main]

use abi::calls::Counter;
use userland::{Arguments, clock, println, program, system};

program!(main);

fn main(_: Arguments) -> i32 {
    let seconds = clock::nanoseconds() / clock::SECOND;
    let processors = system::counter(Counter::Processors);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    println!("up {hours}:{minutes:02}:{:02}, {processors} processors", seconds % 60);
    0
}
