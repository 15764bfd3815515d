//! Condition variables: no wake-up is lost, every wait has exactly one outcome.

#![cfg(not(feature = "loom"))]

mod common;

use common::{advance, cpu, on, real_time, run, spawn, system, wait_until};
use dispatch::kernel_thread::{Attributes, JoinHandle};
use dispatch::sleep_queue::{interrupt, take_interrupt};
use dispatch::{Condvar, Dispatch, Mutex, Woken, sleep};
use machine::MayFault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A number behind a mutex, and a condition variable for its changes.
struct Shared {
    value: Mutex<u32>,
    changed: Condvar,
}

fn shared() -> Arc<Shared> {
    Arc::new(Shared { value: Mutex::new(0), changed: Condvar::new() })
}

/// Starts a thread that works with it.
fn spawn_with(
    shared: &Arc<Shared>,
    attributes: Attributes,
    body: impl FnOnce(&Shared, &mut MayFault) + Send + 'static,
) -> JoinHandle {
    let shared = Arc::clone(shared);
    spawn(attributes, move |may_fault| body(&shared, may_fault))
}

#[test]
fn ping_pong_between_two_processors_that_halt_loses_no_wake_up() {
    common::model(|| {
        run(2, |may_fault| {
            let shared = shared();
            let players: Vec<_> = (0..2)
                .map(|own| {
                    spawn_with(&shared, on(own as usize, 61), move |shared, may_fault| {
                        for _ in 0..4 {
                            let mut turn = shared.value.lock(may_fault);
                            while *turn % 2 != own {
                                turn = shared.changed.wait(turn, may_fault);
                            }
                            *turn += 1;
                            drop(turn);
                            shared.changed.signal();
                        }
                    })
                })
                .collect();
            for player in players {
                player.join(may_fault);
            }
            assert_eq!(*shared.value.lock(may_fault), 8);
        });
    });
}

#[test]
fn broadcast_wakes_all_that_wait() {
    common::model(|| {
        run(2, |may_fault| {
            let shared = shared();
            let waiters: Vec<_> = (0..3)
                .map(|_| {
                    spawn_with(&shared, system(60), |shared, may_fault| {
                        let mut open = shared.value.lock(may_fault);
                        while *open == 0 {
                            open = shared.changed.wait(open, may_fault);
                        }
                    })
                })
                .collect();
            *shared.value.lock(may_fault) = 1;
            shared.changed.broadcast();
            for waiter in waiters {
                waiter.join(may_fault);
            }
            assert_eq!(shared.changed.waiters(), 0);
        });
    });
}

#[test]
fn signals_go_to_the_highest_priority_and_then_to_the_longest_waiting() {
    common::once(|| {
        run(1, |may_fault| {
            let shared = shared();
            let order = Arc::new(std::sync::Mutex::new(Vec::new()));
            let waiters: Vec<_> = [62, 64, 62, 63]
                .into_iter()
                .enumerate()
                .map(|(number, priority)| {
                    let (shared, order) = (Arc::clone(&shared), Arc::clone(&order));
                    let waiter = spawn(system(priority), move |may_fault| {
                        let guard = shared.value.lock(may_fault);
                        drop(shared.changed.wait(guard, may_fault));
                        order.lock().unwrap().push(number);
                    });
                    // Before the next arrives.
                    dispatch::preempt::yield_now();
                    waiter
                })
                .collect();
            for woken in 1..=4 {
                shared.changed.signal();
                wait_until(|| order.lock().unwrap().len() == woken);
            }
            for waiter in waiters {
                waiter.join(may_fault);
            }
            assert_eq!(*order.lock().unwrap(), [1, 3, 0, 2]);
        });
    });
}

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    common::model(|| {
        run(2, |may_fault| {
            let shared = shared();
            let waiter = spawn_with(&shared, on(1, 61), |shared, may_fault| {
                let guard = shared.value.lock(may_fault);
                let (guard, why) = shared.changed.wait_until(guard, 100, may_fault);
                assert_eq!(why, Woken::ByTime);
                assert!(machine::time::now() >= 100);
                drop(guard);
            });
            wait_until(|| shared.changed.waiters() == 1);
            advance(99);
            assert_eq!(shared.changed.waiters(), 1);
            advance(1);
            waiter.join(may_fault);
        });
    });
}

#[test]
fn a_deadline_in_the_past_releases_the_mutex_and_takes_it_again() {
    common::once(|| {
        run(1, |may_fault| {
            advance(50);
            let shared = shared();
            let guard = shared.value.lock(may_fault);
            let (guard, why) = shared.changed.wait_until(guard, 10, may_fault);
            assert_eq!((*guard, why), (0, Woken::ByTime));
        });
    });
}

/// Two threads wait; one of them may also be woken otherwise, which happens at the same time as one
/// signal. If the signal did not reach the first, it must have reached the second.
fn signal_against(
    wait: fn(&Shared, &mut MayFault) -> Woken,
    other: fn(&'static dispatch::Thread),
    otherwise: Woken,
) {
    common::model(move || {
        run(2, move |may_fault| {
            let shared = shared();
            let first = {
                let shared = Arc::clone(&shared);
                common::spawn_returning(on(0, 62), move |may_fault| {
                    wait(&shared, may_fault) as usize
                })
            };
            let plain = Arc::new(AtomicU32::new(0));
            let second = {
                let (shared, plain) = (Arc::clone(&shared), Arc::clone(&plain));
                spawn(on(1, 61), move |may_fault| {
                    let guard = shared.value.lock(may_fault);
                    drop(shared.changed.wait(guard, may_fault));
                    plain.fetch_add(1, Ordering::SeqCst);
                })
            };
            wait_until(|| shared.changed.waiters() == 2);
            let thread = first.thread();
            let disturber = spawn(on(0, 61), move |_| other(thread));
            let signaller = spawn_with(&shared, on(1, 61), |shared, _| shared.changed.signal());
            disturber.join(may_fault);
            signaller.join(may_fault);
            let why = first.join(may_fault);
            if why == Woken::ByEvent as usize {
                assert_eq!(shared.changed.waiters(), 1, "one signal has woken two");
                shared.changed.signal();
            } else {
                assert_eq!(why, otherwise as usize);
                assert_eq!(shared.changed.waiters(), 0, "a signal was swallowed");
            }
            second.join(may_fault);
        });
    });
}

#[test]
fn a_signal_and_a_timeout_at_the_same_time_have_one_outcome() {
    signal_against(
        |shared, may_fault| {
            let guard = shared.value.lock(may_fault);
            shared.changed.wait_until(guard, 100, may_fault).1
        },
        |_| advance(100),
        Woken::ByTime,
    );
}

#[test]
fn a_signal_and_an_interrupt_at_the_same_time_swallow_nothing() {
    signal_against(
        |shared, may_fault| {
            let guard = shared.value.lock(may_fault);
            shared.changed.wait_interruptible(guard, may_fault).1
        },
        |thread| {
            interrupt(thread);
        },
        Woken::BySignal,
    );
}

#[test]
fn an_interrupt_finds_the_sleeper_or_is_found_by_it() {
    common::model(|| {
        run(2, |may_fault| {
            let shared = shared();
            let sleeper = spawn_with(&shared, on(1, 61), |shared, may_fault| {
                let guard = shared.value.lock(may_fault);
                let (guard, why) = shared.changed.wait_interruptible(guard, may_fault);
                assert_eq!(why, Woken::BySignal);
                // Until it is taken back, every such sleep is over at once.
                let (guard, why) =
                    shared.changed.wait_interruptible_until(guard, u64::MAX, may_fault);
                assert_eq!(why, Woken::BySignal);
                drop(guard);
                assert!(take_interrupt());
                assert!(!take_interrupt());
            });
            interrupt(sleeper.thread());
            sleeper.join(may_fault);
        });
    });
}

#[test]
fn an_interrupt_does_not_end_a_sleep_that_is_not_interruptible() {
    common::model(|| {
        run(2, |may_fault| {
            let shared = shared();
            let timed_out = Arc::new(AtomicU32::new(0));
            let sleeper = {
                let (shared, timed_out) = (Arc::clone(&shared), Arc::clone(&timed_out));
                spawn(on(1, 61), move |may_fault| {
                    // One that is interruptible first: what it leaves behind must not count.
                    let guard = shared.value.lock(may_fault);
                    let (mut guard, why) =
                        shared.changed.wait_interruptible_until(guard, 10, may_fault);
                    assert_eq!(why, Woken::ByTime);
                    timed_out.store(1, Ordering::SeqCst);
                    while *guard == 0 {
                        guard = shared.changed.wait(guard, may_fault);
                    }
                })
            };
            wait_until(|| shared.changed.waiters() == 1);
            advance(10);
            wait_until(|| timed_out.load(Ordering::SeqCst) == 1 && shared.changed.waiters() == 1);
            assert!(!interrupt(sleeper.thread()));
            assert_eq!(shared.changed.waiters(), 1);
            *shared.value.lock(may_fault) = 1;
            shared.changed.signal();
            sleeper.join(may_fault);
        });
    });
}

#[test]
fn the_timer_of_one_sleep_does_not_end_the_next() {
    common::model(|| {
        run(2, |may_fault| {
            let shared = shared();
            let sleeper = spawn_with(&shared, on(1, 61), |shared, may_fault| {
                let guard = shared.value.lock(may_fault);
                drop(shared.changed.wait_until(guard, 10, may_fault));
                sleep::sleep_until(20, may_fault);
                assert!(machine::time::now() >= 20);
            });
            wait_until(|| shared.changed.waiters() == 1);
            let signaller = spawn_with(&shared, on(0, 61), |shared, _| shared.changed.signal());
            advance(10);
            signaller.join(may_fault);
            wait_until(|| {
                dispatch::callout::pending_callouts(Dispatch::current().cpu(1).unwrap()) == 1
                    && sleeper.thread().state() == dispatch::State::Sleep
            });
            advance(10);
            sleeper.join(may_fault);
        });
    });
}

/// A thread that goes to sleep stands on its processor for a while yet, at level 0. Whoever comes in that
/// while, of such a priority as to preempt the kernel, must not put it into a queue: it sleeps, or has
/// been woken and chosen by another processor.
#[test]
fn a_preemption_on_the_way_to_sleep_comes_too_late() {
    common::model(|| {
        run(2, |may_fault| {
            let shared = shared();
            let waiter = spawn_with(&shared, system(70), |shared, may_fault| {
                for _ in 0..4 {
                    let mut units = shared.value.lock(may_fault);
                    while *units == 0 {
                        units = shared.changed.wait(units, may_fault);
                    }
                    *units -= 1;
                }
            });
            for round in 0..4 {
                let who_preempts = real_time(120).bound(cpu(round % 2));
                let disturber = spawn(who_preempts, |_| {});
                *shared.value.lock(may_fault) += 1;
                shared.changed.signal();
                disturber.join(may_fault);
            }
            waiter.join(may_fault);
            assert_eq!((*shared.value.lock(may_fault), shared.changed.waiters()), (0, 0));
        });
    });
}
