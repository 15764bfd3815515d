//! Historical bugs in the running kernel: one build has those of virtual memory, a boot option brings one back, and the
//! check that replays its order of events finds it. (That the usual build passes the same checks is seen wherever they
//! all run; `flavours` finds the bugs on the host.)

use crate::scenario::Scenario;
use abi::ending::Ending;

/// Each bug, how the run ends, and what is to be seen.
const BUGS: [(&str, Ending, &str); 4] = [
    ("cow-2019", Ending::KernelPanic, "a page is freed while it is mapped"),
    ("cow-d23155", Ending::KernelPanic, "a page is freed while it is mapped"),
    ("cow-restart", Ending::KernelPanic, "a page is freed while it is mapped"),
    ("cow-tlb", Ending::ChecksEnded, "the source is read after the copy was written"),
];

pub fn scenarios() -> Vec<Scenario> {
    let scenario = |(bug, ending, what): (&str, Ending, &str)| {
        Scenario::new(format!("history/finds-bug-{bug}"), &[])
            .with_history()
            .cpus(4)
            .option(&format!("bug={bug}"))
            .option(&format!("check=history-{bug}"))
            .ends(ending)
            .shows(&[what])
    };
    BUGS.into_iter().map(scenario).collect()
}
