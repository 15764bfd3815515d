//! Scheduling classes and the clock tick, against a small model of the rules and in scenes.

#![cfg(not(feature = "loom"))]

mod common;

use common::{advance, on, real_time, run, spawn, system, wait_until};
use dispatch::class::time_sharing::{self, LEVELS, TABLE, of_nice};
use dispatch::class::{INFINITE, OutOfRange, Parameters, set};
use dispatch::kernel_thread::Attributes;
use dispatch::{Class, Dispatch, Priority, Semaphore, Thread};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A clock tick, in ticks of the clock.
const TICK: u64 = 1000;
const SECOND: u64 = 100 * TICK;

fn time_sharing(priority: u8) -> Attributes {
    Attributes::system("test").scheduled(Class::TimeSharing, Priority::new(priority))
}

fn tick(ticks: u64) {
    for _ in 0..ticks {
        advance(TICK);
    }
}

#[test]
fn the_table_makes_sense() {
    for (level, row) in TABLE.iter().enumerate() {
        assert!(row.quantum > 0 && row.patience > 0);
        assert!(usize::from(row.after_turn) < level.max(1), "{level}: who computes sinks");
        assert!(row.after_sleep >= 50 && usize::from(row.after_sleep) < LEVELS);
        assert!(usize::from(row.after_sleep) >= level, "{level}: who sleeps does not sink");
    }
    for pair in TABLE.windows(2) {
        assert!(pair[0].quantum >= pair[1].quantum, "higher levels have shorter turns");
        assert!(pair[0].after_turn <= pair[1].after_turn);
        assert!(pair[0].after_sleep <= pair[1].after_sleep);
    }
    assert_eq!((of_nice(-20), of_nice(0), of_nice(19), of_nice(-100)), (60, 0, -57, 60));
}

/// The rules of time sharing against a model of them. Nothing happens at the same time here, so the
/// checkers need not see it.
#[cfg(not(feature = "shuttle"))]
mod rules {
    use super::*;
    use dispatch::preempt;
    use proptest::prelude::*;

    /// What happens to a thread.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Ticks(u32),
        Preempted,
        /// Sleeps for so many hundredths of a second.
        Sleeps(u64),
        Wish(i8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1u32..30).prop_map(Step::Ticks),
            Just(Step::Preempted),
            (0u64..250).prop_map(Step::Sleeps),
            (-60i8..=60).prop_map(Step::Wish),
        ]
    }

    /// The rules of time sharing, in their simplest form.
    struct Model {
        level: u8,
        left: u32,
        began: u64,
        wish: i8,
    }

    impl Model {
        fn begin(&mut self, level: u8, now: u64) {
            (self.level, self.left, self.began) = (level, TABLE[usize::from(level)].quantum, now);
        }

        fn rise_if_overdue(&mut self, now: u64) {
            let row = TABLE[usize::from(self.level)];
            if now - self.began >= u64::from(row.patience) * SECOND {
                self.begin(row.after_sleep, now);
            }
        }

        fn priority(&self) -> i32 {
            (i32::from(self.level) + i32::from(self.wish)).clamp(0, 59)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn time_sharing_follows_its_rules(
            first in 0u8..60,
            steps in prop::collection::vec(step(), 1..30),
        ) {
            run(1, move |may_fault| {
                Dispatch::current().set_tick_interval(TICK);
                let thread = spawn(time_sharing(first), move |may_fault| {
                    let me = Thread::running();
                    let mut model = Model { level: 0, left: 0, began: 0, wish: 0 };
                    model.begin(first, 0);
                    for step in steps {
                        match step {
                            Step::Ticks(ticks) => {
                                for _ in 0..ticks {
                                    let counted = me.ticks();
                                    tick(1);
                                    // The first tick after an idle time is the next one.
                                    if me.ticks() > counted {
                                        model.left -= 1;
                                    }
                                    if model.left == 0 {
                                        let level = TABLE[usize::from(model.level)].after_turn;
                                        model.begin(level, machine::time::now());
                                    }
                                }
                            }
                            Step::Preempted => {
                                preempt::kernel_preempt();
                                model.rise_if_overdue(machine::time::now());
                            }
                            Step::Sleeps(hundredths) => {
                                let semaphore = Arc::new(Semaphore::new(0));
                                let wakes = Arc::clone(&semaphore);
                                let waker = spawn(system(60), move |_| {
                                    wait_until(|| wakes.waiters() == 1);
                                    advance(hundredths * TICK);
                                    wakes.v();
                                });
                                // The waker has the higher priority: it may preempt, but only when
                                // asked to.
                                semaphore.p(may_fault);
                                model.rise_if_overdue(machine::time::now());
                                waker.join(may_fault);
                                // Joining may have been another sleep.
                                model.rise_if_overdue(machine::time::now());
                            }
                            Step::Wish(user_priority) => {
                                set(me, Parameters::TimeSharing { user_priority }).unwrap();
                                model.wish = user_priority;
                            }
                        }
                        assert_eq!(me.own_priority(), Priority::new(model.priority() as u8), "{step:?}");
                    }
                });
                thread.join(may_fault);
            });
        }
    }
}

#[test]
fn parameters_outside_of_a_class_range_are_refused() {
    common::once(|| {
        run(1, |may_fault| {
            let thread = spawn(system(60), |_| {});
            let priority = Priority::new;
            for wrong in [
                Parameters::TimeSharing { user_priority: 61 },
                Parameters::TimeSharing { user_priority: -61 },
                Parameters::System { priority: priority(59) },
                Parameters::System { priority: priority(100) },
                Parameters::System { priority: Priority::NONE },
                Parameters::RealTime { priority: priority(99), quantum: 1 },
                Parameters::RealTime { priority: priority(160), quantum: 1 },
                Parameters::RealTime { priority: priority(120), quantum: 0 },
            ] {
                assert_eq!(set(thread.thread(), wrong), Err(OutOfRange), "{wrong:?}");
                assert_eq!(thread.thread().class(), Class::System);
                assert_eq!(thread.thread().own_priority(), priority(60));
            }
            let right = Parameters::RealTime { priority: priority(159), quantum: INFINITE };
            assert_eq!(set(thread.thread(), right), Ok(()));
            assert_eq!(thread.thread().own_priority(), priority(159));
            thread.join(may_fault);
        });
    });
}

/// Two threads that compute; says in which order ticks found them.
fn found_by_ticks(quantum: u32, ticks: usize) -> Vec<usize> {
    let order = Arc::new(Mutex::new(Vec::new()));
    let result = Arc::clone(&order);
    run(1, move |may_fault| {
        Dispatch::current().set_tick_interval(TICK);
        let parameters = Parameters::RealTime { priority: Priority::new(120), quantum };
        let threads: Vec<_> = (0..2)
            .map(|number| {
                let order = Arc::clone(&order);
                spawn(system(60), move |_| {
                    while order.lock().unwrap().len() < ticks {
                        order.lock().unwrap().push(number);
                        // The tick comes here, and the preemption right behind it.
                        tick(1);
                    }
                })
            })
            .collect();
        // Both before one of them runs.
        let guard = machine::preempt::disable(may_fault);
        for thread in &threads {
            set(thread.thread(), parameters).unwrap();
        }
        drop(guard);
        for thread in threads {
            thread.join(may_fault);
        }
    });
    result.lock().unwrap().clone()
}

#[test]
fn real_time_threads_of_one_priority_take_turns() {
    common::once(|| {
        assert_eq!(found_by_ticks(2, 8), [0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(found_by_ticks(INFINITE, 8), [0; 8]);
    });
}

#[test]
fn who_is_preempted_before_its_turn_is_over_comes_back_first() {
    common::once(|| {
        run(1, |may_fault| {
            let order = Arc::new(Mutex::new(Vec::new()));
            let parameters = Parameters::RealTime { priority: Priority::new(120), quantum: 100 };
            let guard = machine::preempt::disable(may_fault);
            let threads: Vec<_> = (0..2)
                .map(|number| {
                    let order = Arc::clone(&order);
                    spawn(real_time(120), move |may_fault| {
                        set(Thread::running(), parameters).unwrap();
                        order.lock().unwrap().push((number, 1));
                        // A more important one comes and goes.
                        spawn(real_time(130), |_| {}).join(may_fault);
                        order.lock().unwrap().push((number, 2));
                    })
                })
                .collect();
            drop(guard);
            for thread in threads {
                thread.join(may_fault);
            }
            assert_eq!(*order.lock().unwrap(), [(0, 1), (0, 2), (1, 1), (1, 2)]);
        });
    });
}

#[test]
fn a_turn_that_nobody_wanted_does_not_count_against_the_next() {
    common::once(|| {
        run(1, |may_fault| {
            Dispatch::current().set_tick_interval(TICK);
            let order = Arc::new(Mutex::new(Vec::new()));
            let first = {
                let order = Arc::clone(&order);
                spawn(real_time(120), move |may_fault| {
                    let priority = Priority::new(120);
                    set(Thread::running(), Parameters::RealTime { priority, quantum: 2 }).unwrap();
                    dispatch::preempt::yield_now();
                    tick(3);
                    let equal = {
                        let order = Arc::clone(&order);
                        spawn(real_time(120), move |_| order.lock().unwrap().push("the equal"))
                    };
                    // A more important one comes and goes early in the second turn.
                    spawn(real_time(130), |_| {}).join(may_fault);
                    order.lock().unwrap().push("the first");
                    equal.join(may_fault);
                })
            };
            first.join(may_fault);
            assert_eq!(*order.lock().unwrap(), ["the first", "the equal"]);
            Dispatch::current().set_tick_interval(0);
        });
    });
}

/// It sinks, sleeps and is woken by one of a higher priority, which it passes by; and is behind it again when it has arrived,
/// or has used up a turn.
#[test]
fn who_is_expected_goes_first_until_it_arrives() {
    for takes_long in [false, true] {
        common::once(move || {
            run(1, move |may_fault| {
                Dispatch::current().set_tick_interval(TICK);
                let order = Arc::new(Mutex::new(Vec::new()));
                let asks = Arc::new(Semaphore::new(0));
                let expected = {
                    let (order, asks) = (Arc::clone(&order), Arc::clone(&asks));
                    spawn(time_sharing(5), move |may_fault| {
                        let me = Thread::running();
                        time_sharing::expect(me);
                        asks.p(may_fault);
                        order.lock().unwrap().push(("is woken", me.own_priority()));
                        if takes_long {
                            tick(u64::from(TABLE[5].quantum));
                        } else {
                            time_sharing::arrives(me);
                        }
                        // On its way to user mode.
                        dispatch::preempt::kernel_preempt();
                        order.lock().unwrap().push(("has arrived", me.own_priority()));
                    })
                };
                while asks.waiters() == 0 {
                    spawn(time_sharing(0), |_| {}).join(may_fault);
                }
                let wakes = {
                    let order = Arc::clone(&order);
                    spawn(time_sharing(40), move |_| {
                        asks.v();
                        dispatch::preempt::kernel_preempt();
                        order.lock().unwrap().push(("goes on", Thread::running().own_priority()));
                    })
                };
                wakes.join(may_fault);
                expected.join(may_fault);
                Dispatch::current().set_tick_interval(0);
                let own = if takes_long { TABLE[5].after_turn } else { 5 };
                let came: Vec<_> = order.lock().unwrap().clone();
                let priority = Priority::new;
                let expected = [
                    ("is woken", priority(60)),
                    ("goes on", priority(40)),
                    ("has arrived", priority(own)),
                ];
                assert_eq!(came, expected);
            });
        });
    }
}

#[test]
fn a_thread_that_starves_is_lifted() {
    common::once(|| {
        run(1, |may_fault| {
            Dispatch::current().set_tick_interval(TICK);
            let over = Arc::new(AtomicBool::new(false));
            let ran = Arc::new(AtomicU32::new(0));
            let starving = {
                let ran = Arc::clone(&ran);
                spawn(time_sharing(5), move |_| {
                    ran.fetch_add(1, Ordering::SeqCst);
                })
            };
            let computing = {
                let over = Arc::clone(&over);
                spawn(system(70), move |_| {
                    while !over.load(Ordering::SeqCst) {
                        tick(1);
                        let priority = starving.thread().own_priority();
                        let waited = machine::time::now();
                        if waited < SECOND {
                            assert_eq!(priority, Priority::new(5));
                        } else if waited >= 2 * SECOND {
                            assert!(priority >= Priority::new(50), "{priority:?}");
                            over.store(true, Ordering::SeqCst);
                        }
                    }
                    drop(starving);
                })
            };
            computing.join(may_fault);
            wait_for_lower(&ran, may_fault);
        });
    });
}

/// Sleeps until a thread of lower priority has run.
fn wait_for_lower(ran: &Arc<AtomicU32>, may_fault: &mut machine::MayFault) {
    while ran.load(Ordering::SeqCst) == 0 {
        spawn(time_sharing(0), |_| {}).join(may_fault);
    }
}

#[test]
fn an_idle_processor_has_no_tick_and_a_busy_one_has_it_again() {
    common::model(|| {
        run(2, |may_fault| {
            spawn(on(0, 61), tick_scene).join(may_fault);
        });
    });
}

fn tick_scene(may_fault: &mut machine::MayFault) {
    let other = Dispatch::current().cpu(1).unwrap();
    let ticks = || other.counts().ticks.load(Ordering::Relaxed);
    let pending = || dispatch::callout::pending_callouts(other);
    Dispatch::current().set_tick_interval(TICK);
    let over = Arc::new(AtomicBool::new(false));
    let busy = {
        let over = Arc::clone(&over);
        spawn(on(1, 61), move |_| {
            while !over.load(Ordering::SeqCst) {
                machine::spin();
            }
        })
    };
    wait_until(|| pending() == 1);
    for so_far in 1..=3 {
        tick(1);
        wait_until(|| ticks() == so_far && pending() == 1);
    }
    wait_until(|| busy.thread().ticks() == 3);
    over.store(true, Ordering::SeqCst);
    busy.join(may_fault);
    // One more, which finds the processor idle.
    tick(1);
    wait_until(|| pending() == 0 && ticks() == 4);
    let counted = ticks();
    tick(10);
    assert_eq!((ticks(), pending()), (counted, 0));
    spawn(on(1, 61), |_| {}).join(may_fault);
    assert_eq!(pending(), 1, "it begins with the next thread");
    Dispatch::current().set_tick_interval(0);
    tick(2);
    wait_until(|| pending() == 0);
    spawn(on(1, 61), |_| {}).join(may_fault);
    assert_eq!(pending(), 0);
}
