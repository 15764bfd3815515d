//! Frames and slabs used by several processors at a time, with handlers that use them too: under
//! plain threads, loom and shuttle.

mod common;

use atomics::{AtomicU32, Ordering};
use common::{HostPages, allocator};
use machine::sim::{self, Machine, Quiet, model, run};
use machine::{Atomic, Cpu, Hooks, Pil, SpinLock, idle, poke, preempt};
use memory::{FrameNumber, FramePool, Memory, Slab, SlabBox};
use std::sync::{Arc, OnceLock};

/// Loom explores everything, so it gets little; the others get more.
const MANY: usize = if cfg!(feature = "loom") { 2 } else { 40 };

/// Who has which frame: each at most one.
struct Owners(Vec<AtomicU32>);

impl Owners {
    fn new(frames: usize) -> Owners {
        Owners((0..frames).map(|_| AtomicU32::new(0)).collect())
    }

    fn take(&self, frame: FrameNumber) {
        let before = self.0[frame.number() as usize].swap(1, Ordering::Relaxed);
        assert_eq!(before, 0, "{frame} is given out twice");
    }

    fn give(&self, frame: FrameNumber) {
        let before = self.0[frame.number() as usize].swap(0, Ordering::Relaxed);
        assert_eq!(before, 1, "{frame} was not given out");
    }
}

/// The frames of a machine.
struct Frames {
    pool: FramePool,
    owners: Owners,
}

impl Frames {
    fn new(machine: &Machine, count: usize) -> Frames {
        let mut allocator = allocator(machine, count);
        allocator.add(common::frames(0..count as u64));
        Frames { pool: FramePool::new(allocator), owners: Owners::new(count) }
    }

    /// Allocates a frame and frees it.
    fn use_one(&self, atomic: &Atomic) {
        if let Ok(frame) = self.pool.allocate(atomic) {
            self.owners.take(frame);
            self.owners.give(frame);
            self.pool.free(atomic, frame);
        }
    }

    /// Empties the caches and checks that everything has come back and is joined again.
    fn check(&self, machine: &Machine, count: usize) {
        for cpu in 0..machine.system().cpu_count() {
            machine.on(cpu, |_| self.pool.empty_cache());
        }
        machine.on(0, |_| {
            let counts = self.pool.counts();
            assert_eq!((counts.free, counts.cached, counts.used), (count as u64, 0, 0));
            let order = count.ilog2() as u8;
            let whole = self.pool.allocate_block(order).expect("everything is one block again");
            self.pool.free_block(whole);
        });
    }
}

#[test]
fn frames_have_one_owner() {
    const COUNT: usize = if cfg!(feature = "loom") { 4 } else { 128 };

    model(|| {
        run(2, Quiet, |machine| {
            let frames: &'static Frames = machine.keep(Frames::new(machine, COUNT));
            for cpu in 0..2 {
                machine.start(cpu, move |_| {
                    let mut mine = Vec::new();
                    for _ in 0..MANY {
                        match frames.pool.allocate_anywhere() {
                            Ok(frame) => {
                                frames.owners.take(frame);
                                mine.push(frame);
                            }
                            // The other's cache may hold the rest.
                            Err(_) => assert!(mine.len() > MANY / 2),
                        }
                    }
                    for frame in mine {
                        frames.owners.give(frame);
                        frames.pool.free_anywhere(frame);
                    }
                });
            }
            machine.join();
            frames.check(machine, COUNT);
        });
    });
}

#[test]
fn frames_move_from_one_processor_to_another() {
    const COUNT: usize = if cfg!(feature = "loom") { 4 } else { 128 };

    model(|| {
        run(2, Quiet, |machine| {
            let frames: &'static Frames = machine.keep(Frames::new(machine, COUNT));
            let passed: &'static SpinLock<Vec<FrameNumber>, 12> =
                machine.keep(SpinLock::new(Vec::new()));
            let other = machine.cpu(1);
            machine.start(0, move |_| {
                for _ in 0..MANY {
                    let frame = frames.pool.allocate_anywhere().expect("there are enough");
                    frames.owners.take(frame);
                    passed.lock_anywhere().push(frame);
                    poke::poke(other);
                }
            });
            machine.start(1, move |may_fault| {
                let mut left = MANY;
                while left != 0 {
                    let frame = passed.lock_anywhere().pop();
                    match frame {
                        Some(frame) => {
                            frames.owners.give(frame);
                            frames.pool.free_anywhere(frame);
                            left -= 1;
                        }
                        None => idle::halt_unless(may_fault, |atomic| {
                            !passed.lock_within(atomic).is_empty()
                        }),
                    }
                }
            });
            machine.join();
            frames.check(machine, COUNT);
        });
    });
}

/// Uses a frame in every interrupt.
struct FrameHandler(Arc<OnceLock<&'static Frames>>);

impl Hooks for FrameHandler {
    fn interrupt(&self, _: &Cpu, atomic: &Atomic, _: Pil, _: u8) {
        self.0.get().expect("set before anything starts").use_one(atomic);
    }

    fn poked(&self, cpu: &Cpu, atomic: &Atomic) {
        self.interrupt(cpu, atomic, Pil::DISP, 0);
    }

    fn timer(&self, _: &Cpu, _: &Atomic) {}

    fn preempt(&self) {}
}

#[test]
fn handlers_allocate_frames_too() {
    const COUNT: usize = if cfg!(feature = "loom") { 4 } else { 64 };
    const CPUS: usize = if cfg!(feature = "loom") { 2 } else { 3 };

    model(|| {
        let place = Arc::new(OnceLock::new());
        run(CPUS, FrameHandler(Arc::clone(&place)), |machine| {
            let frames: &'static Frames = machine.keep(Frames::new(machine, COUNT));
            place.set(frames).ok().expect("set once");
            for cpu in 0..CPUS {
                let next = machine.cpu((cpu + 1) % CPUS);
                machine.start(cpu, move |may_fault| {
                    sim::interrupt(next, Pil::SPIN_MAX, 0);
                    for round in 0..MANY / 2 {
                        let off = preempt::disable(may_fault);
                        frames.use_one(off.atomic());
                        drop(off);
                        sim::interrupt(next, Pil::new(3 + round as u8 % 11), 1);
                    }
                });
            }
            machine.join();
            for cpu in 0..CPUS {
                machine.on(cpu, |_| sim::interrupt_point());
            }
            frames.check(machine, COUNT);
        });
    });
}

/// An object that knows whether it is alive, and whose.
struct Object {
    number: usize,
    check: usize,
}

impl Object {
    fn new(number: usize) -> Object {
        Object { number, check: !number }
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        assert_eq!(self.check, !self.number, "somebody has written to this object");
        self.check = 0;
    }
}

/// How many objects fill more than two magazines.
const OBJECTS: usize = if cfg!(feature = "loom") { 5 } else { 80 };

fn give_back(machine: &Machine, slab: &'static Slab<Object>, pages: &HostPages) {
    for cpu in 0..machine.system().cpu_count() {
        machine.on(cpu, |_| slab.reclaim());
    }
    let counts = machine.on(0, |_| slab.counts());
    assert_eq!((counts.live, counts.pages, pages.given()), (0, 0, 0));
}

#[test]
fn objects_move_from_one_processor_to_another() {
    model(|| {
        run(2, Quiet, |machine| {
            let pages: &'static HostPages = machine.keep(HostPages::new(10));
            let slab: &'static Slab<Object> = machine.keep(Slab::new(pages));
            let passed: &'static SpinLock<Vec<SlabBox<Object>>, 12> =
                machine.keep(SpinLock::new(Vec::new()));
            let other = machine.cpu(1);
            machine.start(0, move |_| {
                for number in 0..OBJECTS {
                    let object = slab.allocate(Object::new(number)).ok().expect("enough pages");
                    passed.lock_anywhere().push(object);
                    poke::poke(other);
                }
            });
            machine.start(1, move |may_fault| {
                let mut left = OBJECTS;
                while left != 0 {
                    let batch = std::mem::take(&mut *passed.lock_anywhere());
                    if batch.is_empty() {
                        idle::halt_unless(may_fault, |atomic| {
                            !passed.lock_within(atomic).is_empty()
                        });
                    }
                    left -= batch.len();
                }
            });
            machine.join();
            give_back(machine, slab, pages);
        });
    });
}

#[test]
fn magazines_meet_in_the_depot() {
    model(|| {
        run(2, Quiet, |machine| {
            let pages: &'static HostPages = machine.keep(HostPages::new(10));
            let slab: &'static Slab<Object> = machine.keep(Slab::new(pages));
            for cpu in 0..2 {
                machine.start(cpu, move |_| {
                    let objects: Vec<_> = (0..OBJECTS)
                        .map(|number| slab.allocate(Object::new(number)).ok().expect("enough"))
                        .collect();
                    for (number, object) in objects.iter().enumerate() {
                        assert_eq!(object.number, number);
                    }
                });
            }
            machine.join();
            give_back(machine, slab, pages);
        });
    });
}

#[test]
fn one_reclaims_while_another_allocates() {
    model(|| {
        run(2, Quiet, |machine| {
            let pages: &'static HostPages = machine.keep(HostPages::new(10));
            let slab: &'static Slab<Object> = machine.keep(Slab::new(pages));
            machine.start(0, move |_| {
                for round in 0..MANY {
                    let objects: [_; 3] = std::array::from_fn(|number| {
                        slab.allocate(Object::new(round + number)).ok().expect("enough")
                    });
                    assert_eq!(objects[2].number, round + 2);
                }
            });
            machine.start(1, move |_| {
                drop(slab.allocate(Object::new(7)));
                for _ in 0..MANY / 2 {
                    slab.reclaim();
                }
            });
            machine.join();
            give_back(machine, slab, pages);
        });
    });
}

/// Makes an object in every interrupt, and frees it.
struct SlabHandler(Arc<OnceLock<&'static Slab<Object>>>);

impl Hooks for SlabHandler {
    fn interrupt(&self, cpu: &Cpu, _: &Atomic, _: Pil, line: u8) {
        let slab = self.0.get().expect("set before anything starts");
        let object = slab.allocate(Object::new(cpu.index())).ok().expect("enough");
        assert_eq!(object.number, cpu.index(), "line {line}");
    }

    fn poked(&self, _: &Cpu, _: &Atomic) {}
    fn timer(&self, _: &Cpu, _: &Atomic) {}
    fn preempt(&self) {}
}

#[test]
fn handlers_make_objects_too() {
    const CPUS: usize = if cfg!(feature = "loom") { 2 } else { 3 };

    model(|| {
        let place = Arc::new(OnceLock::new());
        run(CPUS, SlabHandler(Arc::clone(&place)), |machine| {
            let pages: &'static HostPages = machine.keep(HostPages::new(10));
            let slab: &'static Slab<Object> = machine.keep(Slab::new(pages));
            place.set(slab).ok().expect("set once");
            for cpu in 0..CPUS {
                let next = machine.cpu((cpu + 1) % CPUS);
                machine.start(cpu, move |_| {
                    sim::interrupt(next, Pil::SPIN_MAX, 0);
                    for round in 0..MANY / 2 {
                        let object = slab.allocate(Object::new(round)).ok().expect("enough");
                        sim::interrupt(next, Pil::new(3 + round as u8 % 11), 1);
                        assert_eq!(object.number, round);
                    }
                });
            }
            machine.join();
            for cpu in 0..CPUS {
                machine.on(cpu, |_| sim::interrupt_point());
            }
            give_back(machine, slab, pages);
        });
    });
}

#[test]
fn the_memory_of_a_system_is_found_from_its_processors() {
    model(|| {
        run(2, Quiet, |machine| {
            let mut allocator = allocator(machine, 64);
            allocator.add(common::frames(0..64));
            machine.keep(Memory::new(allocator)).install(machine.system());
            for cpu in 0..2 {
                machine.start(cpu, |_| {
                    let frame = Memory::current().frames.allocate_anywhere().expect("there are 64");
                    Memory::current().frames.free_anywhere(frame);
                });
            }
            machine.join();
            assert_eq!(machine.on(0, |_| Memory::current().frames.free_frames()), 64);
        });
    });
}
