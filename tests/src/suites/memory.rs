//! Virtual memory as programs see it: what is mapped, copied and inherited; trees of processes, and more memory wanted
//! than there is. Programs check what they read themselves; here it counts how they end and what they say.

use abi::ending::Ending;

use crate::scenario::Scenario;
use crate::scenario::Want;

/// The signal that nobody survives.
const SIGKILL: u8 = 9;

/// Processors on which everything is run.
const CPUS: [u32; 4] = [1, 2, 4, 8];

pub fn scenarios() -> Vec<Scenario> {
    let stress = |name: String, words: &[&str]| {
        let program = [&["stress_memory"], words].concat();
        Scenario::new(format!("memory/{name}"), &program).seconds(300)
    };
    let mut all = Vec::new();
    for cpus in CPUS {
        let calls = Scenario::new(format!("memory/calls-cpus-{cpus}"), &["memory"]).cpus(cpus);
        all.push(calls.wants(Want::ChecksPassed));
        let seed = cpus.to_string();
        all.push(stress(format!("tree-cpus-{cpus}"), &["tree", "4", "3", "2", &seed]).cpus(cpus));
        // A hundred and thirty percent of what is free: most of it lies in swap space at any time.
        all.push(
            stress(format!("hog-cpus-{cpus}"), &["hog", "130", "3"])
                .cpus(cpus)
                .memory(64)
                .swap(128)
                .shows(&["written to swap space"]),
        );
    }
    let words = ["both", "4", "3", "3", "5", "130"];
    all.push(stress("tree-beside-a-hog".to_owned(), &words).cpus(4).memory(64).swap(128));
    // What a program hears whose page a disk cannot read: from its file, and from swap space.
    for access in ["execution", "read"] {
        let check = Scenario::new(format!("memory/page-in-error-{access}"), &[])
            .option("check=page-in-errors-reach-who-asked")
            .seconds(120)
            .ends(Ending::ChecksEnded)
            .wants(Want::ChecksPassed);
        let says = format!("page fault, {access}, address 0x");
        all.push(check.shows(&["killed by SIGBUS", &says, "the device that has the page failed"]));
    }
    // The control run: without collapse and bypass the same tree breaks the bound that it keeps with them.
    let words = ["tree", "3", "3", "2", "1"];
    let holds = ["the bound on chains holds"];
    all.push(stress("chains-collapse".to_owned(), &words).shows(&holds));
    let broken = ["objects too many: the bound on chains is broken"];
    let control = stress("chains-are-left".to_owned(), &words).option("collapse=off");
    all.push(control.exits(3).shows(&broken));
    all.push(stress("tree-counted".to_owned(), &["tree", "3", "3", "2", "1"]).counted().cpus(2));
    let calls = Scenario::new("memory/calls-64M", &["memory"]).cpus(2).memory(64);
    all.push(calls.wants(Want::ChecksPassed));
    let calls = Scenario::new("memory/calls-released", &["memory"]).released();
    all.push(calls.wants(Want::ChecksPassed));
    // Nothing is left, neither memory nor swap space: the largest goes, with a word about it.
    for (name, swap) in [("no-swap", 0), ("little-swap", 8)] {
        all.push(
            stress(name.to_owned(), &["hog", "140", "2"])
                .memory(64)
                .swap(swap)
                .dies(SIGKILL)
                .shows(&["out of memory: process", "is killed"]),
        );
    }
    all
}
