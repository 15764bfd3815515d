//! Writes standard input to standard output and to files; -a: at their ends.

#![no_std]
#![no_main]

use abi::files::{O_APPEND, O_CREAT, O_TRUNC, O_WRONLY};
use userland::stream::{Reader, Writer};
use userland::tool::Tool;
use userland::{Arguments, paths, program};

program!(main);

/// Most files, with standard output.
const FILES_MAX: usize = 9;

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("tee", "tee [-a] [FILE…]");
    let Some((options, names)) = tool.options(arguments.words(), "a") else {
        return tool.wrong_use();
    };
    let how = if options.has('a') { O_APPEND } else { O_TRUNC };
    let mut writers: [Option<Writer>; FILES_MAX] = [const { None }; FILES_MAX];
    writers[0] = Some(Writer::new(1));
    if names.clone().count() >= FILES_MAX {
        return tool.wrong_use();
    }
    for (room, name) in writers[1..].iter_mut().zip(names) {
        let opened = paths::open(name.as_bytes(), O_WRONLY | O_CREAT | how);
        *room = tool.check(name, opened).map(Writer::new);
    }
    tool.inputs(core::iter::empty(), |input: &mut Reader, _| {
        loop {
            let bytes = input.bytes()?;
            if bytes.is_empty() {
                return Ok(());
            }
            let count = bytes.len();
            for writer in writers.iter_mut().flatten() {
                writer.put(bytes);
                tool.check("output", writer.flush());
            }
            input.took(count);
        }
    });
    tool.status()
}
