//! Benchmarks: what the program `bench` measures, one file per group.
//!
//! Where instructions are counted, one tick of the time-stamp counter is one instruction, and every
//! value is the same each time, to the digit. Elsewhere the unit is `ticks`: such values are for
//! curiosity, and the table of results does not take them.
//!
//! What threads of the thread library take is measured by the program `bench_threads`, with the functions here.
//!
//! A new group is a file with a function that measures and calls [`Bench::value`], and a row in
//! [`GROUPS`]. Names of values begin with the group's; they never change.

mod boot;
mod lwp;
mod process;
mod syscall;
mod vm;

use crate::clock::ticks;
use crate::{println, report};
use core::arch::asm;

/// A group of benchmarks.
pub struct Group {
    /// The first part of its values' names.
    pub name: &'static str,
    /// Measures all of it.
    measure: fn(&Bench),
}

/// All groups, in the order in which they run. What a group measures must not depend on whether
/// others ran before.
pub const GROUPS: &[Group] = &[
    Group { name: "boot", measure: boot::measure },
    Group { name: "syscall", measure: syscall::measure },
    Group { name: "vm", measure: vm::measure },
    Group { name: "proc", measure: process::measure },
    Group { name: "lwp", measure: lwp::measure },
];

/// Where the values go.
pub struct Bench {
    unit: &'static str,
}

impl Bench {
    /// Where instructions are counted, the unit is that.
    #[expect(clippy::new_without_default, reason = "it looks at the clock")]
    pub fn new() -> Bench {
        Bench { unit: if counts_instructions() { "instructions" } else { "ticks" } }
    }

    /// Reports how much memory something takes.
    pub fn bytes(&self, name: &str, value: u64) {
        report::value(name, "bytes", value);
        println!("{name:30}{value:>12} bytes");
    }

    /// Reports a measured value.
    pub fn value(&self, name: &str, value: u64) {
        report::value(name, self.unit, value);
        println!("{name:30}{value:>12} {}", self.unit);
    }
}

/// Measures the group with this name, or all. Says whether there is one.
pub fn run(group: Option<&str>) -> bool {
    let bench = Bench::new();
    let mut found = false;
    for candidate in GROUPS.iter().filter(|candidate| group.is_none_or(|it| it == candidate.name)) {
        (candidate.measure)(&bench);
        found = true;
    }
    found
}

/// Rounds of each measurement, of which the shortest counts, and operations in a round.
const ROUNDS: usize = 8;
const OPERATIONS: u64 = 1_000;

/// What one operation takes, rounded to nearest. Both functions do the number of turns that they are
/// given, `with` with the operation in it, `without` without.
pub fn per_operation(with: fn(u64), without: fn(u64)) -> u64 {
    let shortest = |run: fn(u64)| {
        let round = |_| {
            let start = ticks();
            run(OPERATIONS);
            ticks() - start
        };
        (0..ROUNDS).map(round).min().unwrap_or(0)
    };
    let difference = shortest(with).saturating_sub(shortest(without));
    (difference + OPERATIONS / 2) / OPERATIONS
}

/// What one operation takes in the shortest round, rounded to nearest, where an operation takes so long that the loop
/// around it does not count. Once before it counts, so that everything is there.
pub fn per_long_operation(operations: u64, mut operation: impl FnMut()) -> u64 {
    operation();
    let round = |_| {
        let start = ticks();
        (0..operations).for_each(|_| operation());
        ticks() - start
    };
    let shortest = (0..ROUNDS).map(round).min().unwrap_or(0);
    (shortest + operations / 2) / operations
}

/// Whether a tick is an instruction: a thousand turns more of a loop of two take two thousand ticks
/// more, each time.
fn counts_instructions() -> bool {
    let time = |turns: u64| {
        let start = ticks();
        // SAFETY: counts down, and nothing else.
        unsafe {
            asm!("2: sub {turns}, 1", "jnz 2b", turns = inout(reg) turns => _,
                options(nomem, nostack))
        };
        ticks() - start
    };
    // Once before it counts, so that the code is there.
    time(1);
    (1..=3).all(|round| time(1000 * (round + 1)).wrapping_sub(time(1000 * round)) == 2_000)
}
