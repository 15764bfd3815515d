//! Callouts: in time, in order, cancelled for certain.

#![cfg(not(feature = "loom"))]

mod common;

use common::{advance, cpu, on, run, spawn, system, wait_until};
use dispatch::callout::{migrate_callouts, pending_callouts};
use dispatch::kernel_thread::JoinHandle;
use dispatch::sleep_queue::interrupt;
use dispatch::{Callout, CpuDispatch, Woken, sleep};
use machine::{Atomic, time};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// What a handler gets as its argument.
fn argument<T>(value: &T) -> usize {
    std::ptr::from_ref(value).expose_provenance()
}

/// # Safety
///
/// From [`argument`], and the value still lives.
unsafe fn value<'a, T>(argument: usize) -> &'a T {
    // SAFETY: the caller's promise.
    unsafe { &*std::ptr::with_exposed_provenance(argument) }
}

fn add_one(argument: usize, _: &Atomic) {
    // SAFETY: every test lets the counter live until the callouts are over.
    let counter: &AtomicU32 = unsafe { value(argument) };
    counter.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn they_come_when_they_are_due_in_order_of_time_and_then_of_arming() {
    common::once(|| {
        run(1, |_| {
            static ORDER: std::sync::Mutex<Vec<usize>> = std::sync::Mutex::new(Vec::new());
            fn note(argument: usize, _: &Atomic) {
                ORDER.lock().unwrap().push(argument);
            }
            let callouts: Vec<Pin<Box<Callout>>> =
                (0..6).map(|_| Box::pin(Callout::new())).collect();
            for (number, deadline) in [30, 10, 20, 10, 20, 10].into_iter().enumerate() {
                assert!(!callouts[number].as_ref().arm(deadline, note, number));
            }
            assert_eq!(pending_callouts(cpu(0)), 6);
            advance(9);
            assert!(ORDER.lock().unwrap().is_empty());
            advance(1);
            assert_eq!(*ORDER.lock().unwrap(), [1, 3, 5]);
            advance(100);
            assert_eq!(*ORDER.lock().unwrap(), [1, 3, 5, 2, 4, 0]);
            assert_eq!(pending_callouts(cpu(0)), 0);
        });
    });
}

#[test]
fn arming_again_replaces_and_cancelling_says_whether_it_was_to_come() {
    common::once(|| {
        run(1, |_| {
            let calls = AtomicU32::new(0);
            let callout = pin!(Callout::new());
            let callout = callout.as_ref();
            assert!(!callout.cancel());
            assert!(!callout.arm(10, add_one, argument(&calls)));
            assert!(callout.arm(20, add_one, argument(&calls)));
            advance(10);
            assert_eq!(calls.load(Ordering::SeqCst), 0);
            assert!(callout.arm(5, add_one, argument(&calls)), "the old time was to come");
            machine::sim::interrupt_point();
            assert_eq!(calls.load(Ordering::SeqCst), 1, "what is past comes at once");
            assert!(!callout.cancel());
            callout.arm(30, add_one, argument(&calls));
            assert!(callout.is_pending());
            assert!(callout.cancel_and_wait());
            advance(100);
            assert_eq!(calls.load(Ordering::SeqCst), 1);
        });
    });
}

/// A callout that arms itself again, a few times.
struct Periodic {
    callout: Callout,
    calls: AtomicU32,
}

fn again(argument: usize, _: &Atomic) {
    // SAFETY: dropping the callout waits for this.
    let periodic: &Periodic = unsafe { value(argument) };
    if periodic.calls.fetch_add(1, Ordering::SeqCst) < 3 {
        // SAFETY: pinned by the test.
        let callout = unsafe { Pin::new_unchecked(&periodic.callout) };
        callout.arm(time::now() + 10, again, argument);
    }
}

/// Such a callout, and a thread on processor 1 that arms it for time 10.
fn periodic_and_who_arms_it() -> (Pin<Arc<Periodic>>, JoinHandle) {
    let periodic = Arc::pin(Periodic { callout: Callout::new(), calls: AtomicU32::new(0) });
    let arms = {
        let periodic = Pin::clone(&periodic);
        spawn(on(1, 61), move |_| {
            // SAFETY: a field of what is pinned, and pinned with it.
            let callout = unsafe { periodic.as_ref().map_unchecked(|p| &p.callout) };
            callout.arm(10, again, argument(&*periodic));
        })
    };
    (periodic, arms)
}

#[test]
fn a_handler_may_arm_its_own_callout_and_cancelling_ends_that_too() {
    common::model(|| {
        run(2, |may_fault| {
            let (periodic, arms) = periodic_and_who_arms_it();
            advance(10);
            advance(10);
            periodic.callout.cancel_and_wait();
            arms.join(may_fault);
            periodic.callout.cancel_and_wait();
            assert!(!periodic.callout.is_pending());
            let calls = periodic.calls.load(Ordering::SeqCst);
            advance(100);
            assert_eq!(periodic.calls.load(Ordering::SeqCst), calls);
        });
    });
}

/// What a handler that takes its time has done.
#[derive(Default)]
struct Slow {
    begun: AtomicBool,
    done: AtomicBool,
}

fn takes_its_time(argument: usize, _: &Atomic) {
    // SAFETY: the test lets it live until the machine is gone.
    let slow: &Slow = unsafe { value(argument) };
    slow.begun.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        machine::spin();
    }
    slow.done.store(true, Ordering::SeqCst);
}

/// A thread that arms the callout on processor 1, and moves the time on to when it is due.
fn arms_and_lets_it_come(callout: &Pin<Arc<Callout>>, slow: &Arc<Slow>) -> JoinHandle {
    let (callout, slow) = (Pin::clone(callout), Arc::clone(slow));
    spawn(on(1, 61), move |_| {
        callout.as_ref().arm(10, takes_its_time, argument(&*slow));
        advance(10);
    })
}

#[test]
fn cancelling_with_waiting_leaves_no_handler_running() {
    common::model(|| {
        run(2, |may_fault| {
            let slow = Arc::new(Slow::default());
            let callout = Arc::pin(Callout::new());
            let arms = arms_and_lets_it_come(&callout, &slow);
            wait_until(|| callout.is_pending() || slow.begun.load(Ordering::SeqCst));
            let was_pending = callout.cancel_and_wait();
            let begun = slow.begun.load(Ordering::SeqCst);
            assert_eq!(slow.done.load(Ordering::SeqCst), begun, "the handler still runs");
            assert_ne!(was_pending, begun, "it was to come, or it has");
            arms.join(may_fault);
            assert_eq!(slow.begun.load(Ordering::SeqCst), begun, "it came after all");
        });
    });
}

#[test]
fn a_callout_is_dropped_only_when_its_handler_is_done() {
    common::model(|| {
        run(2, |may_fault| {
            let slow = Arc::new(Slow::default());
            let callout = Arc::pin(Callout::new());
            let armed = Arc::new(AtomicBool::new(false));
            let arms = {
                let (slow, armed, callout) =
                    (Arc::clone(&slow), Arc::clone(&armed), Pin::clone(&callout));
                spawn(on(1, 61), move |_| {
                    callout.as_ref().arm(10, takes_its_time, argument(&*slow));
                    drop(callout);
                    armed.store(true, Ordering::SeqCst);
                    advance(10);
                })
            };
            let drops = {
                let slow = Arc::clone(&slow);
                spawn(on(0, 61), move |_| {
                    wait_until(|| armed.load(Ordering::SeqCst));
                    drop(callout);
                    let begun = slow.begun.load(Ordering::SeqCst);
                    assert_eq!(slow.done.load(Ordering::SeqCst), begun, "the handler still runs");
                })
            };
            drops.join(may_fault);
            arms.join(may_fault);
        });
    });
}

#[test]
fn arming_elsewhere_does_not_hide_a_handler_that_runs() {
    common::model(|| {
        run(2, |may_fault| {
            let slow = Arc::new(Slow::default());
            let callout = Arc::pin(Callout::new());
            let arms = arms_and_lets_it_come(&callout, &slow);
            let arms_again = spawn(on(0, 61), move |_| {
                wait_until(|| slow.begun.load(Ordering::SeqCst));
                callout.as_ref().arm(u64::MAX - 1, takes_its_time, argument(&*slow));
                assert!(callout.cancel_and_wait());
                assert!(slow.done.load(Ordering::SeqCst), "the handler still runs");
            });
            arms_again.join(may_fault);
            arms.join(may_fault);
        });
    });
}

#[test]
fn a_handler_that_waits_for_itself_is_told() {
    common::once(|| {
        run(1, |_| {
            static TOLD: AtomicBool = AtomicBool::new(false);
            fn wait_for_myself(argument: usize, _: &Atomic) {
                // SAFETY: the test lets it live.
                let callout: &Callout = unsafe { value(argument) };
                let wait = std::panic::AssertUnwindSafe(|| callout.cancel_and_wait());
                let error = std::panic::catch_unwind(wait).unwrap_err();
                let message = error.downcast_ref::<&str>().copied().unwrap_or_default();
                TOLD.store(message.contains("waits for its own end"), Ordering::SeqCst);
            }
            let callout = pin!(Callout::new());
            let callout = callout.as_ref();
            callout.arm(1, wait_for_myself, argument(callout.get_ref()));
            advance(1);
            assert!(TOLD.load(Ordering::SeqCst));
        });
    });
}

#[test]
fn of_several_who_arm_one_callout_the_last_wins_and_it_comes_once() {
    common::model(|| {
        run(2, |may_fault| {
            let calls = Arc::new(AtomicU32::new(0));
            let callout = Arc::pin(Callout::new());
            let armers: Vec<_> = (0..2)
                .map(|index| {
                    let (calls, callout) = (Arc::clone(&calls), Pin::clone(&callout));
                    spawn(on(index, 61), move |_| {
                        callout.as_ref().arm(10 + index as u64, add_one, argument(&*calls));
                    })
                })
                .collect();
            for armer in armers {
                armer.join(may_fault);
            }
            assert_eq!(pending_callouts(cpu(0)) + pending_callouts(cpu(1)), 1);
            advance(20);
            wait_until(|| calls.load(Ordering::SeqCst) != 0);
            assert!(!callout.cancel_and_wait());
            assert_eq!(calls.load(Ordering::SeqCst), 1);
        });
    });
}

#[test]
fn migrated_callouts_come_on_the_other_processor() {
    common::model(|| {
        run(2, |may_fault| {
            static WHERE: AtomicUsize = AtomicUsize::new(0);
            fn note(_: usize, atomic: &Atomic) {
                WHERE.fetch_or(1 << CpuDispatch::current(atomic).index(), Ordering::SeqCst);
            }
            WHERE.store(0, Ordering::SeqCst);
            let callouts: Vec<_> = (0..3).map(|_| Arc::pin(Callout::new())).collect();
            let arms = {
                let callouts = callouts.clone();
                spawn(on(1, 61), move |_| {
                    for (callout, deadline) in callouts.iter().zip([30, 10, 20]) {
                        callout.as_ref().arm(deadline, note, 0);
                    }
                })
            };
            arms.join(may_fault);
            migrate_callouts(cpu(1), cpu(0));
            assert_eq!((pending_callouts(cpu(0)), pending_callouts(cpu(1))), (3, 0));
            assert!(callouts[2].cancel(), "it is found in its new home");
            advance(40);
            wait_until(|| pending_callouts(cpu(0)) == 0);
            for callout in &callouts {
                callout.cancel_and_wait();
            }
            assert_eq!(WHERE.load(Ordering::SeqCst), 1);
        });
    });
}

#[test]
fn migrating_waits_for_a_handler_that_runs_and_finds_what_that_arms() {
    common::model(|| {
        run(2, |may_fault| {
            let (periodic, arms) = periodic_and_who_arms_it();
            arms.join(may_fault);
            advance(10);
            migrate_callouts(cpu(1), cpu(0));
            assert_eq!(pending_callouts(cpu(1)), 0);
            assert!(periodic.callout.is_pending());
            wait_until(|| {
                advance(10);
                periodic.calls.load(Ordering::SeqCst) == 4
            });
            periodic.callout.cancel_and_wait();
        });
    });
}

#[test]
fn threads_sleep_for_as_long_as_they_said() {
    common::model(|| {
        run(2, |may_fault| {
            let sleepers: Vec<_> = [(0, 30), (1, 10), (1, 20)]
                .into_iter()
                .map(|(on_cpu, ticks)| {
                    spawn(on(on_cpu, 61), move |may_fault| {
                        sleep::delay(ticks, may_fault);
                        assert!(time::now() >= ticks);
                    })
                })
                .collect();
            let asleep = |thread: &dispatch::kernel_thread::JoinHandle| {
                thread.thread().state() == dispatch::State::Sleep
            };
            wait_until(|| sleepers.iter().all(asleep));
            for _ in 0..3 {
                advance(10);
            }
            for sleeper in sleepers {
                sleeper.join(may_fault);
            }
        });
    });
}

#[test]
fn a_sleep_for_a_time_can_be_interrupted() {
    common::model(|| {
        run(2, |may_fault| {
            let sleeper = spawn(system(61), |may_fault| {
                let why = sleep::sleep_until_interruptible(u64::MAX - 1, may_fault);
                assert_eq!(why, Woken::BySignal);
            });
            interrupt(sleeper.thread());
            sleeper.join(may_fault);
        });
    });
}
