//! The model checkers' builds of the kernel's libraries: their tests, run as sub-processes.
//!
//! loom and shuttle replace the atomics and threads that a library is built on, so each is a build of
//! its own with a target folder of its own. They are part of `cargo test` all the same.

use std::fs::{self, File};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use boot::run_folder::RunFolder;
use boot::workspace;
use libtest_mimic::Trial;

use crate::slots::Slots;

/// Longest time for one of them, its build included.
const TIMEOUT: Duration = Duration::from_secs(1200);

/// Lines of output that a failure shows.
const TAIL: usize = 60;

/// The model checkers, and the packages that have a feature for each.
const CHECKERS: [&str; 2] = ["loom", "shuttle"];
const PACKAGES: [&str; 2] = ["machine", "memory"];

/// A trial for each.
pub fn trials() -> Vec<Trial> {
    let pairs = CHECKERS.iter().flat_map(|checker| PACKAGES.iter().map(move |it| (*checker, *it)));
    pairs
        .map(|(checker, package)| {
            let name = format!("host/{checker}/{package}");
            Trial::test(name.clone(), move || Ok(perform(&name, checker, package)?))
        })
        .collect()
}

fn perform(name: &str, checker: &str, package: &str) -> Result<(), String> {
    let _slot = Slots::host().take(1);
    match run(name, checker, package) {
        Ok(None) => Ok(()),
        Ok(Some(failure)) => Err(failure),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// `None` if the tests passed.
fn run(name: &str, checker: &str, package: &str) -> Result<Option<String>> {
    let log = RunFolder::at(workspace::output_folder().join("tests").join(name))?;
    let log = log.path().join("output.log");
    let output = File::create(&log)?;
    let mut command = workspace::cargo();
    command.args(["test", "-p", package, "--features", checker, "--release", "--target-dir"]);
    command.arg(workspace::target_folder().join(checker));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let started = Instant::now();
    let mut child = command.spawn().context("starting cargo")?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if started.elapsed() > TIMEOUT {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let ended = match status {
        Some(status) if status.success() => return Ok(None),
        Some(status) => status.to_string(),
        None => format!("still running after {} s", TIMEOUT.as_secs()),
    };
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n  | ");
    let again = format!(
        "cargo test -p {package} --features {checker} --release --target-dir target/{checker}"
    );
    Ok(Some(format!("{ended}\nlog:   {}\nagain: {again}\n  | {tail}", log.display())))
}
