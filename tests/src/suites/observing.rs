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
    // What a call is given and returns, in words; and a process that is not there.
    let lines = |name: &str, program: &[&str], lines: &[&str]| {
        let scenario = Scenario::new(format!("observing/{name}"), program);
        lines.iter().fold(scenario, |scenario, line| scenario.shows(&[line]))
    };
    let hello = [
        "execve(path=\"/bin/hello\", arguments=[\"hello\"], environment=",
        "execve = 0",
        "write(fd=1, buffer=\"Hello from user mode",
        "exit_group(status=0) ...",
        "exited with 0",
    ];
    all.push(lines("truss", &["truss", "hello"], &hello));
    let missing = ["execve = ENOENT (no such file)", "exited with 127"];
    all.push(lines("truss-missing", &["truss", "no-such-program"], &missing).exits(127));
    let counts = ["call                      calls", "write ", "exit_group "];
    all.push(lines("truss-counts", &["truss", "-c", "hello"], &counts));
    let nobody = ["ESRCH (no such process)"];
    all.push(lines("truss-nobody", &["truss", "-p", "999999"], &nobody).exits(1));
    all.push(lines("ps", &["ps", "-l"], &["resident", "LWP 1 runs", "system"]));
    all
}
