//! Prints the last lines of files (10, or -n N).

#![no_std]
#![no_main]

use userland::lines::Lines;
use userland::stream::Writer;
use userland::tool::{Tool, counted};
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("tail", "tail [-n N] [FILE…]");
    let Some((count, files)) = counted(arguments.words(), 10) else {
        return tool.wrong_use();
    };
    let mut out = Writer::new(1);
    let Some(mut lines) = tool.check("memory", Lines::new()) else { return tool.status() };
    tool.inputs(files, |input, _| {
        lines.clear();
        let read = lines.read(input);
        let first = lines.count().saturating_sub(count);
        lines.all().skip(first).for_each(|line| {
            out.put(line);
            out.put(b"\n");
        });
        read
    });
    tool.check("output", out.flush());
    tool.status()
}
