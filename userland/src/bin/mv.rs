//! Gives files other names, or moves them into a folder.

#![no_std]
#![no_main]

use userland::tool::Tool;
use userland::{Arguments, paths, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    Tool::new("mv", "mv FROM… TO").each_target(arguments.words(), paths::rename)
}
