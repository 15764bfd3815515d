//! Kernel preemption: it happens when it is wanted and possible, and not before.

use machine::sim::{self, model, once, run};
use machine::{Atomic, Cpu, Hooks, Pil, pil, preempt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts preemptions; an interrupt makes one wanted.
#[derive(Clone, Default)]
struct Count {
    preempted: Arc<AtomicU32>,
    /// So many times the hook does not take the wish back.
    stubborn: Arc<AtomicU32>,
}

impl Count {
    fn take(&self) -> u32 {
        self.preempted.swap(0, Ordering::Relaxed)
    }
}

impl Hooks for Count {
    fn interrupt(&self, _: &Cpu, atomic: &Atomic, _: Pil, _: u8) {
        preempt::want(atomic);
        assert!(!preempt::is_possible(), "a handler is not preempted");
    }

    fn poked(&self, _: &Cpu, atomic: &Atomic) {
        preempt::want(atomic);
    }

    fn timer(&self, _: &Cpu, _: &Atomic) {}

    fn preempt(&self) {
        assert_eq!(Pil::current(), Pil::NONE);
        assert!(sim::interrupts_are_on());
        self.preempted.fetch_add(1, Ordering::Relaxed);
        if self.stubborn.load(Ordering::Relaxed) == 0 {
            // Not by a preemption guard, whose end would be preempted in turn.
            sim::without_interrupts(preempt::clear);
        } else {
            self.stubborn.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Runs `act` on the one processor of a machine.
fn on_one(act: impl Fn(&'static Cpu, &Count) + Send + Sync + 'static) {
    once(move || {
        let count = Count::default();
        run(1, count.clone(), |machine| {
            let cpu = machine.cpu(0);
            machine.on(0, |_| act(cpu, &count));
            assert_eq!(count.take(), 0, "everything was looked at");
        });
    });
}

#[test]
fn it_waits_while_preemption_is_off() {
    on_one(|_, count| {
        let outer = preempt::disable_anywhere();
        preempt::want(outer.atomic());
        assert!(preempt::is_wanted(outer.atomic()));
        preempt::check();
        let inner = preempt::disable_anywhere();
        drop(inner);
        assert_eq!(count.take(), 0, "preempted while preemption is off");
        drop(outer);
        assert_eq!(count.take(), 1, "not preempted when it was possible");
        preempt::check();
        drop(preempt::disable_anywhere());
        assert_eq!(count.take(), 0, "preempted without being asked");
    });
}

#[test]
fn it_waits_while_the_level_is_raised() {
    on_one(|_, count| {
        let outer = pil::raise_anywhere(Pil::DISP);
        preempt::want(outer.atomic());
        let inner = pil::raise_within(Pil::MAX, outer.atomic());
        drop(inner);
        drop(preempt::disable_anywhere());
        assert_eq!(count.take(), 0);
        drop(outer);
        assert_eq!(count.take(), 1);
    });
}

#[test]
fn both_have_to_be_over() {
    on_one(|_, count| {
        let off = preempt::disable_anywhere();
        let raised = pil::raise_within(Pil::DISP, off.atomic());
        preempt::want(raised.atomic());
        drop(raised);
        assert_eq!(count.take(), 0);
        drop(off);
        assert_eq!(count.take(), 1);
    });
}

#[test]
fn it_waits_while_interrupts_are_off() {
    on_one(|_, count| {
        sim::without_interrupts(|atomic| {
            preempt::want(atomic);
            drop(preempt::disable_anywhere());
            assert_eq!(count.take(), 0);
        });
        preempt::check();
        assert_eq!(count.take(), 1);
    });
}

#[test]
fn a_wish_can_be_taken_back() {
    on_one(|_, count| {
        let off = preempt::disable_anywhere();
        preempt::want(off.atomic());
        preempt::clear(off.atomic());
        assert!(!preempt::is_wanted(off.atomic()));
        drop(off);
        assert_eq!(count.take(), 0);
    });
}

#[test]
fn restoring_the_level_can_leave_it_for_later() {
    on_one(|_, count| {
        let raised = pil::raise_anywhere(Pil::DISP);
        preempt::want(raised.atomic());
        raised.restore_without_preemption();
        assert_eq!(Pil::current(), Pil::NONE);
        assert_eq!(count.take(), 0);
        drop(pil::raise_anywhere(Pil::DISP));
        assert_eq!(count.take(), 1);
    });
}

#[test]
fn the_hook_is_called_until_the_wish_is_gone() {
    on_one(|_, count| {
        count.stubborn.store(3, Ordering::Relaxed);
        let off = preempt::disable_anywhere();
        preempt::want(off.atomic());
        drop(off);
        assert_eq!(count.take(), 4);
    });
}

#[test]
fn the_return_from_an_interrupt_preempts() {
    on_one(|cpu, count| {
        sim::interrupt(cpu, Pil::new(5), 0);
        sim::interrupt_point();
        assert_eq!(count.take(), 1);
        let off = preempt::disable_anywhere();
        sim::interrupt(cpu, Pil::new(5), 0);
        sim::interrupt_point();
        assert!(preempt::is_wanted(off.atomic()));
        assert_eq!(count.take(), 0);
        drop(off);
        assert_eq!(count.take(), 1);
    });
}

#[test]
fn an_interrupt_comes_just_before_it_would_be_masked() {
    on_one(|cpu, count| {
        let interrupt = || sim::interrupt(cpu, Pil::new(5), 0);
        interrupt();
        let raised = pil::raise_anywhere(Pil::DISP);
        assert_eq!(count.take(), 1, "not before the level was raised");
        interrupt();
        drop(pil::raise_within(Pil::MAX, raised.atomic()));
        assert_eq!(count.take(), 0, "preempted at the dispatcher's level");
        drop(raised);
        assert_eq!(count.take(), 1);
        interrupt();
        let off = preempt::disable_anywhere();
        assert_eq!(count.take(), 1, "not before preemption was turned off");
        interrupt();
        drop(preempt::disable_anywhere());
        assert!(!preempt::is_wanted(off.atomic()), "taken where nothing was about to be masked");
        drop(off);
        assert_eq!(count.take(), 1);
        interrupt();
        sim::without_interrupts(|_| {
            assert_eq!(count.take(), 1, "not before interrupts were turned off");
        });
    });
}

#[test]
fn a_wish_does_not_count_as_an_interrupt_that_was_held_back() {
    on_one(|cpu, count| {
        let raised = pil::raise_anywhere(Pil::DISP);
        preempt::want(raised.atomic());
        sim::interrupt(cpu, Pil::new(3), 0);
        sim::interrupt_point();
        assert_eq!(sim::interrupt::held(cpu), Pil::new(3));
        drop(raised);
        assert_eq!(sim::interrupt::held(cpu), Pil::NONE);
        assert_eq!(count.take(), 1);
    });
}

#[test]
fn another_processor_asks_for_it() {
    model(|| {
        let count = Count::default();
        run(2, count.clone(), |machine| {
            let target = machine.cpu(0);
            let mine = count.clone();
            machine.start(0, move |may_fault| {
                let off = preempt::disable(may_fault);
                let before = mine.preempted.load(Ordering::Relaxed);
                sim::interrupt_point();
                let after = mine.preempted.load(Ordering::Relaxed);
                assert_eq!(before, after, "preempted while preemption is off");
                drop(off);
            });
            machine.start(1, move |_| machine::poke::poke(target));
            machine.join();
            machine.on(0, |_| sim::interrupt_point());
            assert_eq!(count.take(), 1);
        });
    });
}
