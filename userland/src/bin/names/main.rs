//! Checks of paths, folders and files in memory, from user mode: every call's results and errors.

#![no_std]
#![no_main]

mod calls;
mod contents;
mod lists;
mod paths;
mod status;
mod swap;
mod tree;

use abi::calls::Counter;
use userland::report::Checks;
use userland::system::counter;
use userland::{Arguments, fail, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let mut checks = Checks::new("names");
    let before = resources();
    if arguments.words().next() == Some("swap") {
        swap::run(&mut checks);
    } else {
        paths::run(&mut checks);
        tree::run(&mut checks);
        status::run(&mut checks);
        contents::run(&mut checks);
        lists::run(&mut checks);
    }
    checks.check(format_args!("nothing-is-left"), || {
        let after = resources();
        // A few frames stay with processors and slabs; a few slots with pages of this program's own that have been there.
        if after[0] + 200 < before[0]
            || after[1] + OWN_PAGES < before[1]
            || after[2..] != before[2..]
        {
            fail!("before: {before:?}, now: {after:?}");
        }
        Ok(())
    });
    checks.finish()
}

/// More pages than this program has itself.
pub const OWN_PAGES: u64 = 64;

/// Free frames, free slots; what has to be the same again: objects, pages of files, names, open files.
fn resources() -> [u64; 6] {
    [
        Counter::FreeFrames,
        Counter::FreeSwapSlots,
        Counter::AnonymousObjects,
        Counter::FilePages,
        Counter::Names,
        Counter::OpenFiles,
    ]
    .map(counter)
}
