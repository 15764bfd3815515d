//! Prints the first lines of files (10, or -n N).

#![no_std]
#![no_main]

use userland::stream::Writer;
use userland::tool::{Tool, counted};
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("head", "head [-n N] [FILE…]");
    let Some((count, files)) = counted(arguments.words(), 10) else {
        return tool.wrong_use();
    };
    let mut out = Writer::new(1);
    tool.inputs(files, |input, _| {
        let mut line = [0; 4096];
        let mut left = count;
        while left > 0 {
            let Some((text, is_whole)) = input.line(&mut line)? else { break };
            out.put(text);
            if is_whole {
                out.put(b"\n");
                left -= 1;
            }
        }
        Ok(())
    });
    tool.check("output", out.flush());
    tool.status()
}
