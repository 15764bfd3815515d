//! The spin lock: one holder at a time, also when interrupt handlers take it.

#[cfg(debug_assertions)]
use machine::sim::once;
use machine::sim::{self, Quiet, model, run};
use machine::{Atomic, Cpu, Hooks, Pil, SpinLock};
use std::sync::Arc;

type Counter = SpinLock<u32, 13>;

#[test]
fn one_holder_at_a_time() {
    model(|| {
        run(2, Quiet, |machine| {
            let counter: &'static Counter = machine.keep(SpinLock::new(0));
            for cpu in 0..2 {
                machine.start(cpu, move |may_fault| {
                    for _ in 0..2 {
                        let mut held = counter.lock(may_fault);
                        // A reading and a writing, so that a second holder between them is seen.
                        let before = *held;
                        *held = before + 1;
                    }
                });
            }
            machine.join();
            assert_eq!(machine.on(0, |may_fault| *counter.lock(may_fault)), 4);
        });
    });
}

/// Two that spin may take turns for ever, which loom does not see the end of.
#[test]
#[cfg(not(feature = "loom"))]
fn three_processors() {
    model(|| {
        run(3, Quiet, |machine| {
            let counter: &'static Counter = machine.keep(SpinLock::new(0));
            for cpu in 0..3 {
                machine.start(cpu, move |may_fault| *counter.lock(may_fault) += 1);
            }
            machine.join();
            assert_eq!(machine.on(0, |may_fault| *counter.lock(may_fault)), 3);
        });
    });
}

#[test]
fn trying_does_not_wait() {
    model(|| {
        run(2, Quiet, |machine| {
            let counter: &'static Counter = machine.keep(SpinLock::new(0));
            let got = [0, 1].map(|cpu| {
                let got = Arc::new(atomics::AtomicU32::new(0));
                let mine = Arc::clone(&got);
                machine.start(cpu, move |_| {
                    if let Some(mut held) = counter.try_lock() {
                        *held += 1;
                        mine.store(1, atomics::Ordering::Relaxed);
                    }
                    assert_eq!(Pil::current(), Pil::NONE);
                });
                got
            });
            machine.join();
            let got: u32 = got.iter().map(|got| got.load(atomics::Ordering::Relaxed)).sum();
            assert!(got >= 1, "a free lock is not given to anybody");
            assert_eq!(machine.on(0, |may_fault| *counter.lock(may_fault)), got);
        });
    });
}

/// Takes the lock in the handler of an interrupt at the lock's own level.
struct LockingHandler(Arc<Counter>);

impl Hooks for LockingHandler {
    fn interrupt(&self, _: &Cpu, atomic: &Atomic, level: Pil, _: u8) {
        assert_eq!(Pil::current(), level);
        *self.0.lock_within(atomic) += 10;
    }

    fn poked(&self, _: &Cpu, _: &Atomic) {}
    fn timer(&self, _: &Cpu, _: &Atomic) {}
    fn preempt(&self) {}
}

#[test]
fn an_interrupt_handler_takes_the_same_lock() {
    model(|| {
        let counter = Arc::new(Counter::new(0));
        run(2, LockingHandler(Arc::clone(&counter)), |machine| {
            let target = machine.cpu(0);
            let mine = Arc::clone(&counter);
            machine.start(0, move |may_fault| {
                for _ in 0..2 {
                    let mut held = mine.lock(may_fault);
                    let before = *held;
                    // Were the level not raised, the handler would come here, and find its own
                    // processor holding the lock.
                    sim::interrupt_point();
                    *held = before + 1;
                }
            });
            let mine = Arc::clone(&counter);
            machine.start(1, move |_| {
                sim::interrupt(target, Pil::new(13), 5);
                *mine.lock_anywhere() += 1;
            });
            machine.join();
            // The interrupt may have come after the thread's last look.
            machine.on(0, |_| sim::interrupt_point());
            assert_eq!(machine.on(0, |may_fault| *counter.lock(may_fault)), 13);
        });
    });
}

#[test]
fn a_processor_that_spins_answers_a_shoot_down() {
    /// Says that the interrupt has come.
    struct Answer(Arc<atomics::AtomicU32>);

    impl Hooks for Answer {
        fn interrupt(&self, _: &Cpu, _: &Atomic, level: Pil, _: u8) {
            assert_eq!(level, Pil::SHOOT_DOWN);
            self.0.store(1, atomics::Ordering::Release);
        }

        fn poked(&self, _: &Cpu, _: &Atomic) {}
        fn timer(&self, _: &Cpu, _: &Atomic) {}
        fn preempt(&self) {}
    }

    model(|| {
        let answered = Arc::new(atomics::AtomicU32::new(0));
        run(2, Answer(Arc::clone(&answered)), |machine| {
            let counter: &'static Counter = machine.keep(SpinLock::new(0));
            let target = machine.cpu(1);
            let mine = Arc::clone(&answered);
            machine.start(0, move |may_fault| {
                let mut held = counter.lock(may_fault);
                sim::interrupt(target, Pil::SHOOT_DOWN, 0);
                while mine.load(atomics::Ordering::Acquire) == 0 {
                    machine::spin();
                }
                *held += 1;
            });
            // The answer may have to come from within the lock's own loop.
            machine.start(1, move |may_fault| {
                *counter.lock(may_fault) += 1;
                while answered.load(atomics::Ordering::Acquire) == 0 {
                    machine::spin();
                }
            });
        });
    });
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "already holds")]
fn taking_a_lock_twice_is_found() {
    once(|| {
        run(1, Quiet, |machine| {
            let counter: &'static Counter = machine.keep(SpinLock::new(0));
            machine.on(0, |may_fault| {
                let held = counter.lock(may_fault);
                drop(counter.lock_within(held.atomic()));
            });
        });
    });
}
