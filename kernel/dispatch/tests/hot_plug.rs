//! Processors go off line: what refuses, what gives way, and what is waited for. `hot_plug_under_load.rs` has
//! what becomes of the threads that work meanwhile.

#![cfg(not(feature = "loom"))]

mod common;

use common::{
    Flag, cpu, go_to, here, holding, model_on, offline, online, spawn, spin_until,
    staying_until_the_pause, system, wait_until,
};
use dispatch::binding::{Strength, affinity_here, processor_bind, processor_binding};
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{Duties, OffLineError, cpu_offline, cpu_online};
use dispatch::weak_binding::nomigrate;
use dispatch::{CpuDispatch, Thread, processor_set};
use machine::MayFault;
use std::cell::RefCell;
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn the_last_processor_stays() {
    model_on(2, |may_fault| {
        assert_eq!(offline(1, false, may_fault), Ok(()));
        assert_eq!(offline(0, true, may_fault), Err(OffLineError::Last));
        assert!(cpu(0).is_online() && !cpu(0).is_in_motion());
        online(1, may_fault);
        assert_eq!(offline(0, false, may_fault), Ok(()));
        assert_eq!(here(), 1);
    });
}

#[test]
fn the_last_processor_of_a_set_stays() {
    model_on(2, |may_fault| {
        let lock = lock_processors(may_fault);
        let set = processor_set::create(&lock).unwrap();
        processor_set::move_processor(cpu(1), set, &lock, may_fault).unwrap();
        drop(lock);
        assert_eq!(offline(1, true, may_fault), Err(OffLineError::LastOfSet));
        assert_eq!(offline(0, true, may_fault), Err(OffLineError::LastOfSet));
    });
}

#[test]
fn the_callers_own_processor_goes_unless_the_caller_is_bound_to_it() {
    model_on(2, |may_fault| {
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
}

#[test]
fn affinity_keeps_a_processor_on_line_even_if_it_is_forced() {
    model_on(2, |may_fault| {
        let over = Flag::new();
        let thread = holding(&over, |may_fault| go_to(1, may_fault));
        for forced in [false, true] {
            assert_eq!(offline(1, forced, may_fault), Err(OffLineError::Bound));
            assert!(cpu(1).is_online() && !cpu(1).is_in_motion());
        }
        over.set();
        thread.join(may_fault);
        assert_eq!(offline(1, false, may_fault), Ok(()));
    });
}

/// A thread that is bound to processor 1 by `bind`, until that is in motion and a little longer, is waited for.
fn ends_in_time<B: 'static>(bind: fn(&mut MayFault) -> B) {
    model_on(2, move |may_fault| {
        let (ready, over) = (Flag::new(), Flag::new());
        let thread = {
            let (ready, over) = (ready.clone(), over.clone());
            spawn(system(60), move |may_fault| {
                let binding = bind(may_fault);
                ready.set();
                spin_until(|| cpu(1).is_in_motion() || over.is_set());
                for _ in 0..3 {
                    assert!(cpu(1).is_online(), "not while a thread is bound to it");
                    machine::spin();
                }
                drop(binding);
            })
        };
        ready.wait();
        // Who is starved can take longer than the patience lasts; then the second attempt finds nothing.
        let first = offline(1, false, may_fault);
        over.set();
        thread.join(may_fault);
        if first != Ok(()) {
            assert_eq!(first, Err(OffLineError::Bound));
            assert_eq!(offline(1, false, may_fault), Ok(()));
        }
        assert!(!cpu(1).is_online());
    });
}

#[test]
fn a_strong_binding_that_ends_in_time_is_waited_for() {
    ends_in_time(|may_fault| go_to(1, may_fault));
}

#[test]
fn a_weak_binding_ends_and_the_processor_goes() {
    ends_in_time(|may_fault| {
        let affinity = go_to(1, may_fault);
        let binding = nomigrate();
        drop(affinity);
        binding
    });
}

#[test]
fn soft_bindings_give_way_and_hard_ones_only_by_force() {
    model_on(2, |may_fault| {
        for (strength, forced) in
            [(Strength::Soft, false), (Strength::Hard, false), (Strength::Hard, true)]
        {
            let over = Flag::new();
            let thread = holding(&over, |_| ());
            let bound = thread.thread();
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
}

#[test]
fn a_request_that_is_inert_at_the_moment_counts_too() {
    model_on(2, |may_fault| {
        let over = Flag::new();
        let thread = holding(&over, |may_fault| {
            let affinity = go_to(0, may_fault);
            let lock = lock_processors(may_fault);
            processor_bind(Thread::running(), Some((cpu(1), Strength::Hard)), &lock).unwrap();
            assert_eq!(here(), 0);
            affinity
        });
        assert_eq!(offline(1, false, may_fault), Err(OffLineError::Bound));
        assert_eq!(offline(1, true, may_fault), Ok(()));
        over.set();
        thread.join(may_fault);
    });
}

#[test]
fn a_late_binder_is_found_and_waited_for() {
    model_on(2, |may_fault| {
        let thread = staying_until_the_pause(|off| {
            let binding = nomigrate();
            drop(off);
            // Paused somewhere in here, and then let go on.
            while cpu(1).counts().late_binders.load(Relaxed) == 0 {
                machine::spin();
                assert_eq!(here(), 1);
                assert!(cpu(1).is_online(), "not while a thread is bound to it");
            }
            drop(binding);
        });
        let result = offline(1, false, may_fault);
        assert!(cpu(1).counts().late_binders.load(Relaxed) >= 1);
        assert!(matches!(result, Ok(()) | Err(OffLineError::Bound)), "{result:?}");
        thread.join(may_fault);
    });
}

#[test]
fn preemption_off_delays_and_refuses_nothing() {
    model_on(2, |may_fault| {
        let thread = staying_until_the_pause(|off| {
            for _ in 0..5 {
                assert!(cpu(1).is_online());
                machine::spin();
            }
            drop(off);
        });
        assert_eq!(offline(1, false, may_fault), Ok(()));
        assert!(!cpu(1).is_online());
        assert_eq!(cpu(1).counts().late_binders.load(Relaxed), 0);
        thread.join(may_fault);
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
fn a_refusal_undoes_each_step() {
    model_on(2, |may_fault| {
        let stubborn = Recorder { refuses: true, ..Recorder::default() };
        let lock = lock_processors(may_fault);
        let refused = cpu_offline(cpu(1), false, &stubborn, &lock, may_fault);
        assert_eq!(refused, Err(OffLineError::Interrupts));
        assert_eq!(*stubborn.calls.borrow(), ["move interrupts", "return interrupts"]);
        drop(lock);

        let over = Flag::new();
        let thread = holding(&over, |may_fault| go_to(1, may_fault));
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
}
