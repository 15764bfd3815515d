//! Semaphores: units are handed over, none is lost, none comes twice.

#![cfg(not(feature = "loom"))]

mod common;

use common::{advance, on, run, spawn, spawn_returning, system, wait_until};
use dispatch::sleep_queue::interrupt;
use dispatch::{Condvar, Mutex, Semaphore, Woken};
use machine::MayFault;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn ping_pong_between_two_processors_that_halt_loses_no_wake_up() {
    common::model(|| {
        run(2, |may_fault| {
            let semaphores = Arc::new([Semaphore::new(1), Semaphore::new(0)]);
            let players: Vec<_> = (0..2)
                .map(|own| {
                    let semaphores = Arc::clone(&semaphores);
                    spawn(on(own, 61), move |may_fault| {
                        for _ in 0..4 {
                            semaphores[own].p(may_fault);
                            semaphores[1 - own].v();
                        }
                    })
                })
                .collect();
            for player in players {
                player.join(may_fault);
            }
            assert_eq!([semaphores[0].units(), semaphores[1].units()], [1, 0]);
        });
    });
}

#[test]
fn no_more_threads_are_inside_than_there_are_units() {
    common::model(|| {
        run(2, |may_fault| {
            let semaphore = Arc::new(Semaphore::new(2));
            let inside = Arc::new(AtomicU32::new(0));
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
                    spawn(system(60), move |may_fault| {
                        semaphore.p(may_fault);
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 2);
                        dispatch::preempt::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        semaphore.v();
                    })
                })
                .collect();
            for thread in threads {
                thread.join(may_fault);
            }
            assert_eq!(semaphore.units(), 2);
        });
    });
}

#[test]
fn a_unit_is_handed_to_the_most_important_waiter_and_cannot_be_snatched() {
    common::once(|| {
        run(1, |may_fault| {
            let semaphore = Arc::new(Semaphore::new(0));
            let order = Arc::new(std::sync::Mutex::new(Vec::new()));
            let waiters: Vec<_> = [62, 64, 63]
                .into_iter()
                .map(|priority| {
                    let (semaphore, order) = (Arc::clone(&semaphore), Arc::clone(&order));
                    let waiter = spawn(system(priority), move |may_fault| {
                        semaphore.p(may_fault);
                        order.lock().unwrap().push(priority);
                    });
                    dispatch::preempt::yield_now();
                    waiter
                })
                .collect();
            for woken in 1..=3 {
                semaphore.v();
                // The waiter has not run yet, and yet the unit is gone.
                assert!(!semaphore.try_p());
                wait_until(|| order.lock().unwrap().len() == woken);
            }
            for waiter in waiters {
                waiter.join(may_fault);
            }
            assert_eq!(*order.lock().unwrap(), [64, 63, 62]);
            semaphore.v();
            assert!(semaphore.try_p());
        });
    });
}

#[test]
fn waiting_ends_at_the_deadline() {
    common::model(|| {
        run(2, |may_fault| {
            let semaphore = Arc::new(Semaphore::new(0));
            let waiter = {
                let semaphore = Arc::clone(&semaphore);
                spawn(on(1, 61), move |may_fault| {
                    assert_eq!(semaphore.p_until(10, may_fault), Woken::ByTime);
                    assert_eq!(semaphore.p_until(5, may_fault), Woken::ByTime);
                    semaphore.v();
                    assert_eq!(semaphore.p_until(5, may_fault), Woken::ByEvent);
                })
            };
            wait_until(|| semaphore.waiters() == 1);
            advance(10);
            waiter.join(may_fault);
            assert_eq!((semaphore.units(), semaphore.waiters()), (0, 0));
        });
    });
}

/// A unit is given back while a waiter is disturbed: either it has the unit, or the next waiter
/// has.
fn unit_against(
    wait: fn(&Semaphore, &mut MayFault) -> Woken,
    disturb: fn(&'static dispatch::Thread),
    otherwise: Woken,
) {
    common::model(move || {
        run(2, move |may_fault| {
            let semaphore = Arc::new(Semaphore::new(0));
            let first = {
                let semaphore = Arc::clone(&semaphore);
                spawn_returning(on(0, 62), move |may_fault| wait(&semaphore, may_fault) as usize)
            };
            let second = {
                let semaphore = Arc::clone(&semaphore);
                spawn(on(1, 61), move |may_fault| semaphore.p(may_fault))
            };
            wait_until(|| semaphore.waiters() == 2);
            let thread = first.thread();
            let disturber = spawn(on(0, 61), move |_| disturb(thread));
            semaphore.v();
            disturber.join(may_fault);
            let why = first.join(may_fault);
            if why == Woken::ByEvent as usize {
                assert_eq!(semaphore.waiters(), 1, "one unit has come twice");
                semaphore.v();
            } else {
                assert_eq!(why, otherwise as usize);
                assert_eq!(semaphore.waiters(), 0, "a unit was lost");
            }
            second.join(may_fault);
            assert_eq!(semaphore.units(), 0);
        });
    });
}

#[test]
fn a_unit_is_not_lost_to_a_waiter_that_is_interrupted() {
    unit_against(
        |semaphore, may_fault| semaphore.p_interruptible(may_fault),
        |thread| {
            interrupt(thread);
        },
        Woken::BySignal,
    );
}

#[test]
fn a_unit_is_not_lost_to_a_waiter_whose_time_is_up() {
    unit_against(
        |semaphore, may_fault| semaphore.p_until(100, may_fault),
        |_| advance(100),
        Woken::ByTime,
    );
}

#[test]
fn an_interrupt_before_the_sleep_ends_it_at_once_but_a_free_unit_comes_first() {
    common::once(|| {
        run(1, |may_fault| {
            let semaphore = Semaphore::new(1);
            assert!(!interrupt(dispatch::Thread::running()));
            assert_eq!(semaphore.p_interruptible(may_fault), Woken::ByEvent);
            assert_eq!(semaphore.p_interruptible(may_fault), Woken::BySignal);
        });
    });
}

#[test]
fn the_two_orders_of_locks_do_not_meet() {
    // A condition variable takes its own thread lock first, a semaphore the sleep queue's; with two
    // buckets, as the checkers have, they often share one.
    common::model(|| {
        run(2, |may_fault| {
            let shared = Arc::new((Mutex::new(0), Condvar::new(), Semaphore::new(0)));
            let by_condition = {
                let shared = Arc::clone(&shared);
                spawn(system(60), move |may_fault| {
                    for round in 1..=3 {
                        let mut value = shared.0.lock(may_fault);
                        while *value < round {
                            value = shared.1.wait(value, may_fault);
                        }
                        drop(value);
                        shared.2.v();
                    }
                })
            };
            let by_unit = {
                let shared = Arc::clone(&shared);
                spawn(system(60), move |may_fault| {
                    for _ in 0..3 {
                        *shared.0.lock(may_fault) += 1;
                        shared.1.broadcast();
                        shared.2.p(may_fault);
                    }
                })
            };
            by_condition.join(may_fault);
            by_unit.join(may_fault);
        });
    });
}
