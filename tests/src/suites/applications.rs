//! Programs of many threads that are more than checks: N bodies with a cache of their own, a music player beside a hog.
//! They judge what comes of it themselves.

use crate::scenario::{Scenario, Want};

/// Memory and swap space, in MiB, of a machine on which a hog takes all memory.
const HOGGED: (u32, u32) = (64, 256);

pub fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    // All three modes, one copy and two at a time. The program also looks how many reads there are at a time: more than
    // virtual processors where the kernel tells of blocks, and no more where it does not.
    for cpus in [1, 2, 4, 8] {
        let name = format!("threads/nbody-cpus-{cpus}");
        let scenario = Scenario::new(name, &["nbody", "--quick"]).cpus(cpus).seconds(300);
        all.push(scenario.shows(&["right: every run has come to the same bits"]));
    }
    let wrong = Scenario::new("threads/nbody-usage", &["nbody", "512", "1", "101"]).exits(2);
    all.push(wrong.shows(&["usage: nbody"]));
    let right = ["right: every block was what it should be, and no thread was lost"];
    let player = |name: &str, seconds: &str, every: &str| {
        let program = ["player", seconds, "--hog", every];
        let scenario = Scenario::new(format!("threads/player-and-hog{name}"), &program);
        let (memory, swap) = HOGGED;
        scenario.cpus(4).memory(memory).swap(swap).seconds(400).shows(&right)
    };
    // Two minutes by the machine's clock, which goes on at once while all its processors idle. Nobody else is on the host
    // as far as that clock is concerned: so hardly anything is late.
    let counted = player("", "120", "10").counted().cpus(4);
    all.push(counted.wants(Want::Console(hardly_anything_is_late)));
    // Where processors run side by side there are more orders of things, and no promises about time.
    all.push(player("-free", "25", "5"));
    all
}

/// The last line of the table: of six thousand blocks fewer than one in a hundred were late.
fn hardly_anything_is_late(console: &str) -> Result<(), String> {
    let mut rows = console.lines().map(|line| {
        line.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>().unwrap_or_default()
    });
    let Some(row) = rows.rfind(|row| row.len() == 10) else {
        return Err("there is no table".to_owned());
    };
    let (hogs, played, late) = (row[1], row[2], row[3..7].iter().sum::<u64>());
    if hogs < 10 || played < 5000 || late * 100 > played {
        return Err(format!("{hogs} rounds of the hog, {played} blocks played, {late} late"));
    }
    if row[9] < 1000 {
        return Err(format!("only {} faults waited for a disk", row[9]));
    }
    Ok(())
}
