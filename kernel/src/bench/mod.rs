//! Benchmarks of the kernel's own parts, which no program can reach: `bench=all` or `bench=GROUP`, run
//! after the program if there is one.
//!
//! As for the program `bench`: where instructions are counted, one tick of the clock is one instruction,
//! and every value is the same each time. `cargo upcall bench` boots that way and shows the table.
//!
//! A new group is a file with a function that measures, and a row in [`GROUPS`].

mod ball;
mod dispatch;
mod smp;

use crate::console::print;
use crate::kernel::Kernel;
use crate::report_channel;
use machine::{MayFault, time};
use report::Line;

/// A group of benchmarks.
struct Group {
    /// The first part of its values' names.
    name: &'static str,
    /// How many processors it needs. On others it is skipped.
    cpus: usize,
    measure: fn(&mut MayFault),
}

const GROUPS: &[Group] = &[
    Group { name: "disp", cpus: 1, measure: dispatch::measure },
    Group { name: "smp", cpus: 2, measure: smp::measure },
];

/// Whether there is a group with this name.
pub fn is_known(name: &str) -> bool {
    name == "all" || GROUPS.iter().any(|group| group.name == name)
}

/// Measures one group, or all.
pub fn run(name: &str, may_fault: &mut MayFault) {
    let there = Kernel::current().system.cpu_count();
    for Group { name, cpus, measure } in
        GROUPS.iter().filter(|group| name == "all" || group.name == name)
    {
        if *cpus <= there {
            measure(may_fault);
        } else {
            print(format_args!(
                "{name}: skipped, it needs {cpus} processors, and {there} are there\n"
            ));
        }
    }
}

/// Rounds of each measurement, of which the shortest counts, and operations in a round.
const ROUNDS: usize = 8;
const OPERATIONS: u64 = 1_000;

/// Reports what one operation takes. `operations` does as many as it is told; what the loop around them takes
/// is part of the value.
fn per_operation(name: &str, mut operations: impl FnMut(u64)) {
    let shortest = shortest_round(|count| {
        operations(count);
        true
    });
    report_value(name, shortest.expect("every round is valid"));
}

/// What one operation takes in the shortest round, rounded to nearest. `round` does as many as it is told, and
/// says whether what it did is valid; none if no round is.
fn shortest_round(mut round: impl FnMut(u64) -> bool) -> Option<u64> {
    let mut shortest = None;
    for _ in 0..ROUNDS {
        let start = time::now();
        let valid = round(OPERATIONS);
        let taken = time::now() - start;
        if valid && shortest.is_none_or(|shortest| taken < shortest) {
            shortest = Some(taken);
        }
    }
    shortest.map(|shortest| (shortest + OPERATIONS / 2) / OPERATIONS)
}

fn report_value(name: &str, value: u64) {
    report_channel::send(Line::Value { name, unit: "instructions", value });
    print(format_args!("{name:30}{value:>12} instructions\n"));
}
