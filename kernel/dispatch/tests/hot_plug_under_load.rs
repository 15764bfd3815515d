//! Processors go off line and come back while threads work, wait and sleep: what was there goes on elsewhere,
//! and nobody is lost. `hot_plug.rs` has what refuses, and what is waited for.

#![cfg(not(feature = "loom"))]

mod common;

use common::{
    Flag, cpu, go_to, here, holding, model_on, offline, online, real_time, spawn,
    staying_until_the_pause, system, wait_until,
};
use dispatch::binding::{Strength, processor_bind};
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::OffLineError;
use dispatch::kernel_thread::{self, Attributes, CreateError};
use dispatch::thread::State;
use dispatch::weak_binding::nomigrate;
use dispatch::{Mutex, Semaphore};
use machine::MayFault;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn an_off_line_processor_runs_nothing() {
    model_on(2, |may_fault| {
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
}

#[test]
fn threads_that_wait_there_go_elsewhere() {
    model_on(2, |may_fault| {
        let stay = go_to(0, may_fault);
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock(may_fault);
        let (over, was_there) = (Flag::new(), Flag::new());
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
        // Keeps processor 0 from stealing it.
        let busy = holding(&over, |may_fault| go_to(0, may_fault));
        // Keeps processor 1 from running it until all are to be paused.
        let spinner = staying_until_the_pause(|off| {
            for _ in 0..20 {
                machine::spin();
            }
            drop(off);
        });
        drop(closed);
        assert_eq!(offline(1, false, may_fault), Ok(()));
        assert_eq!(cpu(1).waiting(), 0);
        drop(stay);
        for thread in [waiter, spinner, busy] {
            thread.join(may_fault);
        }
    });
}

#[test]
fn a_processor_in_motion_is_not_relied_upon() {
    model_on(3, |may_fault| {
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
            let (gate, ran, was_there) = (Arc::clone(&second_gate), ran.clone(), was_there.clone());
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
}

#[test]
fn what_was_to_happen_on_a_processor_off_line_happens_elsewhere() {
    model_on(2, |may_fault| {
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
}

#[test]
fn off_and_on_line_while_threads_play_ping_pong() {
    model_on(3, |may_fault| {
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
}

#[test]
fn bind_and_off_line_and_nomigrate_lose_nobody() {
    model_on(3, |may_fault| {
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
}

#[test]
fn threads_are_made_for_a_processor_that_goes_off_line() {
    model_on(2, |may_fault| {
        let maker = spawn(system(60), |may_fault| {
            for _ in 0..3 {
                let attributes = Attributes::system("test").bound(cpu(1));
                let on_line = |_: usize, _: &mut MayFault| usize::from(cpu(1).is_online());
                match kernel_thread::create(&attributes, on_line, 0) {
                    Ok(thread) => assert_eq!(thread.join(may_fault), 1, "ran there off line"),
                    Err(why) => assert_eq!(why, CreateError::OffLine),
                }
                dispatch::preempt::yield_now();
            }
        });
        let gone = offline(1, false, may_fault);
        assert!(matches!(gone, Ok(()) | Err(OffLineError::Bound)), "{gone:?}");
        maker.join(may_fault);
        if gone.is_ok() {
            let attributes = Attributes::system("test").bound(cpu(1));
            let made = kernel_thread::create(&attributes, |_, _| 0, 0);
            assert!(matches!(made, Err(CreateError::OffLine)));
            online(1, may_fault);
        }
        let attributes = Attributes::system("test").bound(cpu(1));
        kernel_thread::create(&attributes, |_, _| 0, 0).unwrap().join(may_fault);
    });
}
