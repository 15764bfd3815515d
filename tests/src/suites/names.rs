//! Paths, folders and files in memory: the program `names` checks them itself.

use crate::scenario::{Scenario, Want};

/// Processors on which everything is run.
const CPUS: [u32; 4] = [1, 2, 4, 8];

pub fn scenarios() -> Vec<Scenario> {
    let calls = |name: &str| {
        Scenario::new(format!("names/{name}"), &["names"]).wants(Want::ChecksPassed).seconds(120)
    };
    let mut all: Vec<Scenario> =
        CPUS.into_iter().map(|cpus| calls(&format!("calls-cpus-{cpus}")).cpus(cpus)).collect();
    all.push(calls("calls-64M").cpus(2).memory(64));
    all.push(calls("calls-released").released());
    // A file that is larger than what is free of memory: some of it lies in swap space at any time.
    for cpus in [1, 4] {
        let swap = Scenario::new(format!("names/swap-cpus-{cpus}"), &["names", "swap"]);
        let swap = swap.cpus(cpus).memory(64).swap(128).seconds(200);
        all.push(swap.shows(&["pages of a file"]).wants(Want::ChecksPassed));
    }
    all
}
