//! Runs lines: one chain after the other, of each the pipelines whose turn it is.

use crate::jobs::Job;
use crate::pipeline::{self, Place};
use crate::state::Shell;
use crate::{WRONG_USE, waiting};
use syntax::{Chain, Join, Script};
use userland::eprintln;

/// Runs a line.
pub fn run(shell: &mut Shell, line: &[u8]) {
    let script = match Script::parse(line) {
        Ok(script) => script,
        Err(wrong) => {
            eprintln!("shell: {}", wrong.text());
            return shell.set_status(WRONG_USE);
        }
    };
    shell.is_interrupted = false;
    for chain in script.chains() {
        if shell.exiting.is_some() || shell.is_interrupted {
            return;
        }
        if !chain.in_background {
            run_chain(shell, chain, line);
        } else if chain.pipelines().count() == 1 {
            for (_, pipeline) in chain.pipelines() {
                pipeline::run(shell, pipeline, line, Place::Background);
            }
        } else {
            run_apart(shell, chain, line);
        }
    }
}

fn run_chain(shell: &mut Shell, chain: Chain<'_, '_>, line: &[u8]) {
    for (join, pipeline) in chain.pipelines() {
        let is_its_turn = match join {
            Join::Always => true,
            Join::And => shell.status == 0,
            Join::Or => shell.status != 0,
        };
        if shell.exiting.is_some() || shell.is_interrupted {
            return;
        }
        if is_its_turn {
            pipeline::run(shell, pipeline, line, Place::Foreground);
        }
    }
}

/// Runs a chain in the background: a copy of the shell runs it, and is the job.
fn run_apart(shell: &mut Shell, chain: Chain<'_, '_>, line: &[u8]) {
    let mut job = Job::new(chain.text(line));
    let started = pipeline::start(shell, &mut job, Place::Background, |shell| {
        run_chain(shell, chain, line);
        shell.exiting.unwrap_or(shell.status)
    });
    if started {
        waiting::put_into_background(shell, job);
    }
}
