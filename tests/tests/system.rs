//! `cargo test --test system`: everything that needs a booted machine, and the model checkers.
//!
//! `-- --list` names the tests without booting; a filter boots only what it asks for.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use system_tests::{checks, flavours, suites};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = suites::trials();
    trials.extend(flavours::trials());
    let known: Vec<String> = trials.iter().map(|trial: &Trial| trial.name().to_owned()).collect();
    trials.extend(checks::trials(&arguments, &known));
    libtest_mimic::run(&arguments, trials).exit_code()
}
