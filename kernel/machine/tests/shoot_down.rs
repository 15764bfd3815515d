//! Shoot-downs: what processors have copied is used until then, and not after; nobody waits for ever.

mod frames;

use atomics::{AtomicU32, Ordering};
use frames::{ADDRESS, PAGE, READ, map, read_write, run};
use machine::pmap::Translation;
use machine::sim::{Machine, model, model_with_few_preemptions, physical, user};
use machine::{Atomic, Pmap, preempt};

/// What the first word of a page says of it.
const OLD: u64 = 1;
const NEW: u64 = 2;
/// Nobody may see this: the frame is somebody else's by now.
const GIVEN_AWAY: u64 = 3;

const RANGE: std::ops::Range<u64> = ADDRESS..ADDRESS + PAGE;

/// Runs `act` on a processor while it is in the pmap.
fn inside(pmap: &Pmap, act: impl FnOnce(&Atomic)) {
    let guard = preempt::disable_anywhere();
    pmap.activate(guard.atomic());
    act(guard.atomic());
    pmap.deactivate(guard.atomic());
}

/// Spins until the step is taken.
fn wait_for(step: &AtomicU32, number: u32) {
    while step.load(Ordering::Acquire) < number {
        machine::spin();
    }
}

#[test]
fn a_stale_copy_is_used_until_the_shoot_down_and_not_after() {
    model(|| {
        run(2, |machine, frames, pmap| {
            map(frames, pmap, ADDRESS, READ, OLD);
            let new = frames.with_word(NEW);
            let step = machine.keep(AtomicU32::new(0));
            machine.start(0, move |_| {
                wait_for(step, 1);
                // Writable at once, as if the others could not have a copy of the old one: the bug.
                pmap.exchange(ADDRESS, Some(Translation::new(new, read_write())));
                physical::store(new, NEW + 10);
                step.store(2, Ordering::Release);
                wait_for(step, 3);
                pmap.shoot_down(RANGE);
                step.store(4, Ordering::Release);
            });
            machine.start(1, move |_| {
                inside(pmap, |_| {
                    assert_eq!(user::load(ADDRESS), Ok(OLD));
                    step.store(1, Ordering::Release);
                    wait_for(step, 2);
                    assert_eq!(user::load(ADDRESS), Ok(OLD), "the copy is not used");
                    step.store(3, Ordering::Release);
                    wait_for(step, 4);
                    assert_eq!(user::load(ADDRESS), Ok(NEW + 10), "the copy is still used");
                });
            });
            machine.join();
            assert_eq!(machine.cpu(0).shoot_downs_sent(), 1);
            assert_eq!(machine.cpu(1).shoot_downs_received(), 1);
        });
    });
}

/// Replaces a page while another processor comes, reads it, and goes, `visits` times; after the shoot-down
/// the old frame is somebody else's.
fn replace_while_another_reads(visits: usize, reads: usize) {
    run(2, |machine, frames, pmap| {
        let old = map(frames, pmap, ADDRESS, READ, OLD);
        let new = frames.with_word(NEW);
        // The accessed bit is set already: setting it, in one step, would find the newest entry.
        let accessed = |frame| Translation { accessed: true, ..Translation::new(frame, READ) };
        pmap.exchange(ADDRESS, Some(accessed(old)));
        machine.start(0, move |_| {
            pmap.exchange(ADDRESS, Some(accessed(new)));
            pmap.shoot_down(RANGE);
            physical::store(old, GIVEN_AWAY);
        });
        machine.start(1, move |_| {
            for _ in 0..visits {
                inside(pmap, |_| {
                    for _ in 0..reads {
                        let seen = user::load(ADDRESS);
                        assert!(
                            [Ok(OLD), Ok(NEW)].contains(&seen),
                            "a frame that is gone: {seen:?}"
                        );
                    }
                });
            }
        });
    });
}

#[test]
fn whoever_comes_or_goes_during_a_shoot_down_sees_no_old_frame_after_it() {
    model_with_few_preemptions(|| replace_while_another_reads(1, 1));
}

/// Starts a thread on each of two processors; each is in the pmap and shoots its own page down, `rounds`
/// times, in the way that `how` says.
fn shoot_each_other(
    machine: &Machine,
    pmap: &'static Pmap,
    rounds: usize,
    how: fn(&mut dyn FnMut()),
) {
    for number in 0..2 {
        machine.start(number, move |_| {
            let page = ADDRESS + number as u64 * PAGE;
            inside(pmap, |_| {
                how(&mut || {
                    for _ in 0..rounds {
                        pmap.shoot_down(page..page + PAGE);
                    }
                });
            });
        });
    }
}

fn check_mutual(rounds: usize, how: fn(&mut dyn FnMut())) {
    run(2, |machine, _, pmap| {
        shoot_each_other(machine, pmap, rounds, how);
        machine.join();
        let [first, second] = [0, 1].map(|index| machine.cpu(index));
        assert_eq!(first.shoot_downs_sent(), second.shoot_downs_received());
        assert_eq!(second.shoot_downs_sent(), first.shoot_downs_received());
    });
}

#[test]
fn two_processors_shoot_each_other_down() {
    model_with_few_preemptions(|| check_mutual(1, |act| act()));
}

/// Where a write goes through, its dirty bit is in what is handed back by whoever takes the right away.
fn no_dirty_bit_is_lost(take: fn(&Pmap) -> Translation, load_before: bool) {
    run(2, |machine, frames, pmap| {
        let frame = map(frames, pmap, ADDRESS, read_write(), OLD);
        let dirty = machine.keep(AtomicU32::new(0));
        let wrote = machine.keep(AtomicU32::new(0));
        machine.start(0, move |_| {
            let old = take(pmap);
            pmap.shoot_down(RANGE);
            dirty.store(u32::from(old.dirty), Ordering::Relaxed);
            let written = physical::load(frame);
            // Nobody writes any more: what is there now stays.
            physical::store(frame, written + 10);
        });
        machine.start(1, move |_| {
            inside(pmap, |_| {
                if load_before {
                    _ = user::load(ADDRESS);
                }
                let result = user::store(ADDRESS, NEW);
                wrote.store(u32::from(result.is_ok()), Ordering::Relaxed);
            });
        });
        machine.join();
        let (dirty, wrote) = (dirty.load(Ordering::Relaxed), wrote.load(Ordering::Relaxed));
        assert_eq!(dirty, wrote, "dirty {dirty}, wrote {wrote}");
        let expected = if wrote == 1 { NEW } else { OLD };
        assert_eq!(physical::load(frame), expected + 10, "written after the shoot-down");
    });
}

fn restrict(pmap: &Pmap) -> Translation {
    pmap.restrict(ADDRESS, READ).expect("it is mapped")
}

#[test]
fn no_dirty_bit_is_lost_by_a_restriction() {
    model_with_few_preemptions(|| no_dirty_bit_is_lost(restrict, false));
}

/// What is too long for loom.
#[cfg(not(feature = "loom"))]
mod longer {
    use super::*;
    use frames::Frames;
    use machine::sim;
    use machine::{Cpu, Hooks, Pil, SpinLock, pil};
    use std::sync::{Arc, OnceLock};

    #[test]
    fn whoever_stays_sees_no_old_frame_after_a_shoot_down() {
        model(|| replace_while_another_reads(1, 5));
    }

    #[test]
    fn whoever_comes_again_sees_no_old_frame_after_a_shoot_down() {
        model(|| replace_while_another_reads(2, 1));
    }

    #[test]
    fn at_every_level_at_which_one_may_spin() {
        model(|| check_mutual(3, |act| act()));
        model(|| {
            check_mutual(2, |act| {
                let _level = pil::raise_anywhere(Pil::DISP);
                act();
            })
        });
        model(|| {
            check_mutual(2, |act| {
                let _level = pil::raise_anywhere(Pil::SPIN_MAX);
                act();
            })
        });
    }

    #[test]
    fn also_with_interrupts_off() {
        model(|| check_mutual(2, |act| sim::without_interrupts(|_| act())));
    }

    #[test]
    fn a_processor_that_waits_for_a_lock_with_interrupts_off_answers() {
        model(|| {
            run(2, |machine, _, pmap| {
                let lock = machine.keep(SpinLock::<u32, 13>::new(0));
                for number in 0..2 {
                    machine.start(number, move |_| {
                        inside(pmap, |atomic| {
                            let work = || {
                                let mut held = lock.lock_within(atomic);
                                pmap.shoot_down(RANGE);
                                *held += 1;
                            };
                            if number == 0 { work() } else { sim::without_interrupts(|_| work()) }
                        });
                    });
                }
                machine.join();
                assert_eq!(machine.on(0, |_| *lock.lock_anywhere()), 2);
            });
        });
    }

    #[test]
    fn nor_if_there_was_a_copy_without_it() {
        model(|| no_dirty_bit_is_lost(restrict, true));
    }

    #[test]
    fn no_dirty_bit_is_lost_by_an_exchange() {
        model(|| {
            no_dirty_bit_is_lost(|pmap| pmap.exchange(ADDRESS, None).expect("it is mapped"), false);
        });
    }

    #[test]
    fn only_who_may_have_a_copy_is_asked() {
        model(|| {
            run(3, |machine, frames, pmap| {
                let other = machine.keep(Pmap::new(frames).expect("there is a frame"));
                map(frames, pmap, ADDRESS, READ, OLD);
                let step = machine.keep(AtomicU32::new(0));
                // One is in another pmap, one was in this one and has left it.
                machine.start(1, move |_| {
                    inside(other, |_| {
                        step.fetch_add(1, Ordering::AcqRel);
                        wait_for(step, 3);
                    });
                });
                machine.start(2, move |_| {
                    inside(pmap, |_| _ = user::load(ADDRESS));
                    step.fetch_add(1, Ordering::AcqRel);
                });
                machine.start(0, move |_| {
                    inside(pmap, |_| {
                        assert_eq!(user::load(ADDRESS), Ok(OLD));
                        wait_for(step, 2);
                        pmap.exchange(ADDRESS, None);
                        pmap.shoot_down(0..u64::MAX);
                        assert!(user::load(ADDRESS).is_err(), "its own copy is used");
                    });
                    step.fetch_add(1, Ordering::AcqRel);
                });
                machine.join();
                for index in 0..3 {
                    let cpu = machine.cpu(index);
                    assert_eq!((cpu.shoot_downs_sent(), cpu.shoot_downs_received()), (0, 0));
                }
            });
        });
    }

    /// Shoots down from the handler of an interrupt.
    struct Nested(Arc<OnceLock<&'static Pmap>>);

    impl Hooks for Nested {
        fn interrupt(&self, _: &Cpu, _: &Atomic, level: Pil, _: u8) {
            assert!(level <= Pil::SPIN_MAX);
            self.0.get().expect("set before").shoot_down(ADDRESS + PAGE..ADDRESS + 2 * PAGE);
        }

        fn poked(&self, _: &Cpu, _: &Atomic) {}
        fn timer(&self, _: &Cpu, _: &Atomic) {}
        fn preempt(&self) {}
    }

    #[test]
    fn an_interrupt_that_shoots_down_too_waits_for_its_turn() {
        model(|| {
            let cell = Arc::new(OnceLock::new());
            sim::run(2, Nested(Arc::clone(&cell)), |machine| {
                let frames = machine.keep(Frames::new());
                let pmap = machine.keep(Pmap::new(frames).expect("there is a frame"));
                _ = cell.set(pmap);
                map(frames, pmap, ADDRESS, READ, OLD);
                let target = machine.cpu(0);
                let step = machine.keep(AtomicU32::new(0));
                machine.start(0, move |_| {
                    wait_for(step, 1);
                    pmap.exchange(ADDRESS, None);
                    pmap.shoot_down(RANGE);
                    step.store(2, Ordering::Release);
                });
                machine.start(1, move |_| {
                    inside(pmap, |_| {
                        assert_eq!(user::load(ADDRESS), Ok(OLD));
                        step.store(1, Ordering::Release);
                        sim::interrupt(target, Pil::new(12), 0);
                        wait_for(step, 2);
                        assert!(user::load(ADDRESS).is_err(), "the first request was lost");
                    });
                });
            });
        });
    }
}
