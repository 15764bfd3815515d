//! Counts lines, words and bytes; -l, -w, -c: only these.

#![no_std]
#![no_main]

use core::fmt::Write;
use userland::stream::Writer;
use userland::tool::Tool;
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("wc", "wc [-lwc] [FILE…]");
    let Some((options, files)) = tool.options(arguments.words(), "lwc") else {
        return tool.wrong_use();
    };
    let has_any = ['l', 'w', 'c'].iter().any(|&letter| options.has(letter));
    let mut out = Writer::new(1);
    let mut show = |counts: [u64; 3], name: &str| {
        for (letter, count) in ['l', 'w', 'c'].into_iter().zip(counts) {
            if options.has(letter) || !has_any {
                let _ = write!(out, "{count:7}");
            }
        }
        let _ = if name == "-" { writeln!(out) } else { writeln!(out, " {name}") };
    };
    let (mut total, mut files_seen) = ([0; 3], 0);
    tool.inputs(files, |input, name| {
        let mut counts = [0; 3];
        let mut is_in_word = false;
        loop {
            let bytes = input.bytes()?;
            if bytes.is_empty() {
                break;
            }
            for byte in bytes {
                counts[0] += u64::from(*byte == b'\n');
                let is_space = byte.is_ascii_whitespace();
                counts[1] += u64::from(!is_space && !is_in_word);
                is_in_word = !is_space;
            }
            let count = bytes.len();
            counts[2] += count as u64;
            input.took(count);
        }
        show(counts, name);
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
        files_seen += 1;
        Ok(())
    });
    if files_seen > 1 {
        show(total, "total");
    }
    tool.status()
}
