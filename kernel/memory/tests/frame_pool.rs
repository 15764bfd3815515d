//! The frame pool on one or two processors, one after the other.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::{allocator, frame, frames};
use machine::preempt;
use machine::sim::{Machine, Quiet, run};
use memory::frame_pool::CACHE_SIZE;
use memory::{Class, FrameCounts, FrameNumber, FramePool, FrameState, OutOfMemory};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs a test on a machine with two processors and 256 frames.
fn with_pool(act: impl FnOnce(&Machine, &'static FramePool)) {
    run(2, Quiet, |machine| {
        let mut allocator = allocator(machine, 256);
        allocator.add(frames(0..256));
        act(machine, machine.keep(FramePool::new(allocator)));
    });
}

#[test]
fn counts_know_the_caches() {
    with_pool(|machine, pool| {
        machine.on(0, |may_fault| {
            let off = preempt::disable(may_fault);
            let one = pool.allocate(off.atomic()).unwrap();
            let FrameCounts { free, cached, used, .. } = pool.counts();
            assert_eq!((used, free + cached), (1, 255));
            assert!((1..=CACHE_SIZE as u64).contains(&cached));
            assert_eq!(pool.free_frames(), 255);
            assert_eq!(pool.state(one), FrameState::Used { order: 0 });
            pool.free(off.atomic(), one);
            assert_eq!(pool.state(one), FrameState::Cached);
            pool.empty_cache();
            assert_eq!(pool.state(frame(0)), FrameState::Free { order: 8 });
        });
    });
}

#[test]
fn a_cache_never_holds_more_than_fit() {
    with_pool(|machine, pool| {
        machine.on(0, |_| {
            let all: Vec<_> = std::iter::from_fn(|| pool.allocate_anywhere().ok()).collect();
            assert_eq!(all.len(), 256);
            assert_eq!(pool.allocate_anywhere(), Err(OutOfMemory));
            for (given, &frame) in (1..).zip(&all) {
                pool.free_anywhere(frame);
                assert!(pool.counts().cached <= CACHE_SIZE as u64);
                assert_eq!(pool.free_frames(), given);
            }
        });
        // What is left in that cache is out of the other's reach until it is emptied.
        let cached = machine.on(1, |_| pool.counts().cached);
        let got = machine.on(1, |_| {
            let got: Vec<_> = std::iter::from_fn(|| pool.allocate_anywhere().ok()).collect();
            got.iter().for_each(|&frame| pool.free_anywhere(frame));
            got.len() as u64
        });
        assert_eq!(got, 256 - cached);
    });
}

#[test]
fn each_class_gets_frames_down_to_its_mark() {
    with_pool(|machine, pool| {
        machine.on(0, |_| {
            pool.set_reserves(50, 20, 60);
            let classes = [(Class::Ordinary, 50), (Class::Daemon, 20), (Class::Interrupt, 0)];
            for (class, left) in classes {
                while pool.allocate_as(class).is_ok() {}
                assert_eq!(pool.free_frames(), left, "{class:?}");
                assert_eq!(pool.available(class), 0, "{class:?}");
            }
        });
    });
}

#[test]
fn blocks_pass_the_caches_by() {
    with_pool(|machine, pool| {
        machine.on(0, |_| {
            let block = pool.allocate_block(3).unwrap();
            let low = pool.allocate_block_below(0, frame(16)).unwrap();
            assert!(low < frame(16));
            assert_eq!(pool.counts().cached, 0);
            pool.free_block(block);
            pool.free_block(low);
            assert_eq!(pool.counts().free, 256);
        });
    });
}

#[test]
fn wrong_frees_are_found_whoever_frees_first() {
    with_pool(|machine, pool| {
        let (single, block) =
            machine.on(0, |_| (pool.allocate_anywhere().unwrap(), pool.allocate_block(2).unwrap()));
        machine.on(0, |_| pool.free_anywhere(single));
        machine.on(1, |_| {
            for (wrong, state) in [
                (single, "Cached".to_owned()),
                (block, "Used { order: 2 }".to_owned()),
                (frame(block.number() + 1), format!("InsideUsed {{ head: {block} }}")),
                (frame(256), "Absent".to_owned()),
            ] {
                let free = AssertUnwindSafe(|| pool.free_anywhere(wrong));
                let said = catch_unwind(free).unwrap_err().downcast::<String>().unwrap();
                assert_eq!(*said, format!("wrong free of {wrong}, which is {state}"));
            }
            assert!(catch_unwind(AssertUnwindSafe(|| pool.free_block(single))).is_err());
            pool.free_block(block);
            assert_eq!(pool.free_frames(), 256);
        });
    });
}

/// The ways to free a single frame.
const WAYS: [fn(&FramePool, FrameNumber); 2] = [FramePool::free_anywhere, FramePool::free_block];

/// Whether a free is let through.
fn is_freed(pool: &FramePool, way: fn(&FramePool, FrameNumber), frame: FrameNumber) -> bool {
    catch_unwind(AssertUnwindSafe(|| way(pool, frame))).is_ok()
}

#[test]
fn a_second_free_loses_whichever_way() {
    // Single frames come from a cache, or as blocks of order 0.
    let sources: [fn(&FramePool) -> FrameNumber; 2] =
        [|pool| pool.allocate_anywhere().unwrap(), |pool| pool.allocate_block(0).unwrap()];
    for source in sources {
        for first in WAYS {
            for second in WAYS {
                for emptied in [false, true] {
                    with_pool(|machine, pool| {
                        let frame = machine.on(0, |_| {
                            let frame = source(pool);
                            assert!(is_freed(pool, first, frame));
                            if emptied {
                                pool.empty_cache();
                            }
                            frame
                        });
                        for cpu in 0..2 {
                            machine.on(cpu, |_| assert!(!is_freed(pool, second, frame)));
                        }
                        machine.on(0, |_| {
                            pool.empty_cache();
                            assert_eq!(pool.state(common::frame(0)), FrameState::Free { order: 8 });
                        });
                    });
                }
            }
        }
    }
}

#[test]
fn a_second_free_at_the_same_time_loses() {
    for first in WAYS {
        for second in WAYS {
            with_pool(|machine, pool| {
                let frames: &'static Vec<_> = machine.keep(
                    machine
                        .on(0, |_| (0..250).map(|_| pool.allocate_anywhere().unwrap()).collect()),
                );
                let arrived: &'static AtomicUsize = machine.keep(AtomicUsize::new(0));
                let freed: &'static AtomicUsize = machine.keep(AtomicUsize::new(0));
                for (cpu, way) in [first, second].into_iter().enumerate() {
                    machine.start(cpu, move |_| {
                        for (round, &frame) in frames.iter().enumerate() {
                            // Spinning, as what sleeps does not wake up close enough together.
                            arrived.fetch_add(1, Ordering::Relaxed);
                            while arrived.load(Ordering::Relaxed) < 2 * (round + 1) {
                                machine::spin();
                            }
                            if is_freed(pool, way, frame) {
                                freed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    });
                }
                machine.join();
                assert_eq!(freed.load(Ordering::Relaxed), frames.len());
                for cpu in 0..2 {
                    machine.on(cpu, |_| pool.empty_cache());
                }
                machine.on(0, |_| {
                    assert_eq!(pool.state(frame(0)), FrameState::Free { order: 8 });
                });
            });
        }
    }
}
