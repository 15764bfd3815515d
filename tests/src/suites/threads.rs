//! Programs of many threads on the thread library; they check what comes of it themselves.

use crate::scenario::{Scenario, Want};

pub fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for cpus in [1, 2, 4, 8] {
        let name = format!("threads/library-cpus-{cpus}");
        let scenario = Scenario::new(name, &["threads"]).cpus(cpus).seconds(200);
        all.push(scenario.wants(Want::ChecksPassed));
        let name = format!("threads/stress-cpus-{cpus}");
        let scenario = Scenario::new(name, &["stress_threads"]).cpus(cpus).seconds(200);
        all.push(scenario.shows(&["right: threads that block in the kernel"]));
    }
    for mode in ["lwp", "mux"] {
        let name = format!("threads/library-{mode}");
        let variable = format!("LIBSA={mode}");
        let scenario = Scenario::new(name, &["env", &variable, "threads"]).cpus(2).seconds(200);
        all.push(scenario.wants(Want::ChecksPassed));
    }
    // A signal finds somebody to act on it, whatever the threads do.
    for (how, says) in [("idle", "nobody runs"), ("busy", "all compute")] {
        let name = format!("threads/interrupt-{how}");
        all.push(Scenario::new(name, &["threads", how]).cpus(2).types(says, "\x03").dies(2));
    }
    let many = Scenario::new("threads/hundred-thousand", &["stress_threads", "100000", "1000"]);
    let many = many.cpus(4).memory(1024).seconds(300);
    all.push(many.shows(&["right: threads that block in the kernel"]));
    all
}
