//! What the shell does itself about jobs.

use crate::jobs::State;
use crate::state::Shell;
use crate::waiting;
use syntax::Words;
use userland::job_control::set_foreground;
use userland::tool::readable;
use userland::{eprintln, signal, signal_names};

const FAILED: i32 = 1;
const SIGHUP: i32 = 1;
const SIGCONT: i32 = 18;

/// The number of the job that the first word names; it is said if there is none.
fn named(shell: &mut Shell, words: &Words) -> Option<usize> {
    if shell.terminal.is_none() {
        eprintln!("shell: there are no jobs without a terminal");
        return None;
    }
    waiting::look(shell);
    let found = shell.jobs.named(words.get(1).map(readable));
    if found.is_none() {
        eprintln!("{}: no such job", readable(words.get(0).unwrap_or_default()));
    }
    found
}

/// `fg`
pub fn foreground(shell: &mut Shell, words: &Words) -> i32 {
    let Some(mut job) = named(shell, words).and_then(|number| shell.jobs.take(number)) else {
        return FAILED;
    };
    // Whoever sees the line may type for the job.
    let _ = set_foreground(0, job.group);
    eprintln!("{}", job.text.as_str());
    job.go_on();
    // If nobody is left, waiting finds out.
    let _ = signal::kill(-(job.group as i64), SIGCONT);
    waiting::wait_in_foreground(shell, job);
    shell.status
}

/// `bg`
pub fn background(shell: &mut Shell, words: &Words) -> i32 {
    let Some(mut job) = named(shell, words).and_then(|number| shell.jobs.take(number)) else {
        return FAILED;
    };
    let group = job.group;
    if matches!(job.state(), State::Stopped(_)) {
        job.go_on();
    }
    let text = job.text.clone();
    if let Some(number) = shell.jobs.add(job) {
        eprintln!("[{number}]{} {} &", shell.jobs.sign(number), text.as_str());
    }
    match signal::kill(-(group as i64), SIGCONT) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("bg: {}", error.text());
            FAILED
        }
    }
}

/// `jobs`
pub fn list(shell: &mut Shell, _: &Words) -> i32 {
    waiting::list(shell);
    0
}

/// `kill`
pub fn kill(shell: &mut Shell, words: &Words) -> i32 {
    waiting::look(shell);
    signal_names::kill(words.from(1).map(readable), |word| {
        let group = word.starts_with('%').then(|| shell.jobs.group(word))??;
        Some(-(group as i64))
    })
}

/// `wait`
pub fn wait(shell: &mut Shell, words: &Words) -> i32 {
    if words.count() == 1 {
        loop {
            let running = shell.jobs.all().find(|job| job.state() == State::Running);
            let Some(number) = running.map(|job| job.number) else { return 0 };
            waiting::wait_for(shell, number);
        }
    }
    let mut status = FAILED;
    for word in words.from(1) {
        match shell.jobs.named(Some(readable(word))) {
            Some(number) => status = waiting::wait_for(shell, number),
            None => eprintln!("wait: {}: no such job", readable(word)),
        }
    }
    status
}

/// Whether the shell may end: with jobs that are stopped only if somebody says so twice.
pub fn may_leave(shell: &mut Shell) -> bool {
    waiting::look(shell);
    let has_stopped = shell.jobs.all().any(|job| matches!(job.state(), State::Stopped(_)));
    let may = shell.terminal.is_none() || shell.was_warned || !has_stopped;
    if !may {
        eprintln!("There are stopped jobs.");
        shell.was_warned = true;
    }
    may
}

/// The shell ends: its jobs end with it.
pub fn hang_up(shell: &mut Shell) {
    for job in shell.jobs.all() {
        for signal in [SIGHUP, SIGCONT] {
            // Some may have ended meanwhile.
            let _ = signal::kill(-(job.group as i64), signal);
        }
    }
}
