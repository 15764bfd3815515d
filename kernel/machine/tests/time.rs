//! The one-shot timer.

use machine::sim::{self, model, once, run};
use machine::{Atomic, Cpu, Hooks, Pil, idle, pil, time};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts the timer's interrupts.
#[derive(Clone, Default)]
struct Fired(Arc<AtomicU32>);

impl Fired {
    fn take(&self) -> u32 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Hooks for Fired {
    fn timer(&self, _: &Cpu, _: &Atomic) {
        assert_eq!(Pil::current(), time::TIMER_LEVEL);
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn interrupt(&self, _: &Cpu, _: &Atomic, _: Pil, _: u8) {}
    fn poked(&self, _: &Cpu, _: &Atomic) {}
    fn preempt(&self) {}
}

/// Moves the time on and takes what comes.
fn pass(ticks: u64) {
    sim::advance(machine::System::current(), ticks);
    sim::interrupt_point();
}

/// Sets the timer.
fn set(deadline: u64) {
    sim::without_interrupts(|atomic| time::set_timer(atomic, deadline));
}

fn on_one(act: impl Fn(&Fired) + Send + Sync + 'static) {
    once(move || {
        let fired = Fired::default();
        run(1, fired.clone(), |machine| machine.on(0, |_| act(&fired)));
    });
}

#[test]
fn it_fires_once_at_its_deadline() {
    on_one(|fired| {
        set(100);
        pass(99);
        assert_eq!((time::now(), fired.take()), (99, 0));
        pass(1);
        assert_eq!(fired.take(), 1);
        pass(1000);
        assert_eq!(fired.take(), 0);
    });
}

#[test]
fn a_deadline_in_the_past_runs_out_at_once() {
    on_one(|fired| {
        pass(50);
        set(50);
        assert_eq!(fired.take(), 1);
        set(0);
        assert_eq!(fired.take(), 1);
    });
}

#[test]
fn a_new_deadline_replaces_the_old() {
    on_one(|fired| {
        set(10);
        set(20);
        pass(15);
        assert_eq!(fired.take(), 0);
        pass(5);
        assert_eq!(fired.take(), 1);
        set(30);
        sim::without_interrupts(time::stop_timer);
        pass(100);
        assert_eq!(fired.take(), 0);
    });
}

#[test]
fn it_is_masked_like_a_device() {
    on_one(|fired| {
        set(10);
        let raised = pil::raise_anywhere(Pil::DISP);
        pass(10);
        assert_eq!(fired.take(), 0);
        drop(raised);
        assert_eq!(fired.take(), 1);
    });
}

#[test]
fn each_processor_has_its_own() {
    once(|| {
        let fired = Fired::default();
        run(2, fired.clone(), |machine| {
            machine.on(0, |_| set(10));
            machine.on(1, |_| set(20));
            sim::advance(machine.system(), 10);
            machine.on(1, |_| sim::interrupt_point());
            assert_eq!(fired.take(), 0);
            machine.on(0, |_| sim::interrupt_point());
            assert_eq!(fired.take(), 1);
            sim::advance(machine.system(), 10);
            machine.on(0, |_| sim::interrupt_point());
            assert_eq!(fired.take(), 0);
            machine.on(1, |_| sim::interrupt_point());
            assert_eq!(fired.take(), 1);
        });
    });
}

#[test]
fn it_wakes_a_halted_processor() {
    model(|| {
        let fired = Fired::default();
        run(2, fired.clone(), |machine| {
            let system = machine.system();
            machine.start(0, move |may_fault| {
                set(10);
                while fired.0.load(Ordering::Relaxed) == 0 {
                    idle::halt_unless(may_fault, |_| fired.0.load(Ordering::Relaxed) != 0);
                }
            });
            machine.start(1, move |_| sim::advance(system, 10));
        });
    });
}
