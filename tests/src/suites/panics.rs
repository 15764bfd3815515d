//! Kernel panics on purpose: each must say what happened and where, and end the machine.

use abi::ending::Ending;

use crate::scenario::{Scenario, Want};

/// The panic, how the run ends, and a function that the backtrace must name.
const PANICS: [(&str, Ending, &str); 7] = [
    ("plain", Ending::KernelPanic, "plain"),
    ("double", Ending::PanicInPanic, "double"),
    ("stack-overflow", Ending::KernelPanic, "stack_overflow"),
    ("other-cpu", Ending::KernelPanic, "other_cpu"),
    ("null", Ending::KernelPanic, "null"),
    ("undefined-instruction", Ending::KernelPanic, "undefined_instruction"),
    ("assertion", Ending::KernelPanic, "assertion"),
];

pub fn scenarios() -> Vec<Scenario> {
    let scenario = |(panic, ending, function): (&str, Ending, &str)| {
        let scenario = Scenario::new(format!("panics/{panic}"), &[])
            .cpus(4)
            .option(&format!("panic={panic}"))
            .ends(ending)
            .shows(&["panic"])
            .shows(&["0xffff", function]);
        match panic {
            "stack-overflow" => scenario.shows(&["guard page"]),
            // The backtrace is the other processor's, and only one processor speaks.
            "other-cpu" => scenario.wants(Want::OneLine("kernel panic".to_owned())),
            _ => scenario,
        }
    };
    PANICS.into_iter().map(scenario).collect()
}
