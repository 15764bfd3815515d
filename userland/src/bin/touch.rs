//! Makes files that are not there.

#![no_std]
#![no_main]

use abi::files::{O_CREAT, O_WRONLY};
use userland::tool::Tool;
use userland::{Arguments, files, paths, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("touch", "touch FILE…");
    let names = arguments.words();
    if names.clone().next().is_none() {
        return tool.wrong_use();
    }
    for name in names {
        let made = paths::open(name.as_bytes(), O_WRONLY | O_CREAT).and_then(files::close);
        tool.check(name, made);
    }
    tool.status()
}
