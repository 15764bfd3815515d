//! Prints lines that a pattern fits (. any character, * any number of it, ^ the beginning, $ the end).

#![no_std]
#![no_main]

use core::fmt::Write;
use syntax::Expression;
use userland::stream::Writer;
use userland::tool::{Tool, WRONG_USE};
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("grep", "grep [-vcinF] PATTERN [FILE…]");
    let Some((options, mut words)) = tool.options(arguments.words(), "vcinF") else {
        return tool.wrong_use();
    };
    let Some(pattern) = words.next() else { return tool.wrong_use() };
    let expression = Expression::new(pattern.as_bytes(), options.has('F'), options.has('i'));
    let shows_names = words.clone().count() > 1;
    let mut out = Writer::new(1);
    let mut is_found = false;
    tool.inputs(words, |input, name| {
        let mut line = [0; 4096];
        let (mut number, mut found) = (0u64, 0u64);
        while let Some((text, _)) = input.line(&mut line)? {
            number += 1;
            if expression.fits(text) == options.has('v') {
                continue;
            }
            found += 1;
            if options.has('c') {
                continue;
            }
            if shows_names {
                let _ = write!(out, "{name}:");
            }
            if options.has('n') {
                let _ = write!(out, "{number}:");
            }
            out.put(text);
            out.put(b"\n");
            if name == "-" {
                out.flush()?;
            }
        }
        if options.has('c') {
            let _ = writeln!(out, "{found}");
        }
        is_found |= found > 0;
        Ok(())
    });
    match tool.status() {
        0 => i32::from(!is_found),
        _ => WRONG_USE,
    }
}
