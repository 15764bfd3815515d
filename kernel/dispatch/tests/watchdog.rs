//! The watchdog: who waits for ever says so, and names the cycle.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::{DispatcherHooks, with_dispatcher};
use dispatch::disp_lock::LockClass;
use dispatch::{DispLock, Thread, start, watchdog};
use machine::sim;
use machine::{Pil, pil};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Two processors take two locks in opposite orders. What they panic with, and the report meanwhile.
fn deadlock() -> (Vec<String>, String) {
    let report = Arc::new(Mutex::new(String::new()));
    let reported = Arc::clone(&report);
    let messages = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&messages);
    with_dispatcher(2, DispatcherHooks, move |machine, dispatch| {
        dispatch.set_watchdog_limit(1000);
        let locks: &'static [DispLock; 2] =
            machine.keep([DispLock::new(LockClass::Test), DispLock::new(LockClass::Test)]);
        let arrived = Arc::new(AtomicUsize::new(0));
        for index in 0..2 {
            let idle: &'static Thread = machine.keep(Thread::of_running_code());
            let arrived = Arc::clone(&arrived);
            let messages = Arc::clone(&messages);
            machine.start(index, move |_| {
                start::begin_as_idle(dispatch.cpu(index).unwrap(), idle);
                let waits = AssertUnwindSafe(|| {
                    let level = pil::raise_anywhere(Pil::DISP);
                    let _first = locks[index].enter_high(level.atomic());
                    arrived.fetch_add(1, Ordering::SeqCst);
                    while arrived.load(Ordering::SeqCst) < 2 {
                        machine::spin();
                    }
                    let _second = locks[1 - index].enter_high(level.atomic());
                });
                if let Err(panic) = catch_unwind(waits) {
                    messages.lock().unwrap().push(*panic.downcast::<String>().unwrap());
                }
            });
        }
        while !locks.iter().all(DispLock::is_held) {
            std::thread::yield_now();
        }
        report.lock().unwrap().push_str(&watchdog::Report(dispatch).to_string());
        while messages_are_missing(&arrived) {
            sim::advance(machine.system(), 100);
            arrived.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    });
    let (messages, report) = (all.lock().unwrap().clone(), reported.lock().unwrap().clone());
    (messages, report)
}

/// Time goes on for a while, far beyond the limit.
fn messages_are_missing(turns: &AtomicUsize) -> bool {
    turns.load(Ordering::SeqCst) < 100
}

#[test]
fn a_deadlock_is_noticed_and_its_cycle_named() {
    let (messages, report) = deadlock();
    let first = messages.first().expect("a processor barks");
    assert!(first.contains("waits for ever for a lock of class Test"), "{first}");
    assert!(first.contains("a cycle of locks: "), "{first}");
    for index in [0, 1] {
        let waits = format!("processor {index} waits for a lock of class Test at ");
        let held = format!(", held by processor {index}");
        assert!(first.contains(&waits) && first.contains(&held), "{index} is missing: {first}");
        let thread_lock = format!("its lock is the thread lock of processor {index}");
        assert!(report.contains(&thread_lock), "{thread_lock} is missing: {report}");
    }
    for line in ["processor 0, on line", "processor 1, on line", "  holds a lock of class Test"] {
        assert!(report.contains(line), "{line} is missing: {report}");
    }
}
