//! Processors go off line and come back: what refuses, what gives way, what is waited for, and that nobody is
//! lost meanwhile.

#![cfg(not(feature = "loom"))]

mod common;

use common::{
    Flag, cpu, go_to, here, real_time, run, spawn, system, wait_for_processors, wait_until,
};
use dispatch::binding::{Strength, affinity_here, processor_bind, processor_binding};
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{Duties, NoDuties, OffLineError, cpu_offline, cpu_online};
use dispatch::kernel_thread::JoinHandle;
use dispatch::thread::State;
use dispatch::weak_binding::nomigrate;
use dispatch::{CpuDispatch, Mutex, Semaphore, Thread, processor_set};
use machine::{MayFault, preempt};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

fn offline(index: usize, forced: bool, may_fault: &mut MayFault) -> Result<(), OffLineError> {
    let lock = lock_processors(may_fault);
    cpu_offline(cpu(index), forced, &NoDuties, &lock, may_fault)
}

fn online(index: usize, may_fault: &mut MayFault) {
    let lock = lock_processors(may_fault);
    cpu_online(cpu(index), &NoDuties, &lock, may_fault).expect("the host has memory");
}

#[test]
fn the_last_processor_stays() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            assert_eq!(offline(1, false, may_fault), Ok(()));
            assert_eq!(offline(0, true, may_fault), Err(OffLineError::Last));
            assert!(cpu(0).is_online() && !cpu(0).is_in_motion());
            online(1, may_fault);
            assert_eq!(offline(0, false, may_fault), Ok(()));
            assert_eq!(here(), 1);
        });
    });
}

#[test]
fn the_last_processor_of_a_set_stays() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let lock = lock_processors(may_fault);
            let set = processor_set::create(&lock).unwrap();
            processor_set::move_processor(cpu(1), set, &lock, may_fault).unwrap();
            drop(lock);
            assert_eq!(offline(1, true, may_fault), Err(OffLineError::LastOfSet));
            assert_eq!(offline(0, true, may_fault), Err(OffLineError::LastOfSet));
        });
    });
}

#[test]
fn the_callers_own_processor_goes_unless_the_caller_is_bound_to_it() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let me = Thread::running();
            let affinity = affinity_here();
            let own = here();
            assert_eq!(offline(own, false, may_fault), Err(OffLineError::SelfBound));
            assert_eq!(offline(own, true, may_fault), Err(OffLineError::SelfBound));
            drop(affinity);
            let lock = lock_processors(may_fault);
            processor_bind(me, Some((cpu(1), Strength::Hard)), &lock).unwrap();
            drop(lock);
            assert_eq!(offline(1, false, may_fault), Err(OffLineError::SelfBound));
            assert_eq!(here(), 1);
            assert_eq!(offline(1, true, may_fault), Ok(()), "forced, the binding gives way");
            assert_eq!(here(), 0);
            assert!(processor_binding(me).is_none());
        });
    });
}

/// A thread that sets `ready` when it runs with what `prepare` returns, and drops that when `over` is set.
fn holding<G>(
    ready: &Flag,
    over: &Flag,
    prepare: impl FnOnce(&mut MayFault) -> G + Send + 'static,
) -> JoinHandle {
    let (ready, over) = (ready.clone(), over.clone());
    spawn(system(60), move |may_fault| {
        let held = prepare(may_fault);
        ready.set();
        over.wait();
        drop(held);
    })
}

#[test]
fn affinity_keeps_a_processor_on_line_even_if_it_is_forced() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let (ready, over) = (Flag::new(), Flag::new());
            let thread = holding(&ready, &over, |may_fault| go_to(1, may_fault));
            ready.wait();
            for forced in [false, true] {
                assert_eq!(offline(1, forced, may_fault), Err(OffLineError::Bound));
                assert!(cpu(1).is_online() && !cpu(1).is_in_motion());
            }
            over.set();
            thread.join(may_fault);
            assert_eq!(offline(1, false, may_fault), Ok(()));
        });
    });
}

#[test]
fn a_strong_binding_that_ends_in_time_is_waited_for() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let (ready, over) = (Flag::new(), Flag::new());
            let thread = {
                let (ready, over) = (ready.clone(), over.clone());
                spawn(system(60), move |may_fault| {
                    let affinity = go_to(1, may_fault);
                    ready.set();
                    while !cpu(1).is_in_motion() && !over.is_set() {
                        machine::spin();
                    }
                    drop(affinity);
                })
            };
            ready.wait();
            // It may take longer than the patience lasts; then the second attempt finds nothing.
            let first = offline(1, false, may_fault);
            over.set();
            thread.join(may_fault);
            if first != Ok(()) {
                assert_eq!(first, Err(OffLineError::Bound));
                assert_eq!(offline(1, false, may_fault), Ok(()));
            }
        });
    });
}

#[test]
fn soft_bindings_give_way_and_hard_ones_only_by_force() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            for (strength, forced) in
                [(Strength::Soft, false), (Strength::Hard, false), (Strength::Hard, true)]
            {
                let (ready, over) = (Flag::new(), Flag::new());
                let thread = holding(&ready, &over, |_| ());
                let bound = thread.thread();
                ready.wait();
                let lock = lock_processors(may_fault);
                processor_bind(bound, Some((cpu(1), strength)), &lock).unwrap();
                drop(lock);
                let result = offline(1, forced, may_fault);
                if strength == Strength::Hard && !forced {
                    assert_eq!(result, Err(OffLineError::Bound));
                    assert_eq!(processor_binding(bound).map(|(cpu, _)| cpu.index()), Some(1));
                } else {
                    assert_eq!(result, Ok(()));
                    assert!(processor_binding(bound).is_none());
                }
                over.set();
                thread.join(may_fault);
                online(1, may_fault);
            }
        });
    });
}

#[test]
fn a_request_that_is_inert_at_the_moment_counts_too() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let (ready, over) = (Flag::new(), Flag::new());
            let thread = holding(&ready, &over, |may_fault| {
                let affinity = go_to(0, may_fault);
                let lock = lock_processors(may_fault);
                processor_bind(Thread::running(), Some((cpu(1), Strength::Hard)), &lock).unwrap();
                assert_eq!(here(), 0);
                affinity
            });
            ready.wait();
            assert_eq!(offline(1, false, may_fault), Err(OffLineError::Bound));
            assert_eq!(offline(1, true, may_fault), Ok(()));
            over.set();
            thread.join(may_fault);
        });
    });
}

#[test]
fn a_weak_binding_ends_and_the_processor_goes() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let (ready, over) = (Flag::new(), Flag::new());
            let thread = {
                let (ready, over) = (ready.clone(), over.clone());
                spawn(system(60), move |may_fault| {
                    let affinity = go_to(1, may_fault);
                    let binding = nomigrate();
                    drop(affinity);
                    ready.set();
                    while !cpu(1).is_in_motion() && !over.is_set() {
                        machine::spin();
                    }
                    for _ in 0..3 {
                        assert!(cpu(1).is_online());
                        machine::spin();
                    }
                    drop(binding);
                })
            };
            ready.wait();
            // Who is starved can take longer than the patience lasts.
            while offline(1, false, may_fault) == Err(OffLineError::Bound) {
                over.set();
            }
            assert!(!cpu(1).is_online());
            thread.join(may_fault);
        });
    });
}

#[test]
fn a_late_binder_is_found_and_waited_for() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let ready = Flag::new();
            let thread = {
                let ready = ready.clone();
                spawn(system(60), move |may_fault| {
                    let affinity = go_to(1, may_fault);
                    let off = preempt::disable(may_fault);
                    drop(affinity);
                    ready.set();
                    // The pause thread is there: the wait for bindings has found none.
                    while !cpu(1).is_in_motion() || cpu(1).waiting() == 0 {
                        machine::spin();
                    }
                    let binding = nomigrate();
                    drop(off);
                    // Paused somewhere in here, and then let go on.
                    while cpu(1).counts().late_binders.load(Relaxed) == 0 {
                        machine::spin();
                        assert_eq!(here(), 1);
                        assert!(cpu(1).is_online(), "not while a thread is bound to it");
                    }
                    drop(binding);
                })
            };
            ready.wait();
            let result = offline(1, false, may_fault);
            assert!(cpu(1).counts().late_binders.load(Relaxed) >= 1);
            assert!(matches!(result, Ok(()) | Err(OffLineError::Bound)), "{result:?}");
            thread.join(may_fault);
        });
    });
}

#[test]
fn preemption_off_delays_and_refuses_nothing() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let ready = Flag::new();
            let thread = {
                let ready = ready.clone();
                spawn(system(60), move |may_fault| {
                    let affinity = go_to(1, may_fault);
                    let off = preempt::disable(may_fault);
                    drop(affinity);
                    ready.set();
                    while !cpu(1).is_in_motion() || cpu(1).waiting() == 0 {
                        machine::spin();
                    }
                    for _ in 0..5 {
                        assert!(cpu(1).is_online());
                        machine::spin();
                    }
                    drop(off);
                })
            };
            ready.wait();
            assert_eq!(offline(1, false, may_fault), Ok(()));
            assert!(!cpu(1).is_online());
            assert_eq!(cpu(1).counts().late_binders.load(Relaxed), 0);
            thread.join(may_fault);
        });
    });
}

#[test]
fn an_off_line_processor_runs_nothing() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            offline(1, false, may_fault).unwrap();
            let switches = cpu(1).counts().switches.load(Relaxed);
            let threads: Vec<_> = [system(60), system(99), real_time(120)]
                .into_iter()
                .map(|attributes| {
                    spawn(attributes, |_| {
                        for _ in 0..3 {
                            assert_eq!(here(), 0);
                            dispatch::preempt::yield_now();
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join(may_fault);
            }
            assert_eq!(cpu(1).counts().switches.load(Relaxed), switches);
            online(1, may_fault);
            spawn(system(60).bound(cpu(1)), |_| assert_eq!(here(), 1)).join(may_fault);
        });
    });
}

#[test]
fn threads_that_wait_there_go_elsewhere() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let stay = go_to(0, may_fault);
            let gate = Arc::new(Mutex::new(()));
            let closed = gate.lock(may_fault);
            let (over, was_there, spins) = (Flag::new(), Flag::new(), Flag::new());
            // It has run on processor 1, and when it wakes it waits there.
            let waiter = {
                let (gate, was_there, over) = (Arc::clone(&gate), was_there.clone(), over.clone());
                spawn(system(60), move |may_fault| {
                    drop(go_to(1, may_fault));
                    was_there.set();
                    drop(gate.lock(may_fault));
                    assert!(cpu(here()).is_online());
                    over.set();
                })
            };
            was_there.wait();
            let sleeper = waiter.thread();
            wait_until(|| sleeper.state() == State::Sleep);
            // Keeps processor 1 from running it until all are to be paused.
            let spinner = {
                let spins = spins.clone();
                spawn(system(60), move |may_fault| {
                    let affinity = go_to(1, may_fault);
                    let off = preempt::disable(may_fault);
                    drop(affinity);
                    spins.set();
                    while !cpu(1).is_in_motion() || cpu(1).waiting() == 0 {
                        machine::spin();
                    }
                    for _ in 0..20 {
                        machine::spin();
                    }
                    drop(off);
                })
            };
            // Keeps processor 0 from stealing it.
            let busy = {
                let over = over.clone();
                spawn(system(60), move |may_fault| {
                    let affinity = go_to(0, may_fault);
                    over.wait();
                    drop(affinity);
                })
            };
            spins.wait();
            drop(closed);
            assert_eq!(offline(1, false, may_fault), Ok(()));
            assert_eq!(cpu(1).waiting(), 0);
            drop(stay);
            for thread in [waiter, spinner, busy] {
                thread.join(may_fault);
            }
        });
    });
}

#[test]
fn a_processor_in_motion_is_not_relied_upon() {
    common::model(|| {
        run(3, |may_fault| {
            wait_for_processors(3);
            let (gate, ran) = (Arc::new(Mutex::new(())), Flag::new());
            let stay = go_to(0, may_fault);
            let closed = gate.lock(may_fault);
            // Sleeps bound to processor 1, and so keeps that in motion.
            let was_there = Flag::new();
            let sleeper = {
                let (gate, was_there) = (Arc::clone(&gate), was_there.clone());
                spawn(system(60), move |may_fault| {
                    let affinity = go_to(1, may_fault);
                    was_there.set();
                    drop(gate.lock(may_fault));
                    drop(affinity);
                })
            };
            was_there.wait();
            let (ready, was_there) = (Flag::new(), Flag::new());
            // Not a mutex: who holds that would inherit the urgent thread's priority, and keep everybody out.
            let second_gate = Arc::new(Semaphore::new(0));
            // Has this processor all the time from when the other is in motion until the urgent thread ran.
            let busy = {
                let (gate, ran, ready) = (Arc::clone(&second_gate), ran.clone(), ready.clone());
                let was_there = was_there.clone();
                spawn(system(60), move |may_fault| {
                    let affinity = go_to(0, may_fault);
                    ready.set();
                    was_there.wait();
                    wait_until(|| cpu(1).is_in_motion());
                    gate.v();
                    ran.spin();
                    drop(affinity);
                })
            };
            ready.wait();
            let urgent = {
                let (gate, ran, was_there) =
                    (Arc::clone(&second_gate), ran.clone(), was_there.clone());
                spawn(real_time(110), move |may_fault| {
                    drop(go_to(1, may_fault));
                    was_there.set();
                    gate.p(may_fault);
                    assert_ne!(here(), 1);
                    ran.set();
                })
            };
            was_there.wait();
            let asleep = [urgent.thread(), sleeper.thread()];
            wait_until(|| asleep.iter().all(|thread| thread.state() == State::Sleep));
            assert_eq!(offline(1, false, may_fault), Err(OffLineError::Bound));
            drop(closed);
            drop(stay);
            for thread in [urgent, sleeper, busy] {
                thread.join(may_fault);
            }
        });
    });
}

/// Says no, and notes what it was asked.
#[derive(Default)]
struct Recorder {
    refuses: bool,
    calls: RefCell<Vec<&'static str>>,
}

impl Duties for Recorder {
    fn move_interrupts(&self, _: &'static CpuDispatch) -> bool {
        self.calls.borrow_mut().push("move interrupts");
        !self.refuses
    }

    fn return_interrupts(&self, _: &'static CpuDispatch) {
        self.calls.borrow_mut().push("return interrupts");
    }
}

#[test]
fn what_was_to_happen_on_a_processor_off_line_happens_elsewhere() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let stay = go_to(0, may_fault);
            let asleep = Flag::new();
            let sleeper = {
                let asleep = asleep.clone();
                spawn(system(60), move |may_fault| {
                    drop(go_to(1, may_fault));
                    asleep.set();
                    dispatch::sleep::delay(100, may_fault);
                })
            };
            wait_until(|| asleep.is_set() && sleeper.thread().state() == State::Sleep);
            offline(1, false, may_fault).unwrap();
            assert_eq!(dispatch::callout::pending_callouts(cpu(1)), 0);
            machine::sim::advance(cpu(0).cpu().system(), 1000);
            sleeper.join(may_fault);
            drop(stay);
        });
    });
}

#[test]
fn a_refusal_undoes_each_step() {
    common::model(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let stubborn = Recorder { refuses: true, ..Recorder::default() };
            let lock = lock_processors(may_fault);
            let refused = cpu_offline(cpu(1), false, &stubborn, &lock, may_fault);
            assert_eq!(refused, Err(OffLineError::Interrupts));
            assert_eq!(*stubborn.calls.borrow(), ["move interrupts", "return interrupts"]);
            drop(lock);

            let (ready, over) = (Flag::new(), Flag::new());
            let thread = holding(&ready, &over, |may_fault| go_to(1, may_fault));
            ready.wait();
            let duties = Recorder::default();
            let lock = lock_processors(may_fault);
            let refused = cpu_offline(cpu(1), false, &duties, &lock, may_fault);
            assert_eq!(refused, Err(OffLineError::Bound));
            assert_eq!(*duties.calls.borrow(), ["move interrupts", "return interrupts"]);
            drop(lock);
            over.set();
            thread.join(may_fault);
            assert!(cpu(1).is_online() && !cpu(1).is_in_motion());
            // Threads run there as before.
            wait_until(|| !cpu(1).is_in_motion());
            drop(go_to(1, may_fault));

            let duties = Recorder::default();
            let lock = lock_processors(may_fault);
            cpu_offline(cpu(1), false, &duties, &lock, may_fault).unwrap();
            cpu_online(cpu(1), &duties, &lock, may_fault).unwrap();
            assert_eq!(*duties.calls.borrow(), ["move interrupts", "return interrupts"]);
        });
    });
}

#[test]
fn off_and_on_line_while_threads_play_ping_pong() {
    common::model(|| {
        run(3, |may_fault| {
            wait_for_processors(3);
            const ROUNDS: usize = 4;
            let turn = Arc::new(Mutex::new(0));
            let players: Vec<_> = (0..2)
                .map(|player| {
                    let turn = Arc::clone(&turn);
                    spawn(system(60), move |may_fault| {
                        for _ in 0..ROUNDS {
                            loop {
                                let mut turn = turn.lock(may_fault);
                                if *turn % 2 == player {
                                    *turn += 1;
                                    break;
                                }
                                drop(turn);
                                dispatch::preempt::yield_now();
                                machine::spin();
                            }
                        }
                    })
                })
                .collect();
            // This one needs the lock too, and does not wait for its turn.
            let disturber = {
                let turn = Arc::clone(&turn);
                spawn(real_time(110), move |may_fault| {
                    for _ in 0..ROUNDS {
                        drop(turn.lock(may_fault));
                    }
                })
            };
            for index in [1, 2, 0] {
                offline(index, false, may_fault).unwrap();
                assert_ne!(here(), index);
                online(index, may_fault);
            }
            disturber.join(may_fault);
            for player in players {
                player.join(may_fault);
            }
            assert_eq!(*turn.lock(may_fault), 2 * ROUNDS);
        });
    });
}

#[test]
fn bind_and_off_line_and_nomigrate_lose_nobody() {
    common::model(|| {
        run(3, |may_fault| {
            wait_for_processors(3);
            let workers: Vec<_> = [system(60), system(70), real_time(110)]
                .into_iter()
                .map(|attributes| {
                    spawn(attributes, |_| {
                        for _ in 0..4 {
                            let outer = nomigrate();
                            let there = here();
                            machine::spin();
                            let inner = nomigrate();
                            assert_eq!(here(), there);
                            assert!(cpu(there).is_online());
                            drop(inner);
                            machine::spin();
                            assert_eq!(here(), there);
                            drop(outer);
                            dispatch::preempt::yield_now();
                        }
                    })
                })
                .collect();
            for round in 0..3 {
                let target = 1 + round % 2;
                for (index, worker) in workers.iter().enumerate() {
                    let to = (index != round).then(|| (cpu(target), Strength::Soft));
                    let lock = lock_processors(may_fault);
                    // Some are over by now.
                    let _ = processor_bind(worker.thread(), to, &lock);
                }
                match offline(target, round == 0, may_fault) {
                    Ok(()) => online(target, may_fault),
                    Err(why) => assert_eq!(why, OffLineError::Bound),
                }
            }
            for worker in workers {
                worker.join(may_fault);
            }
        });
    });
}
