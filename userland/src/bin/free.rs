//! Says how much memory and swap space is free.

#![no_std]
#![no_main]

use abi::calls::Counter;
use userland::{Arguments, println, program, system};

program!(main);

fn main(_: Arguments) -> i32 {
    let kibibytes = |which: Counter| system::counter(which) * 4;
    println!("memory  {:9} KiB free", kibibytes(Counter::FreeFrames));
    let (all, free) = (kibibytes(Counter::SwapSlots), kibibytes(Counter::FreeSwapSlots));
    println!("swap    {free:9} KiB free of {all} KiB");
    0
}
