//! The context switch: a processor goes from context to context, and contexts from processor to
//! processor.

use atomics::{AtomicU32, Ordering};
use machine::sim::baton::Stack;
use machine::sim::{self, Machine, Quiet, model, once, run};
use machine::switch::Entry;
use machine::{Atomic, Context, Cpu, Hooks, Pil, pil, preempt, switch};
use std::sync::atomic::{AtomicBool, AtomicPtr};
use std::sync::{Arc, Mutex, PoisonError};

/// What the contexts of a test share.
struct Stage {
    /// Of the threads that hold the processors from the start, by processor.
    first: [Context; 2],
    /// Another one, which begins with the test's entry function.
    other: Context,
    step: AtomicU32,
    log: Mutex<Vec<&'static str>>,
}

impl Stage {
    fn log(&self, what: &'static str) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    /// Waits until `step` is reached.
    fn wait_for(&self, step: u32) {
        while self.step.load(Ordering::Acquire) < step {
            machine::spin();
        }
    }

    fn reach(&self, step: u32) {
        self.step.store(step, Ordering::Release);
    }

    /// The stage that an entry function got as its argument.
    fn of(argument: usize) -> &'static Stage {
        // SAFETY: `stage` passed the address of a kept stage.
        unsafe { &*std::ptr::with_exposed_provenance::<Stage>(argument) }
    }
}

/// A stage whose other context begins with `entry`.
fn stage(machine: &Machine, entry: Entry) -> &'static Stage {
    let stage = stage_with(machine, Context::unstarted());
    let argument = std::ptr::from_ref(stage).expose_provenance();
    // SAFETY: it has never begun; the simulated machine has no conditions on the stack.
    unsafe { stage.other.restart(Stack, entry, argument) };
    stage
}

/// A stage with this other context.
fn stage_with(machine: &Machine, other: Context) -> &'static Stage {
    machine.keep(Stage {
        first: [Context::of_running(), Context::of_running()],
        other,
        step: AtomicU32::new(0),
        log: Mutex::new(Vec::new()),
    })
}

/// Switches, at the level of the dispatcher.
fn go(from: &Context, to: &Context) {
    let raised = pil::raise_anywhere(Pil::DISP);
    // SAFETY: the tests call this with the running context, and with one that nobody resumes.
    unsafe { switch(raised.atomic(), from, to) };
}

/// What a new context does first: it takes over the level and the preemption count that it starts
/// with.
fn begin() {
    assert_eq!(Pil::current(), Pil::DISP);
    // SAFETY: the level is that of the switch that has started this context, which nobody restores.
    drop(unsafe { pil::PilGuard::adopt(Pil::NONE) });
    assert!(!preempt::is_possible(), "a context starts with preemption off");
}

/// What a context does last: it leaves the level as a switch does.
fn end() {
    let _ = pil::raise_anywhere(Pil::DISP).leave_raised();
}

#[test]
fn ping_pong() {
    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        let stage = Stage::of(argument);
        begin();
        for _ in 0..2 {
            stage.log("pong");
            go(&stage.other, &stage.first[0]);
        }
        stage.log("over");
        end();
        &stage.first[0]
    }

    model(|| {
        run(1, Quiet, |machine| {
            let stage = stage(machine, entry);
            machine.start(0, move |_| {
                for _ in 0..3 {
                    stage.log("ping");
                    go(&stage.first[0], &stage.other);
                }
                stage.log("end");
            });
            machine.join();
            let log = stage.log.lock().unwrap_or_else(PoisonError::into_inner);
            assert_eq!(*log, ["ping", "pong", "ping", "pong", "ping", "over", "end"]);
        });
    });
}

#[test]
fn a_context_moves_to_another_processor() {
    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        let stage = Stage::of(argument);
        begin();
        assert_eq!(Cpu::current_index_hint(), 0);
        go(&stage.other, &stage.first[0]);
        assert_eq!(Cpu::current_index_hint(), 1);
        end();
        &stage.first[1]
    }

    model(|| {
        run(2, Quiet, |machine| {
            let stage = stage(machine, entry);
            machine.start(0, move |_| {
                go(&stage.first[0], &stage.other);
                assert_eq!(Cpu::current_index_hint(), 0);
                stage.reach(1);
            });
            machine.start(1, move |_| {
                stage.wait_for(1);
                go(&stage.first[1], &stage.other);
                assert_eq!(Cpu::current_index_hint(), 1);
            });
        });
    });
}

#[test]
fn the_preemption_count_is_the_threads_own() {
    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        let stage = Stage::of(argument);
        begin();
        // This count is 1, whatever the other thread's was; and now 0.
        // SAFETY: takes over the guard that a new context starts with.
        unsafe { turn_on() };
        assert!(preempt::is_possible());
        go(&stage.other, &stage.first[0]);
        assert!(preempt::is_possible());
        end();
        &stage.first[0]
    }

    /// # Safety
    ///
    /// The caller has turned preemption off and has no guard for it.
    unsafe fn turn_on() {
        // One guard made, which counts, and dropped twice.
        let guard = preempt::disable_anywhere();
        // SAFETY: the copy stands for the guard that the caller lacks.
        drop(unsafe { std::ptr::read(&guard) });
        drop(guard);
    }

    model(|| {
        run(1, Quiet, |machine| {
            let stage = stage(machine, entry);
            machine.start(0, move |_| {
                let once = preempt::disable_anywhere();
                let twice = preempt::disable_anywhere();
                go(&stage.first[0], &stage.other);
                drop(twice);
                assert!(!preempt::is_possible(), "the count has come back");
                go(&stage.first[0], &stage.other);
                assert!(!preempt::is_possible());
                drop(once);
                assert!(preempt::is_possible());
            });
        });
    });
}

#[test]
fn a_context_that_nobody_switches_to_costs_nothing() {
    extern "C-unwind" fn entry(_: usize) -> &'static Context {
        panic!("nobody switches here");
    }

    once(|| {
        run(1, Quiet, |machine| {
            stage(machine, entry);
            machine.start(0, |_| {});
        });
    });
}

#[test]
fn a_context_that_is_over_begins_anew() {
    extern "C-unwind" fn once(argument: usize) -> &'static Context {
        let stage = Stage::of(argument);
        begin();
        stage.log("once");
        end();
        &stage.first[0]
    }
    extern "C-unwind" fn again(argument: usize) -> &'static Context {
        let stage = Stage::of(argument);
        begin();
        stage.log("again");
        go(&stage.other, &stage.first[0]);
        stage.log("over");
        end();
        &stage.first[0]
    }

    model(|| {
        run(1, Quiet, |machine| {
            let stage = stage_with(machine, Context::unstarted());
            let argument = std::ptr::from_ref(stage).expose_provenance();
            machine.start(0, move |_| {
                // SAFETY: it has never begun, or is over, and nobody else knows it.
                let restart = |entry| unsafe { stage.other.restart(Stack, entry, argument) };
                // The first of these is never switched to.
                for entry in [again as Entry, once] {
                    restart(entry);
                }
                go(&stage.first[0], &stage.other);
                restart(again);
                go(&stage.first[0], &stage.other);
                stage.log("end");
                go(&stage.first[0], &stage.other);
            });
            machine.join();
            let log = stage.log.lock().unwrap_or_else(PoisonError::into_inner);
            assert_eq!(*log, ["once", "again", "end", "over"]);
        });
    });
}

#[test]
#[should_panic(expected = "a context is restarted that is not over")]
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
fn a_context_that_is_restarted_too_early_is_found() {
    extern "C-unwind" fn entry(_: usize) -> &'static Context {
        unreachable!("nobody switches here");
    }

    run(1, Quiet, |machine| {
        let stage = stage(machine, entry);
        // SAFETY: none: this context runs.
        machine.start(0, move |_| unsafe { stage.first[0].restart(Stack, entry, 0) });
    });
}

/// A thread that is about to raise the level is preempted, and goes on on another processor: it is
/// there that the level is raised.
#[test]
fn a_thread_moves_just_before_it_cannot() {
    /// Its preemption: the processor goes from the first thread to the other one.
    #[derive(Default)]
    struct Leave(Arc<AtomicPtr<Stage>>);

    impl Hooks for Leave {
        fn interrupt(&self, _: &Cpu, _: &Atomic, _: Pil, _: u8) {}
        fn timer(&self, _: &Cpu, _: &Atomic) {}

        fn poked(&self, _: &Cpu, atomic: &Atomic) {
            preempt::want(atomic);
        }

        fn preempt(&self) {
            preempt::clear(preempt::disable_anywhere().atomic());
            // SAFETY: the test has left a kept stage there before the only poke.
            let stage = unsafe { &*self.0.load(std::sync::atomic::Ordering::Relaxed) };
            go(&stage.first[0], &stage.other);
        }
    }

    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        let stage = Stage::of(argument);
        begin();
        stage.reach(1);
        stage.wait_for(2);
        end();
        &stage.first[1]
    }

    model(|| {
        let place = Arc::new(AtomicPtr::default());
        run(2, Leave(Arc::clone(&place)), |machine| {
            let stage = stage(machine, entry);
            place.store(std::ptr::from_ref(stage).cast_mut(), std::sync::atomic::Ordering::Relaxed);
            let own = machine.cpu(0);
            machine.start(0, move |_| {
                machine::poke::poke(own);
                let raised = pil::raise_anywhere(Pil::DISP);
                assert_eq!(Cpu::current(raised.atomic()).index(), 1);
                assert_eq!(Pil::current(), Pil::DISP);
                drop(raised);
                stage.reach(2);
            });
            machine.start(1, move |_| {
                stage.wait_for(1);
                go(&stage.first[1], &stage.first[0]);
                assert_eq!(Cpu::current_index_hint(), 0);
            });
        });
    });
}

/// A handler leaves the thread that it has interrupted, and the next interrupt of its level comes
/// before it is back.
#[test]
fn a_handler_switches_away_and_back() {
    const LEVEL: Pil = Pil::new(5);

    #[derive(Default)]
    struct Away {
        stage: Arc<AtomicPtr<Stage>>,
        interrupted: AtomicBool,
    }

    impl Hooks for Away {
        fn poked(&self, _: &Cpu, _: &Atomic) {}
        fn timer(&self, _: &Cpu, _: &Atomic) {}
        fn preempt(&self) {}

        fn interrupt(&self, _: &Cpu, _: &Atomic, level: Pil, _: u8) {
            // SAFETY: the test has left a kept stage there before the first interrupt.
            let stage = unsafe { &*self.stage.load(std::sync::atomic::Ordering::Relaxed) };
            stage.log("interrupt");
            if !self.interrupted.swap(true, std::sync::atomic::Ordering::Relaxed) {
                go(&stage.first[0], &stage.other);
                assert_eq!(Pil::current(), level);
                assert!(!sim::interrupts_are_on());
                stage.log("back");
            }
        }
    }

    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        let stage = Stage::of(argument);
        begin();
        stage.log("other");
        sim::interrupt(sim::current_cpu(), LEVEL, 0);
        sim::interrupt_point();
        end();
        &stage.first[0]
    }

    model(|| {
        let place = Arc::new(AtomicPtr::default());
        let hooks = Away { stage: Arc::clone(&place), ..Away::default() };
        run(1, hooks, |machine| {
            let stage = stage(machine, entry);
            place.store(std::ptr::from_ref(stage).cast_mut(), std::sync::atomic::Ordering::Relaxed);
            let cpu = machine.cpu(0);
            machine.start(0, move |_| {
                let raised = pil::raise_anywhere(Pil::DISP);
                sim::interrupt(cpu, LEVEL, 0);
                sim::interrupt_point();
                assert_eq!(sim::interrupt::held(cpu), LEVEL, "it is held back first");
                drop(raised);
                stage.log("on");
                assert!(preempt::is_possible());
            });
            machine.join();
            let log = stage.log.lock().unwrap_or_else(PoisonError::into_inner);
            assert_eq!(*log, ["interrupt", "other", "interrupt", "back", "on"]);
        });
    });
}

/// The simulation notices when a context is given to another processor before it has been left.
#[test]
#[cfg(any(feature = "loom", feature = "shuttle"))]
#[should_panic(expected = "a context is resumed that is running, being left, or over")]
fn announcing_a_context_too_early_is_found() {
    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        let stage = Stage::of(argument);
        begin();
        // Too early: it still runs.
        stage.reach(1);
        go(&stage.other, &stage.first[0]);
        end();
        &stage.first[1]
    }

    model(|| {
        run(2, Quiet, |machine| {
            let stage = stage(machine, entry);
            machine.start(0, move |_| go(&stage.first[0], &stage.other));
            machine.start(1, move |_| {
                stage.wait_for(1);
                go(&stage.first[1], &stage.other);
            });
        });
    });
}

#[test]
#[should_panic(expected = "contexts were left and never resumed")]
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
fn a_context_that_is_left_for_ever_is_found() {
    extern "C-unwind" fn entry(argument: usize) -> &'static Context {
        let stage = Stage::of(argument);
        begin();
        go(&stage.other, &stage.first[0]);
        panic!("nobody resumes this");
    }

    run(1, Quiet, |machine| {
        let stage = stage(machine, entry);
        machine.start(0, move |_| go(&stage.first[0], &stage.other));
    });
}
