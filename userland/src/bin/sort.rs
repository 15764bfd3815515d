//! Prints lines in order; -r: the other way round, -n: by number, -u: each once.

#![no_std]
#![no_main]

use userland::lines::Lines;
use userland::stream::Writer;
use userland::tool::{Tool, readable};
use userland::{Arguments, program};

program!(main);

/// The number that a line begins with; 0 if it begins with none.
fn number(line: &[u8]) -> i64 {
    let text = readable(line).trim_start();
    let end =
        text.char_indices().find(|&(place, it)| !it.is_ascii_digit() && (place > 0 || it != '-'));
    text[..end.map_or(text.len(), |(place, _)| place)].parse().unwrap_or(0)
}

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("sort", "sort [-rnu] [FILE…]");
    let Some((options, files)) = tool.options(arguments.words(), "rnu") else {
        return tool.wrong_use();
    };
    let Some(mut lines) = tool.check("memory", Lines::new()) else { return tool.status() };
    tool.inputs(files, |input, _| lines.read(input));
    let by_number = options.has('n');
    lines.sort(|one, other| {
        let order = if by_number { number(one).cmp(&number(other)) } else { one.cmp(other) };
        let order = order.then_with(|| one.cmp(other));
        if options.has('r') { order.reverse() } else { order }
    });
    let mut out = Writer::new(1);
    let mut last = None;
    for line in lines.all() {
        if !options.has('u') || last != Some(line) {
            out.put(line);
            out.put(b"\n");
        }
        last = Some(line);
    }
    tool.check("output", out.flush());
    tool.status()
}
