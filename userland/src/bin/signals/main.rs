//! Checks of signals from user mode: handlers, masks, faults, stopping, and frames that lie.

#![no_std]
#![no_main]

mod faults;
mod handlers;
mod lies;
mod processes;
mod waiting;

use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};
use userland::report::Checks;
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    if arguments.words().next() == Some("child") {
        return processes::after_execve();
    }
    let mut checks = Checks::new("signals");
    handlers::run(&mut checks);
    waiting::run(&mut checks);
    faults::run(&mut checks);
    processes::run(&mut checks);
    lies::run(&mut checks);
    checks.finish()
}

pub(crate) const SIGINT: i32 = 2;
pub(crate) const SIGILL: i32 = 4;
pub(crate) const SIGTRAP: i32 = 5;
pub(crate) const SIGBUS: i32 = 7;
pub(crate) const SIGFPE: i32 = 8;
pub(crate) const SIGKILL: i32 = 9;
pub(crate) const SIGUSR1: i32 = 10;
pub(crate) const SIGSEGV: i32 = 11;
pub(crate) const SIGUSR2: i32 = 12;
pub(crate) const SIGALRM: i32 = 14;
pub(crate) const SIGTERM: i32 = 15;
pub(crate) const SIGCHLD: i32 = 17;
pub(crate) const SIGCONT: i32 = 18;
pub(crate) const SIGSTOP: i32 = 19;

/// How often [`note`] has run, and for what it ran last.
pub(crate) static RUNS: AtomicU64 = AtomicU64::new(0);
pub(crate) static LAST: AtomicI32 = AtomicI32::new(0);
pub(crate) static CODE: AtomicI32 = AtomicI32::new(0);
pub(crate) static FIELD: AtomicU64 = AtomicU64::new(0);

/// A handler that notes that it has run.
pub(crate) extern "C" fn note(
    signal: i32,
    information: &abi::signals::SigInfo,
    _: &mut abi::signals::UserContext,
) {
    LAST.store(signal, SeqCst);
    CODE.store(information.code, SeqCst);
    FIELD.store(information.fields[0], SeqCst);
    RUNS.fetch_add(1, SeqCst);
}

/// How often [`note`] runs meanwhile.
pub(crate) fn runs(act: impl FnOnce()) -> u64 {
    let before = RUNS.load(SeqCst);
    act();
    RUNS.load(SeqCst) - before
}
