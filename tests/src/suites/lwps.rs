//! LWPs and signals as programs see them; the programs check what comes of it themselves.

use crate::scenario::{Scenario, Want};

pub fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for cpus in [1, 2, 4, 8] {
        for program in ["lwps", "signals"] {
            let name = format!("lwps/{program}-cpus-{cpus}");
            let scenario = Scenario::new(name, &[program]).cpus(cpus).seconds(200);
            all.push(scenario.wants(Want::ChecksPassed));
        }
    }
    let many = Scenario::new("lwps/many", &["lwps", "many", "10000"]).cpus(4).memory(1024);
    all.push(many.seconds(200).shows(&["10000 of 10000 woken and joined"]));
    let accounts = Scenario::new("lwps/accounts", &["lwps", "accounts", "4000"]).cpus(4);
    all.push(accounts.memory(1024).seconds(200).wants(Want::ChecksPassed));
    all
}
