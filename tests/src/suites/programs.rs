//! Programs that run and end: the way from a command line to user mode and back.

use abi::ending::Ending;

use crate::scenario::{Scenario, Want};

pub fn scenarios() -> Vec<Scenario> {
    let greeting = ["Hello from user mode"];
    let mut all: Vec<Scenario> = [1, 2, 4, 8]
        .into_iter()
        .map(|cpus| {
            let name = format!("programs/hello-cpus-{cpus}");
            Scenario::new(name, &["hello"]).cpus(cpus).shows(&greeting)
        })
        .collect();
    all.push(Scenario::new("programs/hello-counted", &["hello"]).counted().shows(&greeting));
    all.push(Scenario::new("programs/hello-released", &["hello"]).released().shows(&greeting));
    all.push(
        Scenario::new("programs/exit-status", &["hello", "--status", "42"])
            .exits(42)
            .shows(&greeting),
    );
    let nowhere = "no-such-program";
    all.push(
        Scenario::new("programs/unknown", &[nowhere])
            .ends(Ending::NoSuchProgram)
            .wants(Want::OneLine(nowhere.to_owned())),
    );
    // These judge the answers themselves: every system call with pointers that are none; calls that
    // there are none; registers across calls.
    for (name, program) in [
        ("bad-pointers", &["fault", "bad-pointers"] as &[_]),
        ("bad-numbers", &["fault", "bad-numbers"]),
        ("registers", &["registers"]),
    ] {
        all.push(Scenario::new(format!("programs/{name}"), program).wants(Want::ChecksPassed));
    }
    all
}
