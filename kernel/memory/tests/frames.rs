//! The buddy allocator: single calls, and random sequences of them against a model.

#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod common;

use common::{frame, frames, with_allocator};
use memory::frames::ORDER_MAX;
use memory::{FrameAllocator, FrameCounts, FrameNumber, FrameState, OutOfMemory};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a call says when it panics.
fn panic_of<R>(act: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(act()))).expect_err("this has to panic");
    *panic.downcast::<String>().expect("a message with a frame in it")
}

/// How many free blocks there are, by order.
fn blocks(allocator: &FrameAllocator) -> Vec<(u8, usize)> {
    (0..=ORDER_MAX)
        .map(|order| (order, allocator.free_blocks(order)))
        .filter(|&(_, count)| count != 0)
        .collect()
}

#[test]
fn a_new_allocator_has_nothing() {
    with_allocator(100, |allocator| {
        assert_eq!(allocator.allocate(0), Err(OutOfMemory));
        assert_eq!(allocator.counts(), FrameCounts { absent: 100, ..FrameCounts::default() });
        assert_eq!(allocator.state(frame(7)), FrameState::Absent);
        assert_eq!(allocator.state(frame(100)), FrameState::Absent);
    });
}

#[test]
fn ranges_become_the_fewest_blocks() {
    with_allocator(1024, |allocator| {
        allocator.add(frames(1..1024));
        assert_eq!(blocks(allocator), (0..10).map(|order| (order, 1)).collect::<Vec<_>>());
    });
}

#[test]
fn neighbouring_ranges_are_joined() {
    with_allocator(64, |allocator| {
        for start in 0..64 {
            allocator.add(frames(start..start + 1));
        }
        assert_eq!(blocks(allocator), [(6, 1)]);
    });
}

#[test]
fn large_memory_is_cut_into_the_largest_blocks() {
    with_allocator(3 << 18, |allocator| {
        allocator.add(frames(0..3 << 18));
        assert_eq!(blocks(allocator), [(18, 3)]);
        assert_eq!(allocator.allocate(19), Err(OutOfMemory));
        assert_eq!(allocator.allocate(255), Err(OutOfMemory));
        let first = allocator.allocate(18).unwrap();
        assert_eq!(first.number() % (1 << 18), 0);
    });
}

#[test]
fn blocks_are_aligned_and_split_only_as_far_as_needed() {
    with_allocator(64, |allocator| {
        allocator.add(frames(0..64));
        let block = allocator.allocate(2).unwrap();
        assert_eq!(block.number() % 4, 0);
        assert_eq!(blocks(allocator), [(2, 1), (3, 1), (4, 1), (5, 1)]);
        assert_eq!(allocator.state(block), FrameState::Used { order: 2 });
        let inside = frame(block.number() + 3);
        assert_eq!(allocator.state(inside), FrameState::InsideUsed { head: block });
        allocator.free(block);
        assert_eq!(blocks(allocator), [(6, 1)]);
        assert_eq!(allocator.state(inside), FrameState::InsideFree { head: frame(0) });
    });
}

#[test]
fn memory_below_a_limit() {
    with_allocator(1024, |allocator| {
        allocator.add(frames(1..160));
        allocator.add(frames(256..1024));
        let low = allocator.allocate_below(0, frame(2)).unwrap();
        assert_eq!(low, frame(1));
        assert_eq!(allocator.allocate_below(0, frame(2)), Err(OutOfMemory));
        let block = allocator.allocate_below(6, frame(160)).unwrap();
        assert_eq!(block, frame(64));
        // 128..160 is too small, and the next multiple of 64 with memory is 256.
        assert_eq!(allocator.allocate_below(6, frame(319)), Err(OutOfMemory));
        assert_eq!(allocator.allocate_below(6, frame(320)), Ok(frame(256)));
        assert_eq!(allocator.allocate_below(6, frame(u64::MAX)), Ok(frame(320)));
        for block in [low, block, frame(256), frame(320)] {
            allocator.free(block);
        }
        assert_eq!(allocator.free_frames(), 159 + 768);
        assert_eq!(blocks(allocator).last(), Some(&(9, 1)));
    });
}

#[test]
fn reserving_takes_frames_out() {
    with_allocator(256, |allocator| {
        allocator.add(frames(0..128));
        allocator.reserve(frames(10..21));
        allocator.reserve(frames(20..22));
        allocator.reserve(frames(120..140));
        let counts = FrameCounts { free: 108, reserved: 32, absent: 116, ..Default::default() };
        assert_eq!(allocator.counts(), counts);
        for number in 0..128 {
            let reserved = (10..22).contains(&number) || number >= 120;
            assert_eq!(allocator.state(frame(number)) == FrameState::Reserved, reserved);
        }
        while let Ok(got) = allocator.allocate(0) {
            assert!(!(10..22).contains(&got.number()) && got.number() < 120, "{got} is reserved");
        }
        assert_eq!(allocator.counts().used, 108);
    });
}

#[test]
fn releasing_gives_them_back() {
    with_allocator(256, |allocator| {
        allocator.add(frames(0..256));
        allocator.reserve(frames(3..200));
        allocator.release(frames(70..75));
        assert_eq!(allocator.free_frames(), 256 - 197 + 5);
        assert_eq!(allocator.state(frame(69)), FrameState::Reserved);
        assert_eq!(allocator.state(frame(75)), FrameState::Reserved);
        allocator.release(frames(3..70));
        allocator.release(frames(75..200));
        assert_eq!(blocks(allocator), [(8, 1)]);
    });
}

#[test]
fn wrong_frees_name_the_frame_and_its_state() {
    with_allocator(64, |allocator| {
        allocator.add(frames(0..32));
        allocator.reserve(frames(0..1));
        let block = allocator.allocate_below(2, frame(8)).unwrap();
        for (wrong, state) in [
            (frame(0), "Reserved".to_owned()),
            (frame(40), "Absent".to_owned()),
            (frame(1), "Free { order: 0 }".to_owned()),
            (frame(3), "InsideFree { head: frame 0x2 }".to_owned()),
            (frame(5), "InsideUsed { head: frame 0x4 }".to_owned()),
        ] {
            let said = panic_of(|| allocator.free(wrong));
            assert_eq!(said, format!("wrong free of {wrong}, which is {state}"));
        }
        let said = panic_of(|| allocator.free(frame(64)));
        assert_eq!(said, "wrong free of frame 0x40, which the machine does not have");
        allocator.free(block);
        let said = panic_of(|| allocator.free(block));
        assert!(said.starts_with("wrong free of frame 0x4, which is "), "{said}");
        assert_eq!(allocator.free_frames(), 31);
    });
}

#[test]
fn wrong_ranges_are_refused() {
    with_allocator(64, |allocator| {
        allocator.add(frames(8..16));
        panic_of(|| allocator.add(frames(15..17)));
        panic_of(|| allocator.add(frames(0..4)));
        panic_of(|| allocator.add(frames(60..65)));
        let block = allocator.allocate(0).unwrap();
        panic_of(|| allocator.reserve(frames(8..16)));
        panic_of(|| allocator.release(frames(block.number()..block.number() + 1)));
        panic_of(|| allocator.release(frames(32..33)));
    });
}

/// What a test does: one step of a random sequence.
#[derive(Clone, Debug)]
enum Step {
    Allocate {
        order: u8,
    },
    AllocateBelow {
        order: u8,
        limit: u64,
    },
    /// Frees one of the blocks that are allocated.
    Free {
        which: prop::sample::Index,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6u8).prop_map(|order| Step::Allocate { order }),
        1 => (0..4u8, 0..300u64).prop_map(|(order, limit)| Step::AllocateBelow { order, limit }),
        4 => any::<prop::sample::Index>().prop_map(|which| Step::Free { which }),
    ]
}

/// The model: who has each frame.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Owner {
    Nobody,
    Allocator,
    Reserved,
    User,
}

struct Model {
    owners: Vec<Owner>,
    blocks: Vec<(FrameNumber, u8)>,
}

impl Model {
    fn change(&mut self, first: FrameNumber, order: u8, from: Owner, to: Owner) {
        let first = first.number() as usize;
        assert_eq!(first % (1 << order), 0, "a block is aligned");
        for owner in &mut self.owners[first..first + (1 << order)] {
            assert_eq!(*owner, from);
            *owner = to;
        }
    }

    /// Whether a block of this order could be made: all of it the allocator's.
    fn has(&self, order: u8, limit: u64) -> bool {
        let limit = self.owners.len().min(limit as usize);
        self.owners[..limit]
            .chunks_exact(1 << order)
            .any(|block| block.iter().all(|&owner| owner == Owner::Allocator))
    }

    fn allocated(&mut self, result: Result<FrameNumber, OutOfMemory>, order: u8, limit: u64) {
        assert_eq!(result.is_ok(), self.has(order, limit), "order {order} below {limit}");
        if let Ok(first) = result {
            assert!(first.number() + (1 << order) <= limit);
            self.change(first, order, Owner::Allocator, Owner::User);
            self.blocks.push((first, order));
        }
    }

    fn check(&self, allocator: &FrameAllocator) {
        let count = |wanted| self.owners.iter().filter(|&&owner| owner == wanted).count() as u64;
        let counts = FrameCounts {
            free: count(Owner::Allocator),
            cached: 0,
            used: count(Owner::User),
            reserved: count(Owner::Reserved),
            absent: count(Owner::Nobody),
        };
        assert_eq!(allocator.counts(), counts);
        for (index, &owner) in self.owners.iter().enumerate() {
            let said = match allocator.state(frame(index as u64)) {
                FrameState::Absent => Owner::Nobody,
                FrameState::Reserved => Owner::Reserved,
                FrameState::Free { .. } | FrameState::InsideFree { .. } => Owner::Allocator,
                FrameState::Used { .. } | FrameState::InsideUsed { .. } => Owner::User,
                FrameState::Cached => panic!("nobody caches here"),
            };
            assert_eq!(said, owner, "frame {index}");
        }
    }

    /// The free blocks that there must be if everything that can be joined is.
    fn merged(&self) -> Vec<(u8, usize)> {
        let mut counts = [0; ORDER_MAX as usize + 1];
        let mut index = 0;
        while index < self.owners.len() {
            let order = (0..=ORDER_MAX)
                .take_while(|&order| {
                    index % (1 << order) == 0
                        && self
                            .owners
                            .get(index..index + (1 << order))
                            .is_some_and(|all| all.iter().all(|&o| o == Owner::Allocator))
                })
                .last();
            if let Some(order) = order {
                counts[usize::from(order)] += 1;
            }
            index += order.map_or(1, |order| 1 << order);
        }
        (0..).zip(counts).filter(|&(_, count)| count != 0).collect()
    }
}

/// Lengths of a gap and of what follows it, or a start and a length.
type Pairs = Vec<(u64, u64)>;

/// A machine's memory: gaps and regions in turn, then what is reserved.
fn layout() -> impl Strategy<Value = (Pairs, Pairs)> {
    let regions = prop::collection::vec((0..40u64, 1..90u64), 1..6);
    let reserved = prop::collection::vec((0..300u64, 1..20u64), 0..5);
    (regions, reserved)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn random_sequences_agree_with_the_model(
        (regions, reserved) in layout(),
        steps in prop::collection::vec(step(), 1..100),
    ) {
        let total = regions.iter().map(|(gap, length)| gap + length).sum::<u64>();
        with_allocator(total as usize, |allocator| {
            let mut model =
                Model { owners: vec![Owner::Nobody; total as usize], blocks: Vec::new() };
            let mut at = 0;
            for (gap, length) in regions {
                let range = at + gap..at + gap + length;
                at = range.end;
                model.owners[range.start as usize..range.end as usize].fill(Owner::Allocator);
                allocator.add(frames(range));
            }
            for (start, length) in reserved {
                let range = start.min(total)..(start + length).min(total);
                model.owners[range.start as usize..range.end as usize].fill(Owner::Reserved);
                allocator.reserve(frames(range));
                model.check(allocator);
                assert_eq!(blocks(allocator), model.merged());
            }
            for step in steps {
                match step {
                    Step::Allocate { order } => {
                        model.allocated(allocator.allocate(order), order, total);
                    }
                    Step::AllocateBelow { order, limit } => {
                        let got = allocator.allocate_below(order, frame(limit));
                        model.allocated(got, order, limit.min(total));
                    }
                    Step::Free { which } => {
                        if model.blocks.is_empty() {
                            continue;
                        }
                        let index = which.index(model.blocks.len());
                        let (first, order) = model.blocks.swap_remove(index);
                        allocator.free(first);
                        model.change(first, order, Owner::User, Owner::Allocator);
                    }
                }
                model.check(allocator);
                assert_eq!(blocks(allocator), model.merged());
            }
            for (first, order) in std::mem::take(&mut model.blocks) {
                allocator.free(first);
                model.change(first, order, Owner::User, Owner::Allocator);
            }
            model.check(allocator);
            assert_eq!(blocks(allocator), model.merged());
        });
    }
}
