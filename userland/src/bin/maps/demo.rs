//! The demonstrations: what becomes of a piece of memory when processes fork, write and exit.
//!
//! | name | shows |
//! |---|---|
//! | `fork` | what a child gets: the same memory, a copy, nothing |
//! | `chain` | three generations that write: as many objects as there can be, and a collapse |
//! | `bypass` | an exit after which an object hides another one completely |
//! | `stacks` | an array of stacks, populated on touch |
//!
//! All addresses are fixed, and everything happens in turns, so that the outcome is the same every time.

use crate::family::{PAGE, Turns, child, inherit, map, read, wait_for, write};
use crate::{Format, describe, is_there};
use abi::errno::Errno;
use core::hint::black_box;
use userland::system::sched_yield;

/// The names, for who does not know them.
pub const NAMES: &str = "fork, chain, bypass, stacks";

/// Where the memory lies that is shown.
const BASE: u64 = 0x2000_0000_0000;

/// Runs the demonstration with this name, if there is one.
pub fn run(name: &str, format: Format) -> Option<Result<(), Errno>> {
    match name {
        "fork" => Some(fork(format)),
        "chain" => Some(chain(format)),
        "bypass" => Some(bypass(format)),
        "stacks" => Some(stacks(format)),
        _ => None,
    }
}

/// Prints the demonstration's memory of one process.
fn show(format: Format, moment: &str, name: &str, process: u64) -> Result<(), Errno> {
    describe(format, moment, name, process, BASE..BASE + (1 << 30))
}

/// Three ranges of two pages: shared with the child, copied, kept.
fn fork(format: Format) -> Result<(), Errno> {
    const SHARE: i32 = 0;
    const NONE: i32 = 2;
    let turns = Turns::new()?;
    map(BASE, 6)?;
    inherit(BASE, 2, SHARE)?;
    inherit(BASE + 4 * PAGE, 2, NONE)?;
    for page in [0, 2, 3, 4] {
        write(BASE, page, page);
    }
    show(format, "before the fork", "parent", 0)?;
    let child = child(|| {
        turns.wait(1);
        write(BASE, 1, 101);
        write(BASE, 2, 102);
        read(BASE, 3);
        turns.take(2);
        turns.wait(3);
        Ok(())
    })?;
    show(format, "after the fork", "parent", 0)?;
    show(format, "after the fork", "child", child)?;
    turns.take(1);
    turns.wait(2);
    show(format, "the child has written", "parent", 0)?;
    show(format, "the child has written", "child", child)?;
    turns.take(3);
    wait_for(child)?;
    show(format, "the child has exited", "parent", 0)
}

/// Root, its child A, and A's child B. Each writes one page of its own.
fn chain(format: Format) -> Result<(), Errno> {
    map(BASE, 4)?;
    for page in 0..4 {
        write(BASE, page, page);
    }
    generations(format, Pages { root: 0, first: 1, second: 3, grandchild: 2 })
}

/// The same with two pages, where in the end B has all that the root wrote in the beginning.
fn bypass(format: Format) -> Result<(), Errno> {
    map(BASE, 2)?;
    for page in 0..2 {
        write(BASE, page, page);
    }
    generations(format, Pages { root: 0, first: 1, second: 0, grandchild: 0 })
}

/// Which pages are written.
struct Pages {
    /// By the root, after its child was made.
    root: u64,
    /// By A, before its child was made.
    first: u64,
    /// And after.
    second: u64,
    /// By B.
    grandchild: u64,
}

fn generations(format: Format, pages: Pages) -> Result<(), Errno> {
    let turns = Turns::new()?;
    let a = child(|| {
        turns.wait(1);
        write(BASE, pages.first, 201);
        let b = child(|| {
            turns.wait(3);
            write(BASE, pages.grandchild, 302);
            turns.take(4);
            turns.wait(7);
            Ok(())
        })?;
        turns.tell(b);
        turns.take(2);
        turns.wait(4);
        write(BASE, pages.second, 203);
        turns.take(5);
        turns.wait(6);
        Ok(())
    })?;
    show(format, "A is born", "root", 0)?;
    show(format, "A is born", "A", a)?;
    write(BASE, pages.root, 100);
    turns.take(1);
    turns.wait(2);
    let b = turns.told();
    for (name, process) in [("root", 0), ("A", a), ("B", b)] {
        show(format, "A has written and B is born", name, process)?;
    }
    turns.take(3);
    turns.wait(5);
    for (name, process) in [("root", 0), ("A", a), ("B", b)] {
        show(format, "all have written", name, process)?;
    }
    turns.take(6);
    wait_for(a)?;
    for (name, process) in [("root", 0), ("B", b)] {
        show(format, "A has exited", name, process)?;
    }
    turns.take(7);
    // Nobody can wait for an orphan.
    while is_there(b) {
        sched_yield();
    }
    show(format, "B has exited", "root", 0)
}

/// The program's own stack is an array of one: touched at three depths.
fn stacks(format: Format) -> Result<(), Errno> {
    let here = 0u64;
    let top = (black_box(&raw const here) as u64).next_multiple_of(PAGE);
    for depth in [4, 16, 17] {
        // Below everything that is in use.
        write(top - depth * PAGE, 0, depth);
    }
    // The page that `here` is in, which may be the last one of the stack.
    describe(format, "touched", "process", 0, top - PAGE..top)
}
