//! What is printed: each round as it goes, and at the end what has happened, in words.

use crate::many::Outcome;
use core::fmt;
use libsa::runtime::{self, Mode};
use userland::clock;
use userland::println;

/// Says what begins.
pub fn begin(what: fmt::Arguments<'_>) {
    let (mode, processors) = (runtime::mode(), runtime::scheduler().processors());
    let how = match mode {
        Mode::Sa => "scheduler activations",
        Mode::Lwp => "an LWP for each thread",
        Mode::Mux => "virtual processors without upcalls",
    };
    if mode == Mode::Lwp {
        println!("{what}: {how}");
    } else {
        println!("{what} on {processors} virtual processors: {how}");
    }
}

/// Does a round, and says what came of it.
pub fn round(name: &str, act: impl FnOnce() -> Outcome) -> bool {
    let (begun, before) = (clock::nanoseconds(), runtime::counts());
    let outcome = act();
    let (time, after) = (clock::nanoseconds() - begun, runtime::counts());
    let spawned = after.spawned - before.spawned;
    let verdict = if outcome.is_ok() { "right" } else { "WRONG" };
    println!("{verdict}: {name:<52} {spawned:>7} threads  {:>6} ms", time / 1_000_000);
    if let Err(why) = &outcome {
        println!("       {why}");
    }
    outcome.is_ok()
}

/// Says what has happened.
pub fn end() {
    let counts = runtime::counts();
    let [new, preempted, blocked, unblocked, signal, slices, woken] = counts.events;
    if runtime::mode() == Mode::Sa {
        println!("what the kernel told the thread library, by upcalls:");
        println!("  {new:>9}  NEWPROC    a virtual processor has a processor");
        println!(
            "  {blocked:>9}  BLOCKED    a thread sleeps in the kernel; its virtual processor goes on"
        );
        println!("  {:>9}             of these it waits for a page", counts.faults);
        println!("  {unblocked:>9}  UNBLOCKED  it can go on");
        println!("  {preempted:>9}  PREEMPTED  a virtual processor has lost its processor");
        println!("  {slices:>9}  SIGEV      a thread's time slice is over");
        println!("  {woken:>9}  USER       a virtual processor that idled was woken for a thread");
        println!("  {signal:>9}  SIGNAL     a signal");
        println!(
            "  {:>9}  came while the library itself was at work, and were put off",
            counts.put_off
        );
        println!(
            "  {:>9}  threads blocked in the library, and were continued first",
            counts.put_back
        );
    }
    println!("what the library did:");
    println!("  {:>9}  threads made", counts.spawned);
    println!("  {:>9}  times took threads from another virtual processor", counts.steals);
    println!("  {:>9}  times a virtual processor had nothing to do", counts.idles);
}
