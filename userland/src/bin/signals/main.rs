//! Checks of signals from user mode: handlers, masks, waiting, faults, stopping, interrupted calls, frames that lie.

#![no_std]
#![no_main]

mod actions;
mod calls;
mod faults;
mod frames;
mod jobs;
mod many;
mod waiting;

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::report::{Checks, Why};
use userland::{Arguments, fail, lwp, program};

program!(main);

const SIGHUP: i32 = 1;
const SIGILL: i32 = 4;
const SIGTRAP: i32 = 5;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGKILL: i32 = 9;
const SIGUSR1: i32 = 10;
const SIGSEGV: i32 = 11;
const SIGUSR2: i32 = 12;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;
const SIGTSTP: i32 = 20;

fn main(arguments: Arguments) -> i32 {
    // A child of one of the checks that has become this program anew.
    if arguments.words().next() == Some("child") {
        return jobs::after_execve();
    }
    let mut checks = Checks::new("signals");
    actions::run(&mut checks);
    waiting::run(&mut checks);
    calls::run(&mut checks);
    faults::run(&mut checks);
    jobs::run(&mut checks);
    frames::run(&mut checks);
    many::run(&mut checks);
    checks.finish()
}

/// How often each signal has been handled by [`count`].
pub static COUNTS: [AtomicU64; 65] = [const { AtomicU64::new(0) }; 65];

/// How often a signal has been handled.
pub fn counted(signal: i32) -> u64 {
    COUNTS[signal as usize].load(SeqCst)
}

/// A handler that counts.
pub extern "C" fn count(signal: i32, _: &abi::signals::SigInfo, _: &mut abi::signals::UserContext) {
    COUNTS[signal as usize].fetch_add(1, SeqCst);
}

/// No signal has been counted yet.
pub fn forget() {
    COUNTS.iter().for_each(|count| count.store(0, SeqCst));
}

/// Fails unless the two are the same.
pub fn same<T: PartialEq + core::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Why> {
    if found != expected {
        fail!("{what}: {found:?}, not {expected:?}");
    }
    Ok(())
}

/// Fails unless this succeeded.
pub fn done<T>(what: &str, result: Result<T, abi::errno::Errno>) -> Result<T, Why> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => fail!("{what}: {}", error.text()),
    }
}

/// A millisecond.
pub const MILLISECOND: u64 = 1_000_000;

/// Waits, sleeping, until something is so; at most ten seconds.
pub fn until(what: &str, is_so: impl Fn() -> bool) -> Result<(), Why> {
    for _ in 0..10_000 {
        if is_so() {
            return Ok(());
        }
        let _ = lwp::sleep(MILLISECOND);
    }
    fail!("{what} did not come about within ten seconds");
}
