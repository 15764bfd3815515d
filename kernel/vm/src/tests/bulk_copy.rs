//! Two threads of a processor that fill pages, one of which preempts the other: the second does without the vector
//! unit.

#![cfg(not(feature = "loom"))]

use super::*;
use crate::fault::allocate;
use crate::test_machine::dispatcher::real_time;
use crate::test_machine::{model, run, spawn, system};
use dispatch::{Dispatch, Semaphore};
use std::sync::Arc;

fn fill() {
    let page = allocate().expect("memory");
    clear(&page);
    page.free();
}

#[test]
fn who_is_preempted_while_it_fills_a_page_finds_its_registers() {
    model(|| {
        run(2, 128, |may_fault| {
            // Only threads of the real-time class take the processor from one in the kernel.
            let second = Dispatch::current().cpu(1).expect("it is there");
            let begin = Arc::new(Semaphore::new(0));
            let called = Arc::clone(&begin);
            let urgent = spawn(real_time(105).bound(second), move |may_fault| {
                called.p(may_fault);
                fill();
            });
            let other = spawn(system(62), |_| {
                fill();
                fill();
            });
            begin.v();
            urgent.join(may_fault);
            other.join(may_fault);
        });
    });
}
