//! Prints numbers, one in a line.

#![no_std]
#![no_main]

use core::fmt::Write;
use userland::stream::Writer;
use userland::tool::Tool;
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("seq", "seq [FIRST [STEP]] LAST");
    let mut numbers = [0i64; 3];
    let mut count = 0;
    for word in arguments.words() {
        match (numbers.get_mut(count), word.parse()) {
            (Some(room), Ok(number)) => *room = number,
            _ => return tool.wrong_use(),
        }
        count += 1;
    }
    let (first, step, last) = match (count, numbers) {
        (1, [last, ..]) => (1, 1, last),
        (2, [first, last, _]) => (first, 1, last),
        (3, [first, step, last]) if step != 0 => (first, step, last),
        _ => return tool.wrong_use(),
    };
    let mut out = Writer::new(1);
    let mut next = Some(first);
    while let Some(number) = next.filter(|&it| if step > 0 { it <= last } else { it >= last }) {
        let _ = writeln!(out, "{number}");
        next = number.checked_add(step).filter(|_| out.error().is_none());
    }
    tool.check("output", out.flush());
    tool.status()
}
