//! Prints lines without those that are like the one before; -c: with how many there were.

#![no_std]
#![no_main]

use core::fmt::Write;
use userland::stream::Writer;
use userland::tool::Tool;
use userland::{Arguments, program};

program!(main);

/// Longest line that is compared as a whole.
const LINE_MAX: usize = 4096;

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("uniq", "uniq [-c] [FILE…]");
    let Some((options, files)) = tool.options(arguments.words(), "c") else {
        return tool.wrong_use();
    };
    let mut out = Writer::new(1);
    let mut show = |line: &[u8], count: u64| {
        if count > 0 {
            if options.has('c') {
                let _ = write!(out, "{count:7} ");
            }
            out.put(line);
            out.put(b"\n");
        }
    };
    let (mut last, mut length, mut count) = ([0; LINE_MAX], 0, 0);
    tool.inputs(files, |input, _| {
        let mut line = [0; LINE_MAX];
        while let Some((text, _)) = input.line(&mut line)? {
            if count > 0 && text == &last[..length] {
                count += 1;
                continue;
            }
            show(&last[..length], count);
            last[..text.len()].copy_from_slice(text);
            (length, count) = (text.len(), 1);
        }
        Ok(())
    });
    show(&last[..length], count);
    tool.status()
}
