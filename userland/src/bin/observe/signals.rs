//! Stops at signals.

use crate::child::{
    NANOSLEEP, SIGTERM, exited, getpid, go_on, kill, next_is, observed, sleep, then, wait_is,
};
use abi::observe::{
    AFTER_CALL, AT_END, AT_SIGNAL, OBSERVE_AFTER, OBSERVE_END, OBSERVE_SIGNALS, ObserveChange,
    SWALLOW,
};
use core::ptr;
use userland::fail;
use userland::report::{Checks, Why};
use userland::system::{self, raw};

const SIGSEGV: i32 = 11;
const TERMINATED: u64 = SIGTERM as u64;

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-signal-is-acted-on"), delivered);
    checks.check(format_args!("a-signal-is-swallowed"), swallowed);
    checks.check(format_args!("a-fault-is-seen-before-it-ends-the-process"), fault);
    checks.check(format_args!("a-sleep-goes-on-after-a-signal-that-is-swallowed"), interrupted);
}

/// A child that sends itself a signal, and exits with 5 if it survives.
fn terminated_child() -> Result<u64, Why> {
    observed(OBSERVE_SIGNALS | OBSERVE_END, || {
        let own = getpid().unwrap_or(0) as i32;
        // SAFETY: the call writes to no memory.
        let _ = unsafe { raw::kill(own, SIGTERM) };
        5
    })
}

fn delivered() -> Result<(), Why> {
    let child = terminated_child()?;
    let event = next_is(AT_SIGNAL, TERMINATED)?;
    if event.arguments[1] != child {
        fail!("it was sent by {}", event.arguments[1]);
    }
    go_on(&event)?;
    let end = next_is(AT_END, TERMINATED)?;
    if end.result != TERMINATED {
        fail!("the end is {:#x}", end.result);
    }
    wait_is(child, SIGTERM)
}

fn swallowed() -> Result<(), Why> {
    let child = terminated_child()?;
    let event = next_is(AT_SIGNAL, TERMINATED)?;
    then(&event, SWALLOW, ObserveChange::default())?;
    next_is(AT_END, 0)?;
    wait_is(child, exited(5))
}

fn fault() -> Result<(), Why> {
    const NOWHERE: usize = 0x5555_5555_5000;
    let child = observed(OBSERVE_SIGNALS, || {
        // SAFETY: nothing is there, so the child ends; that is what it is for.
        unsafe { ptr::with_exposed_provenance::<i32>(NOWHERE).read_volatile() }
    })?;
    let event = next_is(AT_SIGNAL, SIGSEGV as u64)?;
    if event.arguments[1] != NOWHERE as u64 {
        fail!("it is about {:#x}", event.arguments[1]);
    }
    // Swallowed, the instruction faults again.
    then(&event, SWALLOW, ObserveChange::default())?;
    let event = next_is(AT_SIGNAL, SIGSEGV as u64)?;
    go_on(&event)?;
    wait_is(child, SIGSEGV)
}

fn interrupted() -> Result<(), Why> {
    const LENGTH: u64 = 300;
    let start = now();
    let child =
        observed(OBSERVE_SIGNALS | OBSERVE_AFTER, || i32::from(sleep(LENGTH as i64) != Ok(0)))?;
    let _ = sleep(30);
    kill(child, SIGTERM)?;
    // What interrupts it is seen after the call, which is not over yet.
    let mut event = next_is(AFTER_CALL, NANOSLEEP)?;
    while event.kind == AFTER_CALL && (event.result as i64) < 0 {
        go_on(&event)?;
        event = next_is(AT_SIGNAL, TERMINATED)?;
        then(&event, SWALLOW, ObserveChange::default())?;
        event = next_is(AFTER_CALL, NANOSLEEP)?;
    }
    if now() - start < LENGTH {
        fail!("it slept {} ms", now() - start);
    }
    go_on(&event)?;
    wait_is(child, 0)
}

/// Milliseconds since boot.
fn now() -> u64 {
    let time = system::monotonic_time();
    time.seconds as u64 * 1000 + time.nanoseconds as u64 / 1_000_000
}
