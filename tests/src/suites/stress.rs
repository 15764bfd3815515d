//! Programs of many threads that stress what they wait for each other with, page faults, and upcalls; they check what comes
//! of it themselves.

use crate::scenario::Scenario;

/// So much of the memory, in percent, is locked: few pages are used then, and most of them lie in swap space all the same.
const LESS: &str = "70";

pub fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for cpus in [1, 2, 4, 8] {
        // Another seed each, so that not all do the same.
        let seed = cpus.to_string();
        let sync =
            Scenario::new(format!("threads/stress-sync-cpus-{cpus}"), &["stress_sync", "1", &seed]);
        all.push(sync.cpus(cpus).seconds(200).shows(&["right: all of that beside each other"]));
        let fault = Scenario::new(
            format!("threads/stress-fault-cpus-{cpus}"),
            &["stress_fault", "200", "1", &seed, LESS],
        );
        let fault = fault.cpus(cpus).memory(64).swap(256).seconds(200);
        all.push(fault.shows(&["right: all pages are there"]));
        let upcall = Scenario::new(
            format!("threads/stress-upcall-cpus-{cpus}"),
            &["stress_upcall", "1", &seed],
        );
        let upcall = upcall.cpus(cpus).seconds(200);
        all.push(upcall.shows(&["right: every virtual processor hears, and runs threads"]));
    }
    for mode in ["lwp", "mux"] {
        let variable = format!("LIBSA={mode}");
        let sync = Scenario::new(
            format!("threads/stress-sync-{mode}"),
            &["env", &variable, "stress_sync"],
        );
        all.push(sync.cpus(4).seconds(200).shows(&["right: all of that beside each other"]));
        let fault = Scenario::new(
            format!("threads/stress-fault-{mode}"),
            // Each LWP's own fault waits for memory by itself: that takes many times as long as anything else here.
            &["env", &variable, "stress_fault", "110", "1", "1", LESS],
        );
        let fault = fault.cpus(4).memory(64).swap(256).seconds(200);
        all.push(fault.shows(&["right: all pages are there"]));
    }
    all
}
