//! Prints its words; -n: without a new line behind them.

#![no_std]
#![no_main]

use userland::stream::Writer;
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let is_open = arguments.words().next() == Some("-n");
    let mut out = Writer::new(1);
    let first = if is_open { 2 } else { 1 };
    let words = (first..).map_while(|place| arguments.get(place));
    for (place, word) in words.enumerate() {
        if place > 0 {
            out.put(b" ");
        }
        out.put(word.to_bytes());
    }
    if !is_open {
        out.put(b"\n");
    }
    i32::from(out.flush().is_err())
}
