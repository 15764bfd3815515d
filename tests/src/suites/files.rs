//! Open files as programs see them: what the calls do they check themselves; what is typed comes from here.

use crate::scenario::{Scenario, Want};

/// Processors on which everything is run.
const CPUS: [u32; 4] = [1, 2, 4, 8];

pub fn scenarios() -> Vec<Scenario> {
    let mut all: Vec<Scenario> = CPUS
        .into_iter()
        .map(|cpus| {
            let calls = Scenario::new(format!("files/calls-cpus-{cpus}"), &["files"]).cpus(cpus);
            calls.wants(Want::ChecksPassed)
        })
        .collect();
    let calls = Scenario::new("files/calls-64M", &["files"]).cpus(2).memory(64);
    all.push(calls.wants(Want::ChecksPassed));
    let calls = Scenario::new("files/calls-released", &["files"]).released();
    all.push(calls.wants(Want::ChecksPassed));
    all.push(
        Scenario::new("files/typing", &["files", "typing"])
            // A line with a mistake, and a tab that is taken back with its word.
            .types("type a line", "hellp\x7fo again\t\x17\r")
            .types("type the end", "\x04")
            .types("type a line to wait for", "four\r")
            .types("type three bytes", "a\x04b")
            .shows(&["line: \"hello \\n\""])
            .shows(&["end: 0 bytes"])
            .shows(&["ready: 1, 2 bytes, then 3"])
            .shows(&["bytes: [97, 4, 98]"])
            .shows(&["done"]),
    );
    all
}
