//! Wake-ups, preemption and migration at the same time: nobody is lost, and the better thread runs.

#![cfg(not(feature = "loom"))]

mod common;
#[path = "common/until.rs"]
mod until;

use common::{real_time, run, spawn, system, time_sharing};
use dispatch::cpu::Counts;
use dispatch::disp_lock::LockClass;
use dispatch::{DispLock, Dispatch, Mutex, Semaphore, State, Thread, preempt, thread_lock};
use machine::MayFault;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use until::until;

fn total(of: impl Fn(&Counts) -> &AtomicU64) -> u64 {
    Dispatch::current().cpus().map(|cpu| of(cpu.counts()).load(Ordering::Relaxed)).sum()
}

/// What all rounds of a test have seen together: a branch that no schedule reaches is not tested.
#[derive(Default)]
struct Seen {
    preemptions: AtomicU64,
    ratify_retries: AtomicU64,
    steals: AtomicU64,
    deferred: AtomicU64,
    halts: AtomicU64,
}

impl Seen {
    fn add(&self) {
        let add = |to: &AtomicU64, count| to.fetch_add(count, Ordering::Relaxed);
        add(&self.preemptions, total(|counts| &counts.preemptions));
        add(&self.ratify_retries, total(|counts| &counts.ratify_retries));
        add(&self.steals, total(|counts| &counts.steals));
        add(&self.deferred, total(|counts| &counts.deferred_switches));
        add(&self.halts, total(|counts| &counts.halts));
    }

    fn assert_reached(&self, what: &str, count: &AtomicU64) {
        let count = count.load(Ordering::Relaxed);
        // Plain threads reach what the host's schedules let them reach.
        assert!(!cfg!(feature = "shuttle") || count > 0, "no schedule had {what}");
    }
}

/// Threads of mixed priorities that wait for each other and give way to each other.
fn mix(cpus: usize, seen: &Arc<Seen>) {
    let seen = Arc::clone(seen);
    run(cpus, move |may_fault| {
        let mutex = Arc::new(Mutex::new(0));
        let threads: Vec<_> = [system(60), system(61), real_time(110), real_time(120)]
            .into_iter()
            .map(|attributes| {
                let mutex = Arc::clone(&mutex);
                spawn(attributes, move |may_fault| {
                    for _ in 0..2 {
                        *mutex.lock(may_fault) += 1;
                        preempt::yield_now();
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join(may_fault);
        }
        assert_eq!(*mutex.lock(may_fault), 8);
        seen.add();
    });
}

#[test]
fn nobody_is_lost_on_one_processor() {
    let seen = Arc::new(Seen::default());
    common::model({
        let seen = Arc::clone(&seen);
        move || mix(1, &seen)
    });
    seen.assert_reached("a preemption", &seen.preemptions);
}

#[test]
fn nobody_is_lost_on_two_processors() {
    let seen = Arc::new(Seen::default());
    common::model({
        let seen = Arc::clone(&seen);
        move || mix(2, &seen)
    });
    seen.assert_reached("a preemption", &seen.preemptions);
    seen.assert_reached("a theft", &seen.steals);
    seen.assert_reached("a choice that was revised", &seen.ratify_retries);
    seen.assert_reached("a thread that was chosen while its stack was in use", &seen.deferred);
    seen.assert_reached("a halt", &seen.halts);
}

#[test]
fn nobody_is_lost_on_three_processors() {
    let seen = Arc::new(Seen::default());
    common::model({
        let seen = Arc::clone(&seen);
        move || mix(3, &seen)
    });
    seen.assert_reached("a preemption", &seen.preemptions);
    seen.assert_reached("a theft", &seen.steals);
}

#[test]
fn a_real_time_thread_takes_the_processor_from_one_that_runs_in_the_kernel() {
    common::model(|| {
        run(1, |may_fault| {
            let stop = Arc::new(AtomicBool::new(false));
            let urgent = {
                let stop = Arc::clone(&stop);
                spawn(real_time(120), move |_| stop.store(true, Ordering::SeqCst))
            };
            // It has run before `spawn` returned: nobody else had a reason to give way.
            assert!(stop.load(Ordering::SeqCst));
            urgent.join(may_fault);
            assert!(Thread::running().switches().1 > 0, "the main thread was preempted");
        });
    });
}

/// The first one runs on until the second has run, and both have to run on the first processor. So if the
/// second comes just while that processor chooses the first, and nobody looks again, they wait for ever.
#[test]
fn what_comes_while_a_processor_chooses_is_not_overlooked() {
    common::model(|| {
        run(2, |may_fault| {
            let cpu = |index| Dispatch::current().cpu(index).expect("there are two");
            let starter = spawn(system(60).bound(cpu(1)), move |may_fault| {
                let ran = Arc::new(AtomicBool::new(false));
                let first = {
                    let ran = Arc::clone(&ran);
                    spawn(system(60).bound(cpu(0)), move |_| {
                        while !ran.load(Ordering::SeqCst) {
                            machine::spin();
                        }
                    })
                };
                let second = {
                    let ran = Arc::clone(&ran);
                    spawn(real_time(120).bound(cpu(0)), move |_| ran.store(true, Ordering::SeqCst))
                };
                second.join(may_fault);
                first.join(may_fault);
            });
            starter.join(may_fault);
        });
    });
}

#[test]
fn a_preemption_waits_until_it_is_allowed_and_no_longer() {
    common::model(|| {
        run(1, |may_fault| {
            let ran = Arc::new(AtomicBool::new(false));
            let off = machine::preempt::disable_anywhere();
            let urgent = {
                let ran = Arc::clone(&ran);
                spawn(real_time(120), move |_| ran.store(true, Ordering::SeqCst))
            };
            assert!(!ran.load(Ordering::SeqCst), "preemption is off");
            drop(off);
            assert!(ran.load(Ordering::SeqCst), "preemption is on");
            urgent.join(may_fault);
        });
    });
}

/// Somebody urgent comes while the running thread holds a lock. `unlock` leaves that for the next occasion.
fn comes_and_waits(
    unlock: impl Fn(Box<dyn FnOnce()>, &mut MayFault) + Copy + Send + Sync + 'static,
) {
    common::model(move || {
        run(1, move |may_fault| {
            let ran = Arc::new(AtomicBool::new(false));
            let urgent = Arc::new(std::sync::Mutex::new(None));
            let come: Box<dyn FnOnce()> = {
                let (ran, urgent) = (Arc::clone(&ran), Arc::clone(&urgent));
                Box::new(move || {
                    let thread = spawn(real_time(120), move |_| ran.store(true, Ordering::SeqCst));
                    *urgent.lock().unwrap() = Some(thread);
                })
            };
            unlock(come, may_fault);
            assert!(!ran.load(Ordering::SeqCst), "not on this occasion");
            drop(machine::preempt::disable(may_fault));
            assert!(ran.load(Ordering::SeqCst), "but on the next");
            let urgent = urgent.lock().unwrap().take().expect("it came");
            urgent.join(may_fault);
        });
    });
}

#[test]
fn who_unlocks_a_thread_may_leave_preemption_for_later() {
    comes_and_waits(|come, may_fault| {
        let locked = thread_lock::lock_thread(Thread::running(), may_fault);
        come();
        locked.unlock_nopreempt();
    });
}

#[test]
fn who_releases_a_dispatcher_lock_may_leave_preemption_for_later() {
    comes_and_waits(|come, may_fault| {
        // It comes first in the order of locks.
        let lock = Box::leak(Box::new(DispLock::new(LockClass::Turnstile)));
        let guard = lock.enter(may_fault);
        come();
        guard.exit_nopreempt();
    });
}

/// On one processor, where nobody else could help: the queue's order alone decides.
#[test]
fn the_more_important_of_two_runs_first() {
    common::model(|| {
        run(1, |may_fault| {
            let turn = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = [(system(60), 2), (system(70), 1), (system(90), 0)]
                .into_iter()
                .map(|(attributes, place)| {
                    let turn = Arc::clone(&turn);
                    spawn(attributes, move |_| {
                        assert_eq!(turn.fetch_add(1, Ordering::SeqCst), place);
                    })
                })
                .collect();
            for thread in threads {
                thread.join(may_fault);
            }
        });
    });
}

/// Two real-time threads are woken at the same time, by two threads that go on with something less important,
/// which does not end by itself. A third processor is idle, or does something less important still.
fn wake_two(is_idle: bool) {
    run(3, move |may_fault| {
        common::wait_for_processors(3);
        let (gate, ran) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let (gate, ran) = (Arc::clone(&gate), Arc::clone(&ran));
                spawn(real_time(120), move |may_fault| {
                    gate.p(may_fault);
                    ran.fetch_add(1, Ordering::SeqCst);
                    // Keeps the processor, so that the other has to find another.
                    until(|| ran.load(Ordering::SeqCst) == 2);
                })
            })
            .collect();
        for waiter in &waiters {
            common::wait_until(|| waiter.thread().state() == State::Sleep);
        }
        let all_begun = common::Flag::new();
        let others: Vec<_> = [Some(system(60)), (!is_idle).then(|| time_sharing(30))]
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(number, attributes)| {
                let (gate, ran) = (Arc::clone(&gate), Arc::clone(&ran));
                let (begun, all_begun) = (common::Flag::new(), all_begun.clone());
                let has_begun = begun.clone();
                let thread = spawn(attributes, move |_| {
                    has_begun.set();
                    all_begun.spin();
                    if number == 0 {
                        gate.v();
                    }
                    until(|| ran.load(Ordering::SeqCst) == 2);
                });
                // On another processor: this thread yields until then.
                begun.wait();
                thread
            })
            .collect();
        all_begun.set();
        gate.v();
        until(|| ran.load(Ordering::SeqCst) == 2);
        for thread in waiters.into_iter().chain(others) {
            thread.join(may_fault);
        }
    });
}

#[test]
fn two_real_time_threads_that_are_woken_at_once_find_two_processors() {
    common::model(|| wake_two(true));
}

#[test]
fn two_real_time_threads_that_are_woken_at_once_take_two_processors() {
    common::model(|| wake_two(false));
}
