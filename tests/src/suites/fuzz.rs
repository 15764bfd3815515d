//! Random system calls: a million of them. More by hand: `cargo upcall run fuzz --seed S --calls N`.

use crate::scenario::Scenario;

pub fn scenarios() -> Vec<Scenario> {
    let scenario = |cpus: u32| {
        let words = ["fuzz", "--seed", &cpus.to_string(), "--calls", "250000"];
        Scenario::new(format!("fuzz/cpus-{cpus}"), &words)
            .cpus(cpus)
            .seconds(200)
            .shows(&["everything is back"])
    };
    [1, 2, 4, 8].map(scenario).to_vec()
}
