//! Interrupt levels: what is masked is held back, and replayed once when it no longer is.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use machine::pil::{self, PilGuard};
use machine::sim::{self, run};
use machine::{Atomic, Cpu, Hooks, Pil};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Writes down which handlers ran.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(u8, u8)>>>);

impl Log {
    fn take(&self) -> Vec<(u8, u8)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn add(&self, level: Pil, line: u8) {
        assert_eq!(Pil::current(), level, "a handler runs at its own level");
        assert!(!sim::interrupts_are_on(), "a handler runs with interrupts off");
        self.0.lock().unwrap().push((level.number(), line));
    }
}

impl Hooks for Log {
    fn interrupt(&self, _: &Cpu, _: &Atomic, level: Pil, line: u8) {
        self.add(level, line);
    }

    fn poked(&self, _: &Cpu, _: &Atomic) {
        self.add(machine::poke::LEVEL, machine::poke::LINE);
    }

    fn timer(&self, _: &Cpu, _: &Atomic) {
        self.add(machine::time::TIMER_LEVEL, machine::time::TIMER_LINE);
    }

    fn preempt(&self) {
        panic!("nobody wants preemption here");
    }
}

/// Runs `act` on the one processor of a machine.
fn on_one(act: impl FnOnce(&'static Cpu, &Log)) {
    let log = Log::default();
    run(1, log.clone(), |machine| {
        let cpu = machine.cpu(0);
        machine.on(0, |_| act(cpu, &log));
    });
}

/// An interrupt arrives.
fn arrive(cpu: &Cpu, level: u8, line: u8) {
    sim::interrupt(cpu, Pil::new(level), line);
    sim::interrupt_point();
}

#[test]
fn each_level_against_each() {
    for raised in std::iter::once(0).chain(Pil::DISP.number()..=15) {
        for level in Pil::DEVICE_MIN.number()..=15 {
            on_one(|cpu, log| {
                let guard = (raised != 0).then(|| pil::raise_anywhere(Pil::new(raised)));
                arrive(cpu, level, 7);
                if level > raised {
                    assert_eq!(log.take(), [(level, 7)], "level {level} at {raised} is not masked");
                } else {
                    assert_eq!(log.take(), [], "level {level} at {raised} is masked");
                    assert_eq!(sim::interrupt::held(cpu), Pil::new(level));
                }
                drop(guard);
                assert_eq!(Pil::current(), Pil::NONE);
                let replayed = log.take();
                assert_eq!(replayed, if level > raised { vec![] } else { vec![(level, 7)] });
                assert_eq!(sim::interrupt::held(cpu), Pil::NONE);
                sim::interrupt_point();
                assert_eq!(log.take(), [], "replayed twice");
            });
        }
    }
}

#[test]
fn what_was_held_back_comes_highest_first() {
    on_one(|cpu, log| {
        let guard = pil::raise_anywhere(Pil::MAX);
        for (level, line) in [(4, 0), (12, 3), (12, 1), (11, 0), (15, 0), (3, 15)] {
            arrive(cpu, level, line);
        }
        // (12, 1) and (11, 0) have stayed in the controller, which holds level 12 and below; (12, 1)
        // is let through when everything that was held back has been replayed.
        drop(guard);
        assert_eq!(log.take(), [(15, 0), (12, 3), (4, 0), (12, 1), (11, 0), (3, 15)]);
    });
}

#[test]
fn lowering_part_of_the_way() {
    on_one(|cpu, log| {
        let outer = pil::raise_anywhere(Pil::new(12));
        let inner = pil::raise_within(Pil::MAX, outer.atomic());
        assert_eq!(inner.previous(), Pil::new(12));
        arrive(cpu, 11, 0);
        arrive(cpu, 12, 0);
        arrive(cpu, 14, 0);
        drop(inner);
        assert_eq!(log.take(), [(14, 0)]);
        assert_eq!(sim::interrupt::held(cpu), Pil::new(12));
        // A level between what is held back and the current one is noticed.
        arrive(cpu, 13, 2);
        assert_eq!(log.take(), [(13, 2)]);
        drop(outer);
        assert_eq!(log.take(), [(12, 0), (11, 0)]);
    });
}

#[test]
fn raising_never_lowers() {
    on_one(|cpu, log| {
        let outer = pil::raise_anywhere(Pil::new(14));
        let inner = pil::raise_within(Pil::DISP, outer.atomic());
        assert_eq!(Pil::current(), Pil::new(14));
        arrive(cpu, 12, 0);
        drop(inner);
        assert_eq!(Pil::current(), Pil::new(14));
        assert_eq!(log.take(), []);
        drop(outer);
        assert_eq!(log.take(), [(12, 0)]);
    });
}

#[test]
fn a_level_can_be_left_raised_and_adopted() {
    on_one(|cpu, log| {
        let previous = pil::raise_anywhere(Pil::DISP).leave_raised();
        assert_eq!((previous, Pil::current()), (Pil::NONE, Pil::DISP));
        arrive(cpu, 5, 0);
        assert_eq!(log.take(), []);
        // SAFETY: the level was left raised above, and nobody else restores it.
        drop(unsafe { PilGuard::adopt(previous) });
        assert_eq!(log.take(), [(5, 0)]);
    });
}

#[test]
fn nothing_comes_while_interrupts_are_off() {
    on_one(|cpu, log| {
        sim::without_interrupts(|_| {
            arrive(cpu, 15, 0);
            sim::without_interrupts(|_| arrive(cpu, 14, 0));
            assert_eq!(log.take(), []);
        });
        assert_eq!(log.take(), [(15, 0), (14, 0)]);
    });
}

/// One step of a random sequence.
#[derive(Clone, Copy, Debug)]
enum Step {
    Raise(u8),
    Restore,
    Arrive(u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (11..=15u8).prop_map(Step::Raise),
        2 => Just(Step::Restore),
        3 => (3..=15u8, 0..3u8).prop_map(|(level, line)| Step::Arrive(level, line)),
    ]
}

/// What should happen: an interrupt is in the controller, which coalesces, or held back, or handled.
/// The controller keeps what is not above the highest that is held back.
#[derive(Default)]
struct Model {
    levels: Vec<u8>,
    controller: BTreeSet<(u8, u8)>,
    held_back: BTreeSet<(u8, u8)>,
    handled: Vec<(u8, u8)>,
}

impl Model {
    fn level(&self) -> u8 {
        self.levels.last().copied().unwrap_or(0)
    }

    /// The highest level of a set that is above `floor`, and its lowest line.
    fn first_above(set: &BTreeSet<(u8, u8)>, floor: u8) -> Option<(u8, u8)> {
        let level = set.last().map(|&(level, _)| level).filter(|&level| level > floor)?;
        set.range((level, 0)..).next().copied()
    }

    fn let_through(&mut self) {
        let floor = |model: &Model| model.held_back.last().map_or(0, |&(level, _)| level);
        while let Some(next) = Model::first_above(&self.controller, floor(self)) {
            self.controller.remove(&next);
            if next.0 > self.level() {
                self.handled.push(next);
            } else {
                self.held_back.insert(next);
            }
        }
    }

    fn restore(&mut self) {
        self.levels.pop();
        self.let_through();
        while let Some(next) = Model::first_above(&self.held_back, self.level()) {
            self.held_back.remove(&next);
            self.handled.push(next);
        }
        self.let_through();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn random_sequences_agree_with_the_model(steps in prop::collection::vec(step(), 1..80)) {
        on_one(|cpu, log| {
            let mut model = Model::default();
            let mut guards = Vec::new();
            // What has arrived and is not handled yet; apart from the model, for the plain claim that
            // nothing is lost.
            let mut outstanding = BTreeSet::new();
            // Then everything is restored.
            let end = std::iter::repeat_n(Step::Restore, steps.len());
            for step in steps.iter().copied().chain(end) {
                match step {
                    Step::Raise(level) => {
                        guards.push(pil::raise_anywhere(Pil::new(level)));
                        model.levels.push(level.max(model.level()));
                    }
                    Step::Restore => {
                        if guards.pop().is_some() {
                            model.restore();
                        }
                    }
                    Step::Arrive(level, line) => {
                        outstanding.insert((level, line));
                        arrive(cpu, level, line);
                        model.controller.insert((level, line));
                        model.let_through();
                    }
                }
                assert_eq!(Pil::current().number(), model.level());
                let handled = log.take();
                assert_eq!(&handled, &std::mem::take(&mut model.handled));
                for one in &handled {
                    outstanding.remove(one);
                }
                assert!(outstanding.iter().all(|&(level, _)| level <= model.level()), "lost");
            }
            assert!(outstanding.is_empty());
        });
    }
}
