//! Stopping threads and letting them continue, wherever they are.

#![cfg(not(feature = "loom"))]

mod common;

use common::{on, run, spawn, system, wait_until};
use dispatch::kernel_thread::JoinHandle;
use dispatch::stop::{continue_thread, stop, stop_self};
use dispatch::{Semaphore, State, preempt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

#[test]
fn a_runnable_thread_is_stopped_at_once() {
    common::once(|| {
        run(1, |may_fault| {
            let ran = Arc::new(AtomicBool::new(false));
            let thread = {
                let ran = Arc::clone(&ran);
                spawn(system(60), move |_| ran.store(true, Ordering::SeqCst))
            };
            assert!(stop(thread.thread()));
            assert_eq!(thread.thread().state(), State::Stopped);
            preempt::yield_now();
            assert!(!ran.load(Ordering::SeqCst));
            assert!(stop(thread.thread()), "it still is");
            assert!(continue_thread(thread.thread()), "and one continue undoes both");
            thread.join(may_fault);
        });
    });
}

#[test]
fn a_running_thread_stops_on_its_way_to_user_mode() {
    common::model(|| {
        run(2, |may_fault| {
            let (turns, over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
            let thread = {
                let (turns, over) = (Arc::clone(&turns), Arc::clone(&over));
                spawn(on(1, 61), move |may_fault| {
                    while !over.load(Ordering::SeqCst) {
                        turns.fetch_add(1, Ordering::SeqCst);
                        preempt::asynchronous_work(may_fault);
                        machine::spin();
                    }
                })
            };
            wait_until(|| turns.load(Ordering::SeqCst) != 0);
            stop(thread.thread());
            wait_until(|| thread.thread().state() == State::Stopped);
            let before = turns.load(Ordering::SeqCst);
            preempt::yield_now();
            assert_eq!(turns.load(Ordering::SeqCst), before);
            assert!(continue_thread(thread.thread()));
            wait_until(|| turns.load(Ordering::SeqCst) > before);
            over.store(true, Ordering::SeqCst);
            thread.join(may_fault);
        });
    });
}

/// A semaphore without units, and a thread that sleeps on processor 1 until it has one.
fn semaphore_and_sleeper() -> (Arc<Semaphore>, JoinHandle) {
    let semaphore = Arc::new(Semaphore::new(0));
    let sleeper = {
        let semaphore = Arc::clone(&semaphore);
        spawn(on(1, 61), move |may_fault| semaphore.p(may_fault))
    };
    wait_until(|| semaphore.waiters() == 1);
    (semaphore, sleeper)
}

#[test]
fn a_sleeping_thread_is_stopped_instead_of_woken_and_keeps_what_it_was_woken_for() {
    common::model(|| {
        run(2, |may_fault| {
            let (semaphore, thread) = semaphore_and_sleeper();
            assert!(!stop(thread.thread()));
            assert_eq!(thread.thread().state(), State::Sleep);
            semaphore.v();
            assert_eq!(thread.thread().state(), State::Stopped);
            assert_eq!((semaphore.waiters(), semaphore.units()), (0, 0));
            assert!(continue_thread(thread.thread()));
            thread.join(may_fault);
        });
    });
}

#[test]
fn a_wish_is_taken_back_before_it_is_fulfilled() {
    common::model(|| {
        run(2, |may_fault| {
            let (semaphore, thread) = semaphore_and_sleeper();
            stop(thread.thread());
            assert!(!continue_thread(thread.thread()));
            semaphore.v();
            thread.join(may_fault);
        });
    });
}

#[test]
fn stop_continue_and_wake_up_at_the_same_time_lose_nobody() {
    common::model(|| {
        run(2, |may_fault| {
            let semaphore = Arc::new(Semaphore::new(0));
            let thread = {
                let semaphore = Arc::clone(&semaphore);
                spawn(on(1, 61), move |may_fault| {
                    for _ in 0..2 {
                        semaphore.p(may_fault);
                        preempt::asynchronous_work(may_fault);
                    }
                })
            };
            let target = thread.thread();
            let stopper = spawn(on(0, 61), move |_| {
                stop(target);
                continue_thread(target);
            });
            semaphore.v();
            semaphore.v();
            stopper.join(may_fault);
            thread.join(may_fault);
        });
    });
}

#[test]
fn a_thread_that_stops_itself_waits_for_who_lets_it_continue() {
    common::model(|| {
        run(2, |may_fault| {
            let passed = Arc::new(AtomicBool::new(false));
            let thread = {
                let passed = Arc::clone(&passed);
                spawn(system(61), move |may_fault| {
                    stop_self(may_fault);
                    passed.store(true, Ordering::SeqCst);
                })
            };
            wait_until(|| thread.thread().state() == State::Stopped);
            assert!(!passed.load(Ordering::SeqCst));
            assert!(continue_thread(thread.thread()));
            thread.join(may_fault);
            assert!(passed.load(Ordering::SeqCst));
        });
    });
}

#[test]
fn a_thread_that_is_over_is_neither_stopped_nor_continued() {
    common::once(|| {
        run(1, |may_fault| {
            let thread = spawn(system(61), |_| {});
            preempt::yield_now();
            assert_eq!(thread.thread().state(), State::Zombie);
            assert!(!stop(thread.thread()));
            assert!(!continue_thread(thread.thread()));
            thread.join(may_fault);
        });
    });
}
