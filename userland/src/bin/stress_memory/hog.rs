//! A hog: so much memory that most of it is in swap space, written and checked again and again.

use crate::pattern::{Memory, Says};
use abi::calls::Counter;
use userland::{eprintln, println, system};

/// Wants `percent` of the memory that is free, and goes through it so often.
pub fn run(percent: u64, rounds: u64) -> i32 {
    let pages = system::counter(Counter::FreeFrames) * percent / 100;
    let Some(memory) = Memory::map(pages) else {
        eprintln!("hog: {pages} pages cannot be mapped");
        return 1;
    };
    let owner = system::getpid();
    for round in 0..rounds {
        for page in 0..pages {
            let expected = match round {
                0 => Says::NOTHING,
                _ => Says { owner, page, version: round },
            };
            let found = memory.read(page);
            if found != Some(expected) {
                eprintln!(
                    "hog: page {page} of {pages}, round {round}: {found:?}, not {expected:?}"
                );
                return 1;
            }
            memory.write(page, owner, round + 1);
        }
    }
    memory.unmap();
    println!(
        "hog: {pages} pages, {rounds} rounds; {} pages were written to swap space, {} read from disks",
        system::counter(Counter::PageOuts),
        system::counter(Counter::PageIns),
    );
    0
}
