//! Writes files to standard output, one after the other.

#![no_std]
#![no_main]

use userland::stream::Writer;
use userland::tool::Tool;
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("cat", "cat [FILE…]");
    let mut out = Writer::new(1);
    tool.inputs(arguments.words(), |input, _| {
        loop {
            let bytes = input.bytes()?;
            if bytes.is_empty() {
                return Ok(());
            }
            let count = bytes.len();
            out.put(bytes);
            // Whoever types wants to see every line at once.
            out.flush()?;
            input.took(count);
        }
    });
    tool.status()
}
