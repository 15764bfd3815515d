//! A test of which one thread fails ends, whatever the others wait for. Plain threads only: the
//! checkers end by themselves.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use machine::SpinLock;
use machine::sim::{Quiet, run};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

/// Spins until something happens that never does.
fn spin_for_ever() {
    loop {
        machine::spin();
    }
}

#[test]
#[should_panic(expected = "on purpose")]
fn a_thread_that_spins_is_stopped_when_another_fails() {
    run(2, Quiet, |machine| {
        machine.start(0, |_| panic!("on purpose"));
        // Started last, so waited for first.
        machine.start(1, |_| spin_for_ever());
    });
}

#[test]
#[should_panic(expected = "on purpose")]
fn which_of_them_is_waited_for_first_does_not_matter() {
    run(2, Quiet, |machine| {
        machine.start(1, |_| spin_for_ever());
        machine.start(0, |_| panic!("on purpose"));
    });
}

#[test]
#[should_panic(expected = "on purpose")]
fn waiting_for_a_lock_is_spinning() {
    run(2, Quiet, |machine| {
        let lock: &'static SpinLock<(), 13> = machine.keep(SpinLock::new(()));
        let held: &'static AtomicBool = machine.keep(AtomicBool::new(false));
        machine.start(0, move |_| {
            std::mem::forget(lock.lock_anywhere());
            held.store(true, Ordering::Release);
            panic!("on purpose");
        });
        machine.start(1, move |_| {
            while !held.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            drop(lock.lock_anywhere());
        });
    });
}

#[test]
fn who_fails_in_the_body_stops_the_threads_too() {
    /// Says that the thread has come to its end.
    struct Over(&'static AtomicBool);

    impl Drop for Over {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }

    static OVER: AtomicBool = AtomicBool::new(false);
    let body = AssertUnwindSafe(|| {
        run(1, Quiet, |machine| {
            machine.start(0, |_| {
                let _over = Over(&OVER);
                spin_for_ever();
            });
            panic!("on purpose");
        });
    });
    assert!(catch_unwind(body).is_err());
    while !OVER.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
}
