//! Two threads of a processor that fill pages, one of which preempts the other: the second does without the vector
//! unit.

#![cfg(not(feature = "loom"))]

use super::*;
use crate::fault::allocate;
use crate::test_machine::dispatcher::{real_time, wait_until};
use crate::test_machine::{model, run, spawn, system};
use dispatch::{Dispatch, Semaphore};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn fill() {
    let page = allocate().expect("memory");
    clear(&page);
    page.free();
}

/// Plays it, the other one of the two `bound` to the processor of the urgent one, or anywhere. How often somebody did
/// without the unit, in all schedules together.
fn play(bound: bool) -> u64 {
    // The host's own counter, which no checker plays with.
    let all_missed = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&all_missed);
    model(move || {
        let sum = Arc::clone(&sum);
        run(2, 128, move |may_fault| {
            // Only threads of the real-time class take the processor from one in the kernel.
            let second = Dispatch::current().cpu(1).expect("it is there");
            let begin = Arc::new(Semaphore::new(0));
            let called = Arc::clone(&begin);
            let urgent = spawn(real_time(105).bound(second), move |may_fault| {
                called.p(may_fault);
                fill();
            });
            let attributes = if bound { system(62).bound(second) } else { system(62) };
            let other = spawn(attributes, |_| {
                (0..4).for_each(|_| fill());
            });
            // Then it has been lent, and perhaps still is.
            wait_until(|| !bound || second.cpu().vector_unit.counts().0 != 0);
            begin.v();
            urgent.join(may_fault);
            other.join(may_fault);
            let (lent, missed) = second.cpu().vector_unit.counts();
            assert!(lent != 0, "the urgent one, or who had it then");
            sum.fetch_add(missed, Ordering::Relaxed);
        });
    });
    all_missed.load(Ordering::Relaxed)
}

#[test]
fn who_is_preempted_while_it_fills_a_page_finds_its_registers() {
    play(false);
}

#[test]
fn who_preempts_one_that_fills_a_page_does_without_the_unit() {
    let missed = play(true);
    // On the host's own threads the one may always come before or after the other.
    assert!(!cfg!(feature = "shuttle") || missed != 0, "nobody had to do without");
}
