//! Priority inheritance: whoever is in the way of a thread runs with its priority, and not for longer
//! than that.

#![cfg(not(feature = "loom"))]

mod common;
#[path = "common/until.rs"]
mod until;

use common::{model, real_time, run, spawn, time_sharing};
use dispatch::kernel_thread::JoinHandle;
use dispatch::{Mutex, Priority, State, Thread, preempt, set_priority, turnstile};
use machine::MayFault;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as HostMutex};
use until::until;

fn priority(number: u8) -> Priority {
    Priority::new(number)
}

/// A thread that takes a mutex, does something, and releases it.
fn taker(
    at: u8,
    mutex: &Arc<Mutex<()>>,
    with_it: impl FnOnce(&mut MayFault) + Send + 'static,
) -> JoinHandle {
    let mutex = Arc::clone(mutex);
    spawn(real_time(at), move |may_fault| {
        let held = mutex.lock(may_fault);
        with_it(may_fault);
        drop(held);
    })
}

fn new() -> Arc<Mutex<()>> {
    Arc::new(Mutex::new(()))
}

/// Low holds A. Medium holds B and waits for A. Hogs keep every processor busy until high has got B.
fn three_levels(cpus: usize) {
    run(cpus, move |may_fault| {
        let (a, b) = (new(), new());
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let low = taker(101, &a.clone(), move |_| {
            let (inner, has_b) = (Arc::clone(&a), Arc::new(AtomicBool::new(false)));
            let medium = {
                let has_b = Arc::clone(&has_b);
                taker(110, &b, move |may_fault| {
                    has_b.store(true, Ordering::SeqCst);
                    drop(inner.lock(may_fault));
                })
            };
            until(|| has_b.load(Ordering::SeqCst));
            let started = Arc::new(AtomicUsize::new(0));
            for _ in 0..cpus {
                let (started, done, b) = (Arc::clone(&started), Arc::clone(&done), Arc::clone(&b));
                drop(spawn(real_time(120), move |_| {
                    if started.fetch_add(1, Ordering::SeqCst) + 1 == cpus {
                        let done = Arc::clone(&done);
                        drop(taker(150, &b, move |_| done.store(true, Ordering::SeqCst)));
                    }
                    until(|| done.load(Ordering::SeqCst));
                }));
            }
            if cpus == 1 {
                // High has preempted the hog and waits for medium, which waits for this thread.
                assert_eq!(Thread::running().inherited_priority(), priority(150));
                assert_eq!(Thread::running().own_priority(), priority(101));
                assert_eq!(medium.thread().inherited_priority(), priority(150));
            }
        });
        low.join(may_fault);
        until(|| {
            preempt::yield_now();
            is_done.load(Ordering::SeqCst) && turnstile::in_use() == 0
        });
    });
}

#[test]
fn a_three_level_inversion_is_bounded_on_one_processor() {
    model(|| three_levels(1));
}

#[test]
fn a_three_level_inversion_is_bounded_on_two_processors() {
    model(|| three_levels(2));
}

#[test]
fn what_was_inherited_is_given_up_with_the_lock() {
    model(|| {
        run(1, |may_fault| {
            let mutex = new();
            let held = mutex.lock(may_fault);
            let waiter = taker(150, &mutex, |_| {
                assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
            });
            let me = Thread::running();
            assert_eq!(me.inherited_priority(), priority(150));
            assert_eq!(me.dispatch_priority(), priority(150));
            drop(held);
            assert_eq!(waiter.thread().state(), State::Zombie, "it has preempted its heir");
            assert_eq!(me.inherited_priority(), Priority::NONE);
            waiter.join(may_fault);
        });
    });
}

#[test]
fn a_thread_that_sleeps_for_something_else_inherits_too() {
    model(|| {
        run(1, |may_fault| {
            let mutex = new();
            let last = spawn(time_sharing(20), |_| {});
            let low = taker(110, &mutex, |may_fault| {
                last.join(may_fault);
                // Awake again, by way of a wait queue, with what it inherited while it slept.
                assert_eq!(Thread::running().inherited_priority(), priority(150));
            });
            assert_eq!(low.thread().state(), State::Sleep);
            let high = taker(150, &mutex, |_| {});
            assert_eq!(low.thread().inherited_priority(), priority(150));
            low.join(may_fault);
            high.join(may_fault);
        });
    });
}

#[test]
fn a_runnable_owner_moves_to_its_new_place() {
    model(|| {
        run(1, |may_fault| {
            let (mutex, order) = (new(), Arc::new(HostMutex::new(Vec::new())));
            let say = |what| {
                let order = Arc::clone(&order);
                move || order.lock().unwrap().push(what)
            };
            let (low_goes, hog_goes, high_goes) = (say("low"), say("hog"), say("high"));
            let again = Arc::clone(&mutex);
            let low = taker(110, &mutex, move |_| {
                let hog = spawn(real_time(120), move |may_fault| {
                    // Low has been preempted and waits in its queue.
                    let high = taker(150, &again, move |_| high_goes());
                    hog_goes();
                    high.join(may_fault);
                });
                low_goes();
                drop(hog);
            });
            low.join(may_fault);
            until(|| {
                preempt::yield_now();
                order.lock().unwrap().len() == 3
            });
            assert_eq!(*order.lock().unwrap(), ["low", "high", "hog"]);
        });
    });
}

#[test]
fn locks_may_be_released_in_any_order() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        model(move || {
            run(1, move |may_fault| {
                let mutexes: Vec<_> = (0..3).map(|_| new()).collect();
                let mut held: Vec<_> =
                    mutexes.iter().map(|mutex| Some(mutex.lock(may_fault))).collect();
                let waiters: Vec<_> = (0..3)
                    .map(|number| taker(120 + 10 * number, &mutexes[usize::from(number)], |_| {}))
                    .collect();
                for index in order {
                    drop(held[index].take());
                    let left = (0..3).rev().find(|&index| held[index].is_some());
                    let expected =
                        left.map_or(Priority::NONE, |index| priority(120 + 10 * index as u8));
                    assert_eq!(Thread::running().inherited_priority(), expected);
                }
                drop(held);
                for waiter in waiters {
                    waiter.join(may_fault);
                }
                assert_eq!(turnstile::in_use(), 0);
            });
        });
    }
}

#[test]
fn the_best_of_several_waiters_counts() {
    model(|| {
        run(1, |may_fault| {
            let (one, two) = (new(), new());
            let held = (one.lock(may_fault), two.lock(may_fault));
            let waiters =
                [(120, &one), (130, &two), (140, &one)].map(|(at, mutex)| taker(at, mutex, |_| {}));
            drop(held.1);
            assert_eq!(Thread::running().inherited_priority(), priority(140));
            drop(held.0);
            assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
            for waiter in waiters {
                waiter.join(may_fault);
            }
        });
    });
}

/// A thread that holds a mutex and sleeps, until the flag is set, for something that is no lock.
fn sleeping_owner(at: u8, mutex: &Arc<Mutex<()>>, go: &Arc<AtomicBool>) -> JoinHandle {
    let go = Arc::clone(go);
    let gate = spawn(time_sharing(20), move |_| {
        until(|| {
            preempt::yield_now();
            go.load(Ordering::SeqCst)
        });
    });
    let owner = taker(at, mutex, |may_fault| {
        gate.join(may_fault);
    });
    until(|| owner.thread().state() == State::Sleep);
    owner
}

/// Two walks through the same two chains in opposite directions: one of them has to back out.
#[test]
fn walks_that_meet_both_come_to_their_ends() {
    model(|| {
        run(2, |may_fault| {
            let mut mutexes: Vec<_> = (0..2000).map(|_| new()).collect();
            let chain = |mutex: &Arc<Mutex<()>>| turnstile::chain_of(&**mutex);
            let first = chain(&mutexes[0]);
            let other = mutexes.iter().map(chain).find(|&other| other != first);
            let mut take = |from| {
                let index = mutexes.iter().position(|mutex| Some(chain(mutex)) == from);
                mutexes.swap_remove(index.expect("2000 in at most 128 chains"))
            };
            let (a, b) = ([take(Some(first)), take(other)], [take(other), take(Some(first))]);
            let go = Arc::new(AtomicBool::new(false));
            let (mut ends, mut threads) = (Vec::new(), Vec::new());
            for [inner, outer] in [&a, &b] {
                let end = sleeping_owner(110, inner, &go);
                let inner = Arc::clone(inner);
                let middle = taker(115, outer, move |may_fault| drop(inner.lock(may_fault)));
                until(|| end.thread().inherited_priority() == priority(115));
                ends.push(end.thread());
                threads.extend([end, middle]);
            }
            threads.push(taker(130, &a[1], |_| {}));
            threads.push(taker(131, &b[1], |_| {}));
            until(|| ends[0].inherited_priority() == priority(130));
            until(|| ends[1].inherited_priority() == priority(131));
            go.store(true, Ordering::SeqCst);
            for thread in threads {
                thread.join(may_fault);
            }
            assert_eq!(turnstile::in_use(), 0);
        });
    });
}

/// A chain of threads, each of which holds a mutex and waits for the next one's.
#[test]
fn chains_that_grow_at_both_ends_are_walked_and_dissolve() {
    model(|| {
        run(2, |may_fault| {
            let mutexes: Arc<Vec<_>> = Arc::new((0..4).map(|_| new()).collect());
            let threads: Vec<_> = (0..4_usize)
                .map(|number| {
                    let mutexes = Arc::clone(&mutexes);
                    spawn(real_time(110 + 10 * number as u8), move |may_fault| {
                        for _ in 0..2 {
                            // In order, so that there is no circle.
                            let first = mutexes[number.saturating_sub(1)].lock(may_fault);
                            preempt::yield_now();
                            let second = (number > 0).then(|| mutexes[number].lock(may_fault));
                            preempt::yield_now();
                            drop(first);
                            preempt::yield_now();
                            drop(second);
                        }
                        assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
                    })
                })
                .collect();
            for thread in threads {
                thread.join(may_fault);
            }
            assert_eq!(turnstile::in_use(), 0);
        });
    });
}

#[test]
fn who_gives_up_its_own_priority_gives_way_at_once() {
    model(|| {
        run(1, |may_fault| {
            let me = Thread::running();
            assert!(set_priority(me, priority(150)));
            let other = spawn(real_time(120), |_| {});
            assert_eq!(other.thread().state(), State::Run);
            assert!(set_priority(me, priority(110)));
            assert_eq!(other.thread().state(), State::Zombie, "it goes first now");
            let object = other.thread();
            assert!(!set_priority(object, priority(120)), "it is over");
            other.join(may_fault);
        });
    });
}

#[test]
fn whoever_lowers_a_running_thread_meets_whoever_makes_another_runnable() {
    model(|| {
        run(2, |may_fault| {
            let over = Arc::new(AtomicBool::new(false));
            // Two hogs of high priority on both processors; this thread runs on because it is the
            // highest. One of the hogs is lowered while a third thread comes.
            set_priority(Thread::running(), priority(159));
            let hog = {
                let over = Arc::clone(&over);
                spawn(real_time(150), move |_| until(|| over.load(Ordering::SeqCst)))
            };
            until(|| hog.thread().state() == State::OnProcessor);
            let third = {
                let over = Arc::clone(&over);
                spawn(real_time(140), move |_| over.store(true, Ordering::SeqCst))
            };
            set_priority(hog.thread(), priority(130));
            until(|| over.load(Ordering::SeqCst));
            hog.join(may_fault);
            third.join(may_fault);
        });
    });
}

#[test]
fn a_waiter_that_gains_priority_wills_it_on() {
    model(|| {
        run(1, |may_fault| {
            let (a, b) = (new(), new());
            let held = a.lock(may_fault);
            let inner = Arc::clone(&a);
            let medium = taker(110, &b, move |may_fault| drop(inner.lock(may_fault)));
            let high = taker(120, &b, |_| {});
            assert_eq!(Thread::running().inherited_priority(), priority(120));
            set_priority(high.thread(), priority(140));
            assert_eq!(Thread::running().inherited_priority(), priority(140));
            assert_eq!(medium.thread().inherited_priority(), priority(140));
            drop(held);
            assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
            medium.join(may_fault);
            high.join(may_fault);
        });
    });
}

/// Threads that wait in a circle. A panic leaves no thread of the dispatcher, so these are the processors'
/// first; and it ends the model, so there is one for each schedule.
#[cfg(feature = "shuttle")]
mod circles {
    use super::common::{DispatcherHooks, once, with_dispatcher};
    use super::*;
    use dispatch::{idle_loop, start};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn idle(_: usize, may_fault: &mut MayFault) -> usize {
        idle_loop(may_fault, |_| false);
        0
    }

    /// Threads of which each has a mutex and wants the next one's; `outside` more want the first's.
    fn circle(members: usize, outside: usize) {
        let cpus = members + outside;
        with_dispatcher(cpus, DispatcherHooks, |machine, dispatch| {
            let mutexes = Arc::new((0..members).map(|_| Mutex::new(())).collect::<Vec<_>>());
            let holding = Arc::new(AtomicUsize::new(0));
            for index in 0..cpus {
                let thread: &'static Thread = machine.keep(Thread::of_running_code());
                let (mutexes, holding) = (Arc::clone(&mutexes), Arc::clone(&holding));
                machine.start(index, move |may_fault| {
                    let cpu = dispatch.cpu(index).expect("added before");
                    start::begin_as_thread(cpu, thread, priority(60 + index as u8), idle, 0)
                        .expect("the host has memory");
                    // Never released: the kernel would not unwind.
                    std::mem::forget(mutexes.get(index).map(|mutex| mutex.lock(may_fault)));
                    holding.fetch_add(1, Ordering::SeqCst);
                    until(|| holding.load(Ordering::SeqCst) == cpus);
                    drop(mutexes[(index + 1) % members].lock(may_fault));
                });
            }
        });
    }

    /// Every schedule ends with the panic.
    fn is_always_found(members: usize, outside: usize) {
        for _ in 0..200 {
            let circle = || once(move || circle(members, outside));
            let panic = catch_unwind(AssertUnwindSafe(circle)).expect_err("nobody noticed");
            let message = panic.downcast_ref::<String>().expect("a formatted message");
            assert!(message.starts_with("locks are waited for in a circle:"), "{message}");
            assert_eq!(message.matches("waits for the lock at").count(), members, "{message}");
        }
    }

    #[test]
    fn two_threads_that_wait_for_each_other_are_found() {
        is_always_found(2, 0);
    }

    #[test]
    fn three_threads_that_wait_for_each_other_are_found() {
        is_always_found(3, 0);
    }

    #[test]
    fn who_comes_to_a_circle_from_outside_does_not_go_round_for_ever() {
        is_always_found(2, 2);
    }
}
