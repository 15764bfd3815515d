//! Shows bytes as numbers and as text.

#![no_std]
#![no_main]

use core::fmt::Write;
use userland::stream::Writer;
use userland::tool::Tool;
use userland::{Arguments, program};

program!(main);

/// Bytes in a row.
const ROW: usize = 16;

fn show(out: &mut Writer, place: usize, row: &[u8]) {
    // Writing to a writer does not fail at once.
    let _ = write!(out, "{place:08x} ");
    for byte in row {
        let _ = write!(out, " {byte:02x}");
    }
    let _ = write!(out, "{:1$}  |", "", 3 * (ROW - row.len()));
    for &byte in row {
        let shown = if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' };
        let _ = out.write_char(shown);
    }
    let _ = out.write_str("|\n");
}

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("hexdump", "hexdump [FILE…]");
    let mut out = Writer::new(1);
    tool.inputs(arguments.words(), |input, _| {
        let (mut row, mut length, mut place) = ([0; ROW], 0, 0usize);
        loop {
            let bytes = input.bytes()?;
            let count = bytes.len().min(ROW - length);
            row[length..length + count].copy_from_slice(&bytes[..count]);
            length += count;
            input.took(count);
            if length == ROW || (count == 0 && length > 0) {
                show(&mut out, place, &row[..length]);
                place += length;
                length = 0;
            }
            if count == 0 {
                return Ok(());
            }
        }
    });
    tool.check("output", out.flush());
    tool.status()
}
