//! Checks of open files from user mode: descriptors, reading and writing, pipes, waiting for several, the terminal.

#![no_std]
#![no_main]

mod descriptors;
mod pipes;
mod polling;
mod reading;
mod terminals;

use abi::calls::Counter;
use abi::errno::Errno;
use core::ptr;
use userland::report::{Checks, Why};
use userland::system::{self, counter, raw};
use userland::{Arguments, fail, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    match words.next() {
        // A child of one of the checks that has become this program anew.
        Some("child") => return descriptors::after_execve(),
        // What is typed is part of the check.
        Some("typing") => return terminals::typing(),
        _ => {}
    }
    let mut checks = Checks::new("files");
    let before = what_is_open();
    descriptors::run(&mut checks);
    reading::run(&mut checks);
    pipes::run(&mut checks);
    polling::run(&mut checks);
    terminals::run(&mut checks);
    checks.check(format_args!("everything-is-closed-in-the-end"), || {
        same("open files and pipes", what_is_open(), before)
    });
    checks.finish()
}

fn what_is_open() -> [u64; 2] {
    [counter(Counter::OpenFiles), counter(Counter::Pipes)]
}

/// Compares what was found with what was expected.
fn same<T: PartialEq + core::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), Why> {
    if found != expected {
        fail!("{what}: expected {expected:?}, found {found:?}");
    }
    Ok(())
}

/// The value of a call that must not fail.
fn done<T>(what: &str, result: Result<T, Errno>) -> Result<T, Why> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => fail!("{what}: {}", error.text()),
    }
}

/// Begins a child.
fn begin(body: impl FnOnce() -> i32) -> Result<u64, Why> {
    // SAFETY: the child goes on in a copy of all memory.
    match unsafe { raw::fork() } {
        Ok(0) => system::exit_group(body()),
        result => done("fork", result),
    }
}

/// Waits for a child, which has to exit with 0.
fn end(child: u64) -> Result<(), Why> {
    let mut status = -1;
    // SAFETY: the status is the call's to write.
    let waited = unsafe { raw::wait4(child as i32, &raw mut status, 0, ptr::null_mut()) };
    same("waiting for a child", (waited, status), (Ok(child), 0))
}

/// Waits so many milliseconds, so that somebody else gets to sleep.
fn pause(milliseconds: i32) {
    // No descriptors: nothing comes.
    let _ = userland::files::poll(&mut [], milliseconds);
}

/// Milliseconds since boot.
fn now() -> i64 {
    let time = system::monotonic_time();
    time.seconds * 1000 + time.nanoseconds / 1_000_000
}
