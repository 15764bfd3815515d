//! Benchmarks of the kernel's own parts, which no program can reach: `bench=all` or `bench=GROUP`, run
//! after the program if there is one.
//!
//! As for the program `bench`: where instructions are counted, one tick of the clock is one instruction,
//! and every value is the same each time. `cargo upcall bench` boots that way and shows the table.
//!
//! A new group is a file with a function that measures, and a row in [`GROUPS`].

mod dispatch;

use crate::console::print;
use crate::report_channel;
use machine::{MayFault, time};
use report::Line;

/// A group: the first part of its values' names, and what measures it.
type Group = (&'static str, fn(&mut MayFault));

const GROUPS: &[Group] = &[("disp", dispatch::measure)];

/// Whether there is a group with this name.
pub fn is_known(name: &str) -> bool {
    name == "all" || GROUPS.iter().any(|(known, _)| *known == name)
}

/// Measures one group, or all.
pub fn run(name: &str, may_fault: &mut MayFault) {
    for (_, measure) in GROUPS.iter().filter(|(known, _)| name == "all" || *known == name) {
        measure(may_fault);
    }
}

/// Rounds of each measurement, of which the shortest counts, and operations in a round.
const ROUNDS: usize = 8;
const OPERATIONS: u64 = 1_000;

/// Reports what one operation takes, rounded to nearest. `operations` does that many; what the loop around
/// them takes is part of the value.
fn per_operation(name: &str, mut operations: impl FnMut(u64)) {
    let mut shortest = u64::MAX;
    for _ in 0..ROUNDS {
        let start = time::now();
        operations(OPERATIONS);
        shortest = shortest.min(time::now() - start);
    }
    let value = (shortest + OPERATIONS / 2) / OPERATIONS;
    report_channel::send(Line::Value { name, unit: "instructions", value });
    print(format_args!("{name:30}{value:>12} instructions\n"));
}
