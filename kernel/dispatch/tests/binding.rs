//! Strong binding: affinity and users' requests, and how a change takes effect on a thread that runs, waits or
//! sleeps.

#![cfg(not(feature = "loom"))]

mod common;

use common::{
    Flag, cpu, go_to, here, model_on, run, spawn, spin_until, system, wait_for_processors,
    wait_until,
};
use dispatch::binding::{
    BindError, Strength, affinity_here, affinity_set, processor_bind, processor_bind_all,
    processor_bind_partition, processor_binding,
};
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{NoDuties, cpu_offline};
use dispatch::thread::State;
use dispatch::{Mutex, Thread, processor_set};
use machine::MayFault;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

fn bind(thread: &'static Thread, to: Option<usize>, may_fault: &mut MayFault) {
    let lock = lock_processors(may_fault);
    let to = to.map(|index| (cpu(index), Strength::Hard));
    processor_bind(thread, to, &lock).expect("the thread and the processor are there");
}

fn binding(thread: &Thread) -> Option<usize> {
    processor_binding(thread).map(|(cpu, _)| cpu.index())
}

#[test]
fn who_binds_itself_is_there_at_once() {
    model_on(3, |may_fault| {
        for index in [1, 2, 0, 1] {
            bind(Thread::running(), Some(index), may_fault);
            assert_eq!(here(), index);
            assert_eq!(binding(Thread::running()), Some(index));
        }
        bind(Thread::running(), None, may_fault);
        assert_eq!(binding(Thread::running()), None);
    });
}

/// A thread goes to processor 1, and is bound to processor 0 from there, while it does `first` or later.
fn bound_elsewhere_while_it_does(first: fn()) {
    model_on(2, move |may_fault| {
        let stay = go_to(0, may_fault);
        let ready = Flag::new();
        let thread = {
            let ready = ready.clone();
            spawn(system(60), move |may_fault| {
                drop(go_to(1, may_fault));
                ready.set();
                first();
                // Does nothing that would lead it through the dispatcher.
                spin_until(|| here() == 0);
            })
        };
        ready.wait();
        bind(thread.thread(), Some(0), may_fault);
        thread.join(may_fault);
        drop(stay);
    });
}

#[test]
fn a_running_thread_is_moved() {
    bound_elsewhere_while_it_does(|| {});
}

#[test]
fn a_thread_that_is_just_being_chosen_is_moved() {
    bound_elsewhere_while_it_does(|| {
        for _ in 0..5 {
            dispatch::preempt::yield_now();
        }
    });
}

#[test]
fn a_waiting_thread_changes_its_queue() {
    model_on(2, |may_fault| {
        let stay = go_to(0, may_fault);
        // Both wait behind this thread, which does not give way.
        let thread = spawn(system(60).bound(cpu(0)), |_| {});
        let over = Flag::new();
        let free = {
            let over = over.clone();
            spawn(system(60), move |_| over.wait())
        };
        bind(free.thread(), Some(0), may_fault);
        spin_until(|| cpu(0).waiting() == 2);
        bind(free.thread(), Some(1), may_fault);
        over.set();
        spin_until(|| free.thread().state() == State::Zombie);
        free.join(may_fault);
        thread.join(may_fault);
        drop(stay);
    });
}

#[test]
fn a_waiting_thread_that_is_set_free_is_taken_by_an_idle_processor() {
    model_on(2, |may_fault| {
        let stay = go_to(0, may_fault);
        let ready = Flag::new();
        let thread = {
            let ready = ready.clone();
            spawn(system(60), move |_| {
                ready.wait();
            })
        };
        bind(thread.thread(), Some(0), may_fault);
        spin_until(|| cpu(0).waiting() == 1);
        ready.set();
        bind(thread.thread(), None, may_fault);
        // This processor is not given up: another has to take it.
        spin_until(|| thread.thread().state() == State::Zombie);
        thread.join(may_fault);
        drop(stay);
    });
}

#[test]
fn a_sleeping_thread_finds_its_binding_when_it_wakes() {
    model_on(2, |may_fault| {
        let mutex = Arc::new(Mutex::new(()));
        let held = mutex.lock(may_fault);
        let thread = {
            let mutex = Arc::clone(&mutex);
            spawn(system(60), move |may_fault| {
                drop(mutex.lock(may_fault));
                assert_eq!(here(), 1);
            })
        };
        let sleeper = thread.thread();
        wait_until(|| sleeper.state() == State::Sleep);
        bind(sleeper, Some(1), may_fault);
        assert_eq!(sleeper.state(), State::Sleep);
        drop(held);
        thread.join(may_fault);
    });
}

#[test]
fn affinity_nests_and_goes_before_a_request_which_comes_back_after_it() {
    model_on(2, |may_fault| {
        let me = Thread::running();
        bind(me, Some(1), may_fault);
        let outer = go_to(0, may_fault);
        assert_eq!(binding(me), Some(1), "recorded");
        let inner = affinity_here();
        let again = go_to(0, may_fault);
        drop(again);
        drop(inner);
        assert_eq!(here(), 0);
        // A new request is recorded, and inert.
        bind(me, None, may_fault);
        bind(me, Some(1), may_fault);
        assert_eq!(here(), 0);
        drop(outer);
        assert_eq!(here(), 1, "in force again");
    });
}

#[test]
fn another_thread_can_be_given_affinity() {
    model_on(2, |may_fault| {
        let (over, there) = (Flag::new(), Flag::new());
        let thread = {
            let (over, there) = (over.clone(), there.clone());
            spawn(system(60), move |_| {
                wait_until(|| here() == 1);
                there.set();
                while !over.is_set() {
                    assert_eq!(here(), 1);
                    dispatch::preempt::yield_now();
                    machine::spin();
                }
            })
        };
        let lock = lock_processors(may_fault);
        let affinity = loop {
            if let Some(guard) = affinity_set(thread.thread(), cpu(1), &lock) {
                break guard;
            }
        };
        drop(lock);
        there.wait();
        over.set();
        thread.join(may_fault);
        drop(affinity);
    });
}

#[test]
fn conflicting_affinity_is_refused_loudly() {
    common::once(|| {
        run(2, |may_fault| {
            wait_for_processors(2);
            let affinity = go_to(0, may_fault);
            let lock = lock_processors(may_fault);
            let conflict = AssertUnwindSafe(|| {
                let _ = affinity_set(Thread::running(), cpu(1), &lock);
            });
            let panic = catch_unwind(conflict).expect_err("a conflict");
            let text = panic.downcast_ref::<String>().expect("a message");
            assert!(text.contains("conflicting affinity"), "{text}");
            drop(affinity);
        });
    });
}

#[test]
fn what_cannot_be_bound_is_refused() {
    model_on(3, |may_fault| {
        let me = Thread::running();
        let lock = lock_processors(may_fault);
        let hard = |index: usize| Some((cpu(index), Strength::Hard));
        cpu_offline(cpu(1), false, &NoDuties, &lock, may_fault).unwrap();
        assert_eq!(processor_bind(me, hard(1), &lock), Err(BindError::Invalid), "off line");
        let set = processor_set::create(&lock).unwrap();
        processor_set::move_processor(cpu(2), set, &lock, may_fault).unwrap();
        assert_eq!(processor_bind(me, hard(2), &lock), Err(BindError::Invalid), "other set");
        let thread = spawn(system(60), |_| {});
        let gone = thread.thread();
        wait_until(|| gone.state() == State::Zombie);
        assert_eq!(processor_bind(gone, hard(0), &lock), Err(BindError::NoSuchThread));
        // Of several, those that are over do not count while there are others.
        let both = || [gone, me].into_iter();
        assert_eq!(processor_bind_all(both(), hard(0), &lock), Ok(()));
        assert_eq!(binding(me), Some(0));
        let none = [gone].into_iter();
        assert_eq!(processor_bind_all(none, hard(0), &lock), Err(BindError::NoSuchThread));
        assert_eq!(processor_bind_all(both(), hard(1), &lock), Err(BindError::Invalid));
        thread.join(may_fault);
    });
}

#[test]
fn all_threads_of_a_partition_can_be_bound() {
    model_on(2, |may_fault| {
        let over = Flag::new();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let over = over.clone();
                spawn(system(60), move |_| {
                    over.wait();
                    assert_eq!(here(), 1);
                })
            })
            .collect();
        let lock = lock_processors(may_fault);
        let me = Thread::running();
        let to = Some((cpu(1), Strength::Soft));
        processor_bind_partition(processor_set::of(me), to, &lock).unwrap();
        assert_eq!(here(), 1);
        over.set();
        for thread in threads {
            thread.join(may_fault);
        }
    });
}
