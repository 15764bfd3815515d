//! Weak binding, row by row: what happens when a thread asks not to migrate, in each situation that there is.
//! Rows 3 and 4, which need a state that only a fault or an interrupt can make, are unit tests of the module.

#![cfg(not(feature = "loom"))]

mod common;

use common::{
    Flag, cpu, go_to, go_to_and_stay, here, holding, model_on, real_time, run, run_with, spawn,
    spin_until, system, wait_for_processors,
};
use dispatch::binding::{Strength, affinity_here, processor_bind};
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{NoDuties, cpu_offline};
use dispatch::thread::State;
use dispatch::thread_snapshot::ThreadSnapshot;
use dispatch::weak_binding::{barrier, bound_to, depth, nomigrate};
use dispatch::{Mutex, Thread, hooks};
use machine::sim;
use machine::{Atomic, Cpu, Hooks, MayFault, Pil, pil, preempt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What the running thread is weakly bound to, by index.
fn weak() -> Option<usize> {
    bound_to(Thread::running()).map(|cpu| cpu.index())
}

/// Hooks that ask not to migrate in every interrupt.
struct BindInInterrupts(Arc<AtomicUsize>);

impl BindInInterrupts {
    fn bind(&self) {
        let before = depth();
        let inner = nomigrate();
        assert_eq!(depth(), before, "an interrupt does not count");
        drop(inner);
        assert_eq!(depth(), before);
        self.0.fetch_add(1, Relaxed);
    }
}

impl Hooks for BindInInterrupts {
    fn interrupt(&self, _: &Cpu, _: &Atomic, _: Pil, _: u8) {
        self.bind();
    }

    fn poked(&self, cpu: &Cpu, atomic: &Atomic) {
        hooks::poked(cpu, atomic);
    }

    fn timer(&self, _: &Cpu, _: &Atomic) {}

    fn preempt(&self) {
        hooks::preempt();
    }
}

#[test]
fn row_01_at_a_raised_level_nothing_is_done() {
    common::model(|| {
        let interrupts = Arc::new(AtomicUsize::new(0));
        let hooks = BindInInterrupts(Arc::clone(&interrupts));
        run_with(1, hooks, move |may_fault| {
            let level = pil::raise(Pil::DISP, may_fault);
            let binding = nomigrate();
            assert_eq!((depth(), weak()), (0, None));
            drop(level);
            // The guard remembers that there is nothing to end, whatever the level is by now.
            drop(binding);
            assert_eq!(depth(), 0);
            for level in [Pil::new(5), Pil::new(12)] {
                let binding = nomigrate();
                sim::interrupt(cpu(0).cpu(), level, 0);
                sim::interrupt_point();
                assert_eq!((depth(), weak()), (1, Some(0)));
                drop(binding);
            }
            assert_eq!(interrupts.load(Relaxed), 2);
        });
    });
}

#[test]
fn row_02_bindings_nest_and_the_last_one_clears() {
    common::model(|| {
        run(1, |_| {
            let outer = nomigrate();
            assert_eq!((depth(), weak()), (1, Some(0)));
            let inner = nomigrate();
            assert_eq!((depth(), weak()), (2, Some(0)));
            drop(inner);
            assert_eq!((depth(), weak()), (1, Some(0)));
            assert!(preempt::is_possible(), "it can be preempted meanwhile");
            drop(outer);
            assert_eq!((depth(), weak()), (0, None));
        });
    });
}

/// A thread on processor 1, bound weakly, is bound strongly to processor 0 by another: before it asks not to
/// migrate, with preemption off, or after.
fn bound_strongly_meanwhile(before: bool) {
    run(2, move |may_fault| {
        wait_for_processors(2);
        let stay = go_to(0, may_fault);
        let (ready, bound) = (Flag::new(), Flag::new());
        let thread = {
            let (ready, bound) = (ready.clone(), bound.clone());
            spawn(system(60), move |may_fault| {
                let off = go_to_and_stay(1, may_fault);
                let early = (!before).then(nomigrate);
                ready.set();
                bound.spin();
                let binding = early.unwrap_or_else(nomigrate);
                assert_eq!((depth(), weak()), (1, Some(1)));
                drop(off);
                // The strong binding asks for preemption, in vain.
                sim::interrupt_point();
                dispatch::preempt::yield_now();
                assert_eq!(here(), 1, "weak before strong");
                drop(binding);
                assert_eq!(here(), 0, "and home at once when it ends");
                assert_eq!(depth(), 0);
            })
        };
        ready.wait();
        let lock = lock_processors(may_fault);
        processor_bind(thread.thread(), Some((cpu(0), Strength::Hard)), &lock).unwrap();
        drop(lock);
        bound.set();
        drop(stay);
        thread.join(may_fault);
        assert_eq!(cpu(1).counts().weak_went_home.load(Relaxed), 1);
    });
}

#[test]
fn row_05_a_strong_binding_that_comes_just_before_does_not_move_it() {
    common::model(|| bound_strongly_meanwhile(true));
}

#[test]
fn row_06_a_strong_binding_that_comes_after_has_no_effect_until_the_end() {
    common::model(|| bound_strongly_meanwhile(false));
}

#[test]
fn row_07_at_the_end_it_goes_to_where_it_is_bound_strongly() {
    common::model(|| {
        // Here without any preparation: whatever falls between what.
        run(2, |may_fault| {
            wait_for_processors(2);
            let stay = go_to(0, may_fault);
            let ready = Flag::new();
            let over = Flag::new();
            let thread = {
                let (ready, over) = (ready.clone(), over.clone());
                spawn(system(60), move |may_fault| {
                    drop(go_to(1, may_fault));
                    ready.set();
                    for _ in 0..3 {
                        let binding = nomigrate();
                        let there = here();
                        machine::spin();
                        assert_eq!((here(), weak()), (there, Some(there)));
                        drop(binding);
                    }
                    over.wait();
                    // Here the poke is taken, if it has not been before.
                    machine::spin();
                    // Bound by now, and nothing has taken it off its processor in between but that.
                    assert_eq!(here(), 0);
                })
            };
            ready.wait();
            let lock = lock_processors(may_fault);
            processor_bind(thread.thread(), Some((cpu(0), Strength::Hard)), &lock).unwrap();
            over.set();
            drop(lock);
            drop(stay);
            thread.join(may_fault);
        });
    });
}

/// Keeps the processor until processor 1 is in motion, or has been.
fn spin_until_in_motion(over: &Flag) {
    spin_until(|| cpu(1).is_in_motion() || over.is_set());
}

#[test]
fn row_08_on_a_processor_in_motion_it_goes_to_another_first() {
    model_on(2, |may_fault| {
        let (ready, done) = (Flag::new(), Flag::new());
        // Keeps the processor in motion for as long as the patience lasts.
        let holder = holding(&done, |may_fault| go_to(1, may_fault));
        let thread = {
            let (ready, done) = (ready.clone(), done.clone());
            spawn(system(70), move |may_fault| {
                let off = go_to_and_stay(1, may_fault);
                ready.set();
                spin_until_in_motion(&done);
                drop(off);
                let before = cpu(1).is_in_motion();
                let binding = nomigrate();
                if before && cpu(1).is_in_motion() {
                    assert_eq!(weak(), Some(0), "not where it would be in the way");
                }
                drop(binding);
                done.set();
            })
        };
        ready.wait();
        let lock = lock_processors(may_fault);
        let _ = cpu_offline(cpu(1), false, &NoDuties, &lock, may_fault);
        done.set();
        drop(lock);
        thread.join(may_fault);
        holder.join(may_fault);
    });
}

/// Something on processor 1, which stays there until the processor is in motion; meanwhile it goes off line,
/// or has been tried to. The flags say that the thread is ready, and that the attempt is over.
fn while_in_motion(on_processor_1: impl FnOnce(&mut MayFault, &Flag, &Flag) + Send + 'static) {
    run(2, move |may_fault| {
        wait_for_processors(2);
        let (ready, over) = (Flag::new(), Flag::new());
        let thread = {
            let (ready, over) = (ready.clone(), over.clone());
            spawn(system(60), move |may_fault| on_processor_1(may_fault, &ready, &over))
        };
        ready.wait();
        let lock = lock_processors(may_fault);
        let _ = cpu_offline(cpu(1), false, &NoDuties, &lock, may_fault);
        over.set();
        drop(lock);
        thread.join(may_fault);
    });
}

#[test]
fn row_09_on_a_processor_in_motion_who_cannot_leave_is_bound_there() {
    common::model(|| {
        // With preemption off.
        while_in_motion(|may_fault, ready, over| {
            let off = go_to_and_stay(1, may_fault);
            ready.set();
            spin_until_in_motion(over);
            let binding = nomigrate();
            assert_eq!(weak(), Some(1));
            assert_eq!(cpu(1).counts().weak_in_motion.load(Relaxed), 1);
            drop(off);
            drop(binding);
        });
        // Nested.
        while_in_motion(|may_fault, ready, over| {
            let affinity = go_to(1, may_fault);
            let outer = nomigrate();
            drop(affinity);
            ready.set();
            spin_until_in_motion(over);
            let inner = nomigrate();
            assert_eq!(weak(), Some(1));
            drop(inner);
            assert_eq!(weak(), Some(1));
            drop(outer);
        });
        // Bound strongly.
        while_in_motion(|may_fault, ready, over| {
            let affinity = go_to(1, may_fault);
            ready.set();
            spin_until_in_motion(over);
            let binding = nomigrate();
            assert_eq!(weak(), Some(1));
            drop(binding);
            drop(affinity);
        });
    });
}

#[test]
fn row_10_behind_the_barrier_preemption_is_turned_off_instead() {
    model_on(2, |may_fault| {
        let lock = lock_processors(may_fault);
        let barrier = barrier(&lock);
        let binding = nomigrate();
        assert_eq!((depth(), weak()), (-1, None));
        assert!(!preempt::is_possible());
        drop(binding);
        assert_eq!((depth(), weak()), (0, None));
        assert!(preempt::is_possible());
        drop(barrier);
    });
}

#[test]
fn row_11_nested_behind_the_barrier_it_stays_so_after_the_barrier_has_fallen() {
    common::model(|| {
        run(1, |may_fault| {
            let lock = lock_processors(may_fault);
            let barrier = barrier(&lock);
            let outer = nomigrate();
            let middle = nomigrate();
            assert_eq!((depth(), weak()), (-2, None));
            drop(barrier);
            let inner = nomigrate();
            assert_eq!((depth(), weak()), (-3, None));
            drop(inner);
            drop(middle);
            assert_eq!(depth(), -1);
            assert!(!preempt::is_possible(), "preemption stays off until the last has ended");
            drop(outer);
            assert_eq!(depth(), 0);
            assert!(preempt::is_possible());
            let later = nomigrate();
            assert_eq!((depth(), weak()), (1, Some(0)), "and then all is as before");
            drop(later);
        });
    });
}

#[test]
fn row_12_who_is_bound_when_the_barrier_rises_stays_bound() {
    common::model(|| {
        run(1, |may_fault| {
            let lock = lock_processors(may_fault);
            let outer = nomigrate();
            let barrier = barrier(&lock);
            let inner = nomigrate();
            assert_eq!((depth(), weak()), (2, Some(0)));
            assert!(preempt::is_possible());
            drop(inner);
            drop(outer);
            assert_eq!((depth(), weak()), (0, None));
            drop(barrier);
        });
    });
}

#[test]
fn row_13_preempted_it_waits_for_its_processor_and_nobody_steals_it() {
    model_on(2, |may_fault| {
        let stay = go_to(0, may_fault);
        let (bound, preempted) = (Flag::new(), Flag::new());
        let thread = {
            let (bound, preempted) = (bound.clone(), preempted.clone());
            spawn(system(60), move |may_fault| {
                let affinity = go_to(1, may_fault);
                let binding = nomigrate();
                drop(affinity);
                bound.set();
                preempted.spin();
                assert_eq!((here(), weak()), (1, Some(1)));
                drop(binding);
            })
        };
        bound.wait();
        let victim = thread.thread();
        let preemptor = {
            let preempted = preempted.clone();
            spawn(real_time(120).bound(cpu(1)), move |_| {
                // Processor 0 has nothing to do meanwhile but to steal.
                for _ in 0..10 {
                    machine::spin();
                    assert_eq!(victim.state(), State::Run);
                    assert_eq!(cpu(1).waiting(), 1);
                }
                preempted.set();
            })
        };
        drop(stay);
        preemptor.join(may_fault);
        thread.join(may_fault);
        assert_eq!(cpu(0).counts().steals.load(Relaxed), 0);
    });
}

#[test]
fn row_14_to_sleep_while_weakly_bound_is_caught_and_named() {
    common::once(|| {
        run(1, |may_fault| {
            let mutex = Arc::new(Mutex::new(()));
            let held = mutex.lock(may_fault);
            let thread = {
                let mutex = Arc::clone(&mutex);
                spawn(system(60), move |may_fault| {
                    let binding = nomigrate();
                    let caught = catch_unwind(AssertUnwindSafe(|| drop(mutex.lock(may_fault))));
                    let panic = caught.expect_err("it would have slept");
                    let text = panic.downcast_ref::<String>().expect("a message");
                    assert!(text.contains("rule B1"), "{text}");
                    drop(binding);
                    drop(mutex.lock(may_fault));
                })
            };
            dispatch::preempt::yield_now();
            drop(held);
            thread.join(may_fault);
        });
    });
}

#[test]
fn row_15_a_restored_image_leaves_the_live_bindings_alone() {
    model_on(2, |may_fault| {
        let at_1 = go_to(1, may_fault);
        // The copying binds it, and the image shows that.
        let binding = nomigrate();
        let image = ThreadSnapshot::take(Thread::running());
        assert_eq!((image.nomigrate, image.weak, image.strong), (1, Some(1), Some(1)));
        drop(binding);
        drop(at_1);
        let at_0 = go_to(0, may_fault);
        image.restore();
        assert_eq!((depth(), weak()), (0, None));
        let binding = nomigrate();
        assert_eq!((depth(), weak()), (1, Some(0)));
        drop(binding);
        drop(at_0);
        // The other way round: restored while bound, it stays bound.
        let image = ThreadSnapshot::take(Thread::running());
        let binding = nomigrate();
        let affinity = affinity_here();
        let there = here();
        image.restore();
        assert_eq!((depth(), weak()), (1, Some(there)));
        drop(binding);
        machine::spin();
        assert_eq!(here(), there);
        drop(affinity);
    });
}
