//! Processors as programs see them; the program checks what comes of it itself.

use crate::scenario::{Scenario, Want};

pub fn scenarios() -> Vec<Scenario> {
    let of = |cpus| {
        let name = format!("processors/checks-cpus-{cpus}");
        let scenario = Scenario::new(name, &["processors"]).cpus(cpus).seconds(200);
        scenario.wants(Want::ChecksPassed)
    };
    [1, 2, 4, 8].map(of).into()
}
