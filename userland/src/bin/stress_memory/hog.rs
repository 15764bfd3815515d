//! A hog: so much memory that most of it is in swap space, written and checked again and again.

use crate::{child, wait};
use abi::calls::Counter;
use userland::pattern::{Memory, Says};
use userland::{eprintln, println, system};

/// Most hogs beside each other.
const HOGS_MAX: usize = 15;

/// Signals by which a hog may be ended that is not to blame.
const SIGBUS: i32 = 7;
const SIGKILL: i32 = 9;

/// What [`several`] returns if a hog has found something wrong.
const WRONG: i32 = 255;

/// Wants `percent` of the memory that is free, and goes through it so often.
pub fn run(percent: u64, rounds: u64) -> i32 {
    go_through(share(percent), rounds)
}

/// As many hogs in children. The status says what became of them: how many SIGBUS has ended, and sixteen times how
/// many SIGKILL has.
pub fn several(count: u64, percent: u64, rounds: u64) -> i32 {
    run_several(count, share(percent), rounds)
}

fn run_several(count: u64, pages: u64, rounds: u64) -> i32 {
    let mut hogs = [None; HOGS_MAX];
    for hog in hogs.iter_mut().take(count as usize) {
        *hog = child(|| go_through(pages, rounds));
        if hog.is_none() {
            eprintln!("hog: no memory for a child");
            return WRONG;
        }
    }
    let mut status = 0;
    for hog in hogs.into_iter().flatten() {
        status += match wait(hog) {
            0 => 0,
            SIGBUS => 1,
            SIGKILL => 16,
            _ => return WRONG,
        };
    }
    status
}

/// As many hogs that each want `percent` of what is free of memory and swap space together; the status is that of
/// [`several`].
pub fn overfill(count: u64, percent: u64, rounds: u64) -> i32 {
    let all = system::counter(Counter::FreeFrames) + system::counter(Counter::FreeSwapSlots);
    run_several(count, all * percent / 100, rounds)
}

fn share(percent: u64) -> u64 {
    system::counter(Counter::FreeFrames) * percent / 100
}

fn go_through(pages: u64, rounds: u64) -> i32 {
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
