//! Pokes: seen, with what was written before; never lost, even when the processor is about to halt.

use atomics::{AtomicU32, Ordering};
use machine::sim::{self, Quiet, model, once, run};
use machine::{Atomic, Cpu, Hooks, Pil, idle, pil, poke};
use std::sync::Arc;

/// Reads the message when it is poked.
struct Reader {
    message: Arc<AtomicU32>,
    read: Arc<AtomicU32>,
}

impl Hooks for Reader {
    fn poked(&self, _: &Cpu, _: &Atomic) {
        let message = self.message.load(Ordering::Relaxed);
        assert_ne!(message, 0, "poked, but what was written before is not there");
        self.read.store(message, Ordering::Relaxed);
    }

    fn interrupt(&self, _: &Cpu, _: &Atomic, _: Pil, _: u8) {}
    fn timer(&self, _: &Cpu, _: &Atomic) {}
    fn preempt(&self) {}
}

/// A machine of two processors, a message and what was read of it.
fn two(act: impl FnOnce(&sim::Machine, Arc<AtomicU32>, Arc<AtomicU32>)) {
    let message = Arc::new(AtomicU32::new(0));
    let read = Arc::new(AtomicU32::new(0));
    let hooks = Reader { message: Arc::clone(&message), read: Arc::clone(&read) };
    run(2, hooks, |machine| act(machine, message, read));
}

#[test]
fn the_poked_sees_what_was_written() {
    model(|| {
        two(|machine, message, read| {
            let target = machine.cpu(1);
            machine.start(0, move |_| {
                message.store(7, Ordering::Relaxed);
                poke::poke(target);
            });
            machine.start(1, move |_| {
                while read.load(Ordering::Relaxed) != 7 {
                    machine::spin();
                }
                assert_eq!(target.pokes(), 1);
            });
        });
    });
}

#[test]
fn the_last_message_is_seen_however_many_pokes_become_one() {
    model(|| {
        two(|machine, message, read| {
            let target = machine.cpu(1);
            machine.start(0, move |_| {
                for number in 1..=3 {
                    message.store(number, Ordering::Relaxed);
                    poke::poke(target);
                }
            });
            machine.start(1, |_| {});
            machine.join();
            machine.on(1, |_| sim::interrupt_point());
            assert_eq!(read.load(Ordering::Relaxed), 3);
            assert!((1..=3).contains(&target.pokes()));
        });
    });
}

#[test]
fn pokes_that_are_held_back_are_one() {
    once(|| {
        two(|machine, message, _| {
            message.store(1, Ordering::Relaxed);
            let cpu = machine.cpu(0);
            machine.on(0, |_| {
                let raised = pil::raise_anywhere(Pil::MAX);
                for _ in 0..3 {
                    poke::poke(cpu);
                }
                assert_eq!(cpu.pokes(), 0);
                drop(raised);
                assert_eq!(cpu.pokes(), 1);
                poke::poke(cpu);
                sim::interrupt_point();
                assert_eq!(cpu.pokes(), 2);
            });
        });
    });
}

#[test]
fn a_halted_processor_wakes() {
    model(|| {
        run(2, Quiet, |machine| {
            let work = machine.keep(AtomicU32::new(0));
            let target = machine.cpu(1);
            machine.start(0, move |_| {
                work.store(1, Ordering::Relaxed);
                poke::poke(target);
            });
            machine.start(1, move |may_fault| {
                while work.load(Ordering::Relaxed) == 0 {
                    idle::halt_unless(may_fault, |_| work.load(Ordering::Relaxed) != 0);
                }
            });
        });
    });
}

#[test]
fn two_processors_wake_each_other() {
    model(|| {
        run(2, Quiet, |machine| {
            let turn = machine.keep(AtomicU32::new(0));
            for mine in 0..2 {
                let other = machine.cpu(1 - mine as usize);
                machine.start(mine as usize, move |may_fault| {
                    for _ in 0..2 {
                        while turn.load(Ordering::Acquire) % 2 != mine {
                            idle::halt_unless(may_fault, |_| {
                                turn.load(Ordering::Acquire) % 2 == mine
                            });
                        }
                        turn.fetch_add(1, Ordering::Release);
                        poke::poke(other);
                    }
                });
            }
            machine.join();
            assert_eq!(turn.load(Ordering::Relaxed), 4);
        });
    });
}

/// The checkers would notice: here the look at the work is too early, so that the poke can come
/// between the look and the halt, and the processor sleeps for ever.
#[test]
#[cfg(any(feature = "loom", feature = "shuttle"))]
#[should_panic(expected = "deadlock")]
fn a_look_before_interrupts_are_off_is_found() {
    model(|| {
        run(2, Quiet, |machine| {
            let work = machine.keep(AtomicU32::new(0));
            let target = machine.cpu(1);
            machine.start(0, move |_| {
                work.store(1, Ordering::Release);
                poke::poke(target);
            });
            machine.start(1, move |may_fault| {
                while work.load(Ordering::Acquire) == 0 {
                    sim::interrupt_point();
                    idle::halt_unless(may_fault, |_| false);
                }
            });
        });
    });
}
