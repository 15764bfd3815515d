//! Observing processes, and what is said of them and their LWPs. The programs judge for themselves.

use crate::scenario::{Scenario, Want};

pub fn scenarios() -> Vec<Scenario> {
    let mut all: Vec<Scenario> = [1, 2, 4, 8]
        .into_iter()
        .map(|cpus| {
            let name = format!("observing/calls-cpus-{cpus}");
            Scenario::new(name, &["observe"]).cpus(cpus).seconds(120).wants(Want::ChecksPassed)
        })
        .collect();
    all.push(
        Scenario::new("observing/calls-counted", &["observe"]).counted().wants(Want::ChecksPassed),
    );
    all
}
