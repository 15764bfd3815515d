//! How jobs end: waiting for the one in the foreground, and telling about the others.

use crate::jobs::{Job, State};
use crate::state::Shell;
use abi::errno::Errno;
use userland::files::{self, When};
use userland::job_control::set_foreground;
use userland::signal_names::description;
use userland::{child, eprintln, println};

const NO_HANG: i32 = 1;
const STOPPED: i32 = 2;
const CONTINUED: i32 = 8;

const SIGINT: i32 = 2;
const SIGPIPE: i32 = 13;

/// Waits until a job has ended or is stopped, and takes the terminal back.
pub fn wait_in_foreground(shell: &mut Shell, mut job: Job) {
    while job.state() == State::Running {
        match child::wait_for(-1, STOPPED | CONTINUED) {
            Ok((process, status)) => note(shell, Some(&mut job), process, status),
            Err(Errno::EINTR) => {}
            Err(_) => job.lose(),
        }
    }
    let state = job.state();
    if let Some(terminal) = shell.terminal {
        let _ = set_foreground(0, terminal.group);
        // Whatever the job has made of it.
        let _ = files::set(0, &terminal.settings, When::Written);
    }
    shell.set_status(state.status());
    match state {
        State::Stopped(_) => {
            eprintln!("");
            shell.is_interrupted = true;
            job.told = Some(state);
            keep(shell, job, true);
        }
        State::Killed(signal) => {
            if shell.terminal.is_some() {
                match signal {
                    SIGINT => {
                        eprintln!("");
                        shell.is_interrupted = true;
                    }
                    SIGPIPE => {}
                    signal => eprintln!("{}", description(signal)),
                }
            }
            shell.jobs.take(job.number);
        }
        _ => {
            shell.jobs.take(job.number);
        }
    }
}

/// A job runs on without being waited for.
pub fn put_into_background(shell: &mut Shell, mut job: Job) {
    job.told = Some(State::Running);
    shell.set_status(0);
    let group = job.group;
    if let Some(number) = keep(shell, job, false)
        && shell.terminal.is_some()
    {
        eprintln!("[{number}] {group}");
    }
}

fn keep(shell: &mut Shell, job: Job, says: bool) -> Option<usize> {
    let number = shell.jobs.add(job.clone());
    match number {
        Some(number) if says => tell(&job, number, shell.jobs.sign(number)),
        Some(_) => {}
        None => eprintln!("shell: too many jobs; nobody waits for {}", job.text.as_str()),
    }
    number
}

/// Something has happened to a process: of the job in the foreground, or of another.
fn note(shell: &mut Shell, foreground: Option<&mut Job>, process: u64, status: i32) {
    let state = State::from_wait(status);
    if !foreground.is_some_and(|job| job.note(process, state)) {
        let _ = shell.jobs.all().any(|job| job.note(process, state));
    }
}

/// Hears of everything that has happened, without waiting.
pub fn look(shell: &mut Shell) {
    while let Ok((process @ 1.., status)) = child::wait_for(-1, NO_HANG | STOPPED | CONTINUED) {
        note(shell, None, process, status);
    }
}

/// Waits until a job of the background has ended or is stopped; its status.
pub fn wait_for(shell: &mut Shell, number: usize) -> i32 {
    loop {
        let found = shell.jobs.all().find(|job| job.number == number).map(|job| job.state());
        match found {
            Some(State::Running) => {}
            Some(state) => return state.status(),
            None => return 0,
        }
        match child::wait_for(-1, STOPPED | CONTINUED) {
            Ok((process, status)) => note(shell, None, process, status),
            Err(Errno::EINTR) => {}
            Err(_) => shell.jobs.all().for_each(Job::lose),
        }
    }
}

fn tell(job: &Job, number: usize, sign: char) {
    let text = job.text.as_str();
    match job.state() {
        State::Running => eprintln!("[{number}]{sign} running   {text}"),
        State::Stopped(_) => eprintln!("[{number}]{sign} stopped   {text}"),
        State::Exited(0) => eprintln!("[{number}]{sign} done      {text}"),
        State::Exited(status) => eprintln!("[{number}]{sign} exit {status:<4} {text}"),
        State::Killed(signal) => eprintln!("[{number}]{sign} {}  {text}", description(signal)),
    }
}

/// Tells about jobs to which something has happened, and forgets those that have ended.
pub fn report(shell: &mut Shell) {
    look(shell);
    for number in 1.. {
        let Some(last) = shell.jobs.all().map(|job| job.number).max() else { return };
        if number > last {
            return;
        }
        let sign = shell.jobs.sign(number);
        let Some(job) = shell.jobs.all().find(|job| job.number == number) else { continue };
        let state = job.state();
        if job.told != Some(state) {
            job.told = Some(state);
            tell(job, number, sign);
        }
        if matches!(state, State::Exited(_) | State::Killed(_)) {
            shell.jobs.take(number);
        }
    }
}

/// Lists all jobs, for `jobs`.
pub fn list(shell: &mut Shell) {
    look(shell);
    let signs: [char; 17] = core::array::from_fn(|number| shell.jobs.sign(number));
    for job in shell.jobs.all() {
        let state = job.state();
        let (number, text) = (job.number, job.text.as_str());
        let sign = signs.get(number).unwrap_or(&' ');
        let word = match state {
            State::Running => "running",
            State::Stopped(_) => "stopped",
            State::Exited(_) => "done",
            State::Killed(signal) => description(signal),
        };
        println!("[{number}]{sign} {word:9} {text}");
    }
}
