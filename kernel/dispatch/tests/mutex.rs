//! Mutexes: one holder at a time, nobody waits for ever, and every thread gets a turnstile back.

#![cfg(not(feature = "loom"))]

mod common;
#[cfg(not(feature = "shuttle"))]
#[path = "common/until.rs"]
mod until;

use common::{model, once, real_time, run, spawn, system};
use dispatch::kernel_thread::Attributes;
use dispatch::{Mutex, Priority, State, Thread, preempt, turnstile};
use machine::{Pil, pil};
use std::collections::HashSet;
use std::sync::Arc;
#[cfg(not(feature = "shuttle"))]
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
#[cfg(not(feature = "shuttle"))]
use std::time::{Duration, Instant};
#[cfg(not(feature = "shuttle"))]
use until::until;

/// Threads that add to counters under mutexes, and give up the processor in the middle.
fn add_up(cpus: usize, threads: usize, mutexes: usize, attributes: fn(usize) -> Attributes) {
    run(cpus, move |may_fault| {
        let counters: Arc<Vec<_>> = Arc::new((0..mutexes).map(|_| Mutex::new((0, 0))).collect());
        let threads: Vec<_> = (0..threads)
            .map(|number| {
                let counters = Arc::clone(&counters);
                spawn(attributes(number), move |may_fault| {
                    for turn in 0..2 {
                        for counter in &*counters {
                            let mut both = counter.lock(may_fault);
                            both.0 += 1;
                            if (number + turn) % 2 == 0 {
                                preempt::yield_now();
                            }
                            both.1 += 1;
                            assert_eq!(both.0, both.1, "somebody else came in");
                        }
                    }
                })
            })
            .collect();
        let mut turnstiles = HashSet::from([Thread::running().turnstile_number()]);
        let count = threads.len();
        for thread in threads {
            let object = thread.thread();
            thread.join(may_fault);
            turnstiles.insert(object.turnstile_number());
        }
        for counter in &*counters {
            assert_eq!(*counter.lock(may_fault), (2 * count, 2 * count));
        }
        assert_eq!(turnstile::in_use(), 0);
        assert_eq!(turnstiles.len(), count + 1, "two threads have the same turnstile");
    });
}

#[test]
fn one_holder_at_a_time_on_one_processor() {
    model(|| add_up(1, 3, 2, |_| system(60)));
}

#[test]
fn one_holder_at_a_time_on_two_processors() {
    model(|| add_up(2, 4, 1, |_| system(60)));
}

#[test]
fn one_holder_at_a_time_on_three_processors() {
    model(|| add_up(3, 4, 2, |_| system(60)));
}

#[test]
fn one_holder_at_a_time_with_preemption_and_inheritance() {
    model(|| add_up(2, 4, 2, |number| real_time(100 + 10 * number as u8)));
}

#[test]
fn locks_in_the_same_chain_do_not_disturb_each_other() {
    model(|| {
        run(1, |may_fault| {
            let mut locks: Vec<_> = (0..2000).map(|_| Box::new(Mutex::new(0))).collect();
            let chain = turnstile::chain_of(&*locks[0]);
            locks.retain(|lock| turnstile::chain_of(&**lock) == chain);
            locks.truncate(3);
            assert_eq!(locks.len(), 3, "2000 locks in at most 128 chains");
            let locks = Arc::new(locks);
            let held: Vec<_> = locks.iter().map(|lock| lock.lock(may_fault)).collect();
            let threads: Vec<_> = (0..6)
                .map(|number| {
                    let locks = Arc::clone(&locks);
                    spawn(real_time(110 + number as u8), move |may_fault| {
                        *locks[number % 3].lock(may_fault) += 1;
                    })
                })
                .collect();
            // Each has preempted this thread, found that the owner does not run, and gone to sleep.
            assert!(threads.iter().all(|thread| thread.thread().state() == State::Sleep));
            assert_eq!(turnstile::in_use(), 3);
            drop(held);
            let objects: Vec<_> = threads.iter().map(|thread| thread.thread()).collect();
            for thread in threads {
                thread.join(may_fault);
            }
            assert!(locks.iter().all(|lock| *lock.lock(may_fault) == 2));
            assert_eq!(turnstile::in_use(), 0);
            let numbers: HashSet<_> =
                objects.iter().map(|thread| thread.turnstile_number()).collect();
            assert_eq!(numbers.len(), 6);
        });
    });
}

#[test]
fn trying_does_not_wait() {
    model(|| {
        run(2, |may_fault| {
            let mutex = Arc::new(Mutex::new(0));
            let held = mutex.try_lock().expect("nobody has it");
            assert!(mutex.owner().is_some_and(|owner| std::ptr::eq(owner, Thread::running())));
            let thread = {
                let mutex = Arc::clone(&mutex);
                spawn(system(60), move |_| assert!(mutex.try_lock().is_none()))
            };
            thread.join(may_fault);
            drop(held);
            assert!(mutex.owner().is_none());
            *mutex.try_lock().expect("it is free again") += 1;
        });
    });
}

#[test]
fn a_mutex_may_be_released_at_a_raised_level_and_with_preemption_off() {
    model(|| {
        run(1, |may_fault| {
            for at_raised_level in [true, false] {
                let mutex = Arc::new(Mutex::new(0));
                let held = mutex.lock(may_fault);
                let waiter = {
                    let mutex = Arc::clone(&mutex);
                    spawn(real_time(120), move |may_fault| *mutex.lock(may_fault) += 1)
                };
                assert_eq!(waiter.thread().state(), State::Sleep);
                if at_raised_level {
                    let level = pil::raise_anywhere(Pil::DISP);
                    drop(held);
                    assert_eq!(waiter.thread().state(), State::Run);
                    drop(level);
                } else {
                    let off = machine::preempt::disable_anywhere();
                    drop(held);
                    assert_eq!(waiter.thread().state(), State::Run);
                    drop(off);
                }
                waiter.join(may_fault);
                assert_eq!(*mutex.lock(may_fault), 1);
            }
        });
    });
}

/// On the host's own threads only: how far a spinning thread gets is up to the checker's schedule.
#[cfg(not(feature = "shuttle"))]
#[test]
fn who_waits_spins_while_the_owner_runs() {
    let (slept, spun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&slept), Arc::clone(&spun));
    model(move || {
        let (slept, spun) = (Arc::clone(&counts.0), Arc::clone(&counts.1));
        run(2, move |may_fault| {
            let mutex = Arc::new(Mutex::new(()));
            let comes = Arc::new(AtomicBool::new(false));
            let held = mutex.lock(may_fault);
            let waiter = {
                let (mutex, comes) = (Arc::clone(&mutex), Arc::clone(&comes));
                spawn(system(60), move |may_fault| {
                    let before = Thread::running().switches();
                    comes.store(true, Ordering::SeqCst);
                    drop(mutex.lock(may_fault));
                    let slept_once = Thread::running().switches() != before;
                    if slept_once { &slept } else { &spun }.fetch_add(1, Ordering::SeqCst);
                })
            };
            until(|| comes.load(Ordering::SeqCst));
            let begin = Instant::now();
            until(|| begin.elapsed() > Duration::from_micros(50));
            drop(held);
            waiter.join(may_fault);
        });
    });
    let (slept, spun) = (slept.load(Ordering::SeqCst), spun.load(Ordering::SeqCst));
    assert!(spun >= 10, "{spun} have spun, {slept} slept, though the owner ran all the time");
}

#[test]
fn taking_a_mutex_twice_is_caught() {
    once(|| {
        run(1, |may_fault| {
            let mutex = Mutex::new(());
            let held = mutex.lock(may_fault);
            let again = std::panic::AssertUnwindSafe(|| drop(mutex.lock(may_fault)));
            let caught = std::panic::catch_unwind(again).expect_err("it has it already");
            let message = caught.downcast_ref::<String>().expect("a formatted message");
            assert!(message.contains("takes a mutex that it already has"), "{message}");
            drop(held);
            assert_eq!(Thread::running().inherited_priority(), Priority::NONE);
        });
    });
}
