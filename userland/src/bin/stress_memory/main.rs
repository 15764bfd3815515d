//! Stresses virtual memory: a tree of processes that share, copy, write and exit, and programs that want more memory
//! than there is. Every page says whose it is, where it is and how often it was written; every look checks that.
//!
//! ```text
//! stress_memory tree DEPTH WIDTH ROUNDS SEED    processes
//! stress_memory hog PERCENT ROUNDS              so much of the memory that is free, again and again
//! stress_memory stacks COUNT USED ROUNDS SEED  an array of stacks, a few of them in use
//! stress_memory hogs COUNT PERCENT ROUNDS       several at the same time, so much for each
//! stress_memory overfill COUNT PERCENT ROUNDS   likewise, so much of memory and swap space together for each
//! stress_memory orphans COUNT MICROSECONDS     processes that make children when their parent leaves
//! stress_memory generations COUNT              children that leave one of their own behind when they go
//! stress_memory both DEPTH WIDTH ROUNDS SEED PERCENT
//! ```
//!
//! What must hold: nothing that was written is lost, or seen by who must not see it; the status is 0.

#![no_std]
#![no_main]

mod hog;
mod stacks;
mod tree;

use core::ptr;
use userland::system::{self, raw};
use userland::{Arguments, eprintln, println, program};

program!(main);

/// The status after a wrong word.
const WRONG_USE: i32 = 2;

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let what = words.next().unwrap_or("");
    let mut numbers = [0u64; 5];
    for (place, word) in numbers.iter_mut().zip(words) {
        match word.parse() {
            Ok(number) => *place = number,
            Err(_) => return wrong_use(word),
        }
    }
    let [first, second, third, fourth, fifth] = numbers;
    match what {
        "tree" => tree::run(first, second, third, fourth),
        "hog" => hog::run(first, second),
        "stacks" => stacks::run(first.max(1), second, third, fourth),
        "hogs" => hog::several(first, second, third),
        "overfill" => hog::overfill(first, second, third),
        "orphans" => orphans(first, second),
        "generations" => generations(first),
        "both" => both(&numbers, fifth),
        _ => wrong_use(what),
    }
}

fn wrong_use(word: &str) -> i32 {
    eprintln!(
        "stress_memory: '{word}' is not understood: tree, hog, hogs, overfill, stacks, orphans, generations or both, and numbers"
    );
    WRONG_USE
}

/// A hog in a child, beside the tree.
fn both(&[depth, width, rounds, seed, _]: &[u64; 5], percent: u64) -> i32 {
    let hog = child(|| hog::run(percent, u64::MAX));
    let status = tree::run(depth, width, rounds, seed);
    // The hog goes with its parent.
    if hog.is_none() {
        println!("there was no memory for the hog");
    }
    status
}

/// Children that leave a child of their own behind: more than there may be processes at a time, for nobody waits for
/// those, and they go all the same.
fn generations(count: u64) -> i32 {
    for number in 0..count {
        let leave_one_behind = || i32::from(child(|| 0).is_none());
        if child(leave_one_behind).is_none_or(|child| wait(child) != 0) {
            eprintln!("generations: no more children after {number}");
            return 1;
        }
    }
    0
}

/// Children that make children one after the other without an end; all go with this process, wherever they are.
fn orphans(count: u64, microseconds: u64) -> i32 {
    let make_children = || {
        loop {
            if let Some(child) = child(|| 0) {
                wait(child);
            }
        }
    };
    for _ in 0..count {
        if child(make_children).is_none() {
            return 1;
        }
    }
    let now = || {
        let time = system::monotonic_time();
        (time.seconds * 1_000_000 + time.nanoseconds / 1000) as u64
    };
    let end = now() + microseconds;
    while now() < end {
        system::sched_yield();
    }
    0
}

/// Runs `body` in a child; returns its number, if there is memory for one.
pub fn child(body: impl FnOnce() -> i32) -> Option<u64> {
    // SAFETY: the child goes on in a copy of all memory.
    match unsafe { raw::fork() } {
        Ok(0) => system::exit_group(body()),
        Ok(child) => Some(child),
        Err(_) => None,
    }
}

/// Waits for a child; returns how it ended, as `wait4` says it.
pub fn wait(child: u64) -> i32 {
    let mut status = -1;
    // SAFETY: the status is its to write.
    match unsafe { raw::wait4(child as i32, &raw mut status, 0, ptr::null_mut()) } {
        Ok(_) => status,
        Err(_) => -1,
    }
}
