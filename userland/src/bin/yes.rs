//! Prints a line (`y`, or its words) again and again.

#![no_std]
#![no_main]

use userland::stream::Writer;
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let mut out = Writer::new(1);
    loop {
        let mut words = arguments.words().peekable();
        if words.peek().is_none() {
            out.put(b"y");
        }
        while let Some(word) = words.next() {
            out.put(word.as_bytes());
            if words.peek().is_some() {
                out.put(b" ");
            }
        }
        out.put(b"\n");
        if out.error().is_some() {
            return 1;
        }
    }
}
