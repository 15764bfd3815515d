//! Removes empty folders.

#![no_std]
#![no_main]

use userland::tool::Tool;
use userland::{Arguments, paths, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let tool = Tool::new("rmdir", "rmdir FOLDER…");
    let Some((_, names)) = tool.options(arguments.words(), "") else {
        return tool.wrong_use();
    };
    if names.clone().next().is_none() {
        return tool.wrong_use();
    }
    for name in names {
        tool.check(name, paths::remove_folder(name.as_bytes()));
    }
    tool.status()
}
