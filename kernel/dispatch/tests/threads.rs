//! Kernel threads: they begin, run, end, and are waited for.

#![cfg(not(feature = "loom"))]

mod common;

use common::{on, run, spawn, spawn_returning, system, wait_until};
use dispatch::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_thread_returns_its_result_to_who_joins_it() {
    common::model(|| {
        run(1, |may_fault| {
            let thread = spawn_returning(system(60), |_| 42);
            assert_eq!(thread.join(may_fault), 42);
        });
    });
}

#[test]
fn threads_run_on_several_processors() {
    common::model(|| {
        run(2, |may_fault| {
            let ran = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let ran = Arc::clone(&ran);
                    spawn(system(60), move |_| {
                        ran.fetch_add(1, Ordering::SeqCst);
                    })
                })
                .collect();
            for thread in threads {
                thread.join(may_fault);
            }
            assert_eq!(ran.load(Ordering::SeqCst), 2);
        });
    });
}

/// The next thread uses the object and the stack of the one before, whose processor may be standing on it
/// for a moment yet.
#[test]
fn a_stack_is_used_again_when_it_has_been_left() {
    common::model(|| {
        run(2, |may_fault| {
            for round in 0..4 {
                let thread = spawn_returning(on(1, 60), move |_| round);
                assert_eq!(thread.join(may_fault), round);
            }
        });
    });
}

#[test]
fn who_lets_go_of_a_thread_that_is_over_waits_until_its_stack_has_been_left() {
    common::model(|| {
        run(2, |may_fault| {
            for _ in 0..4 {
                let thread = spawn(on(1, 60), |_| {});
                wait_until(|| thread.thread().state() == State::Zombie);
                drop(thread);
            }
            spawn(on(1, 60), |_| {}).join(may_fault);
        });
    });
}
