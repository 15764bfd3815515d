//! Swap space against a set of slots.

#![cfg(not(feature = "loom"))]

use super::*;
use crate::test_machine::single;
use crate::test_machine::store::{Device, MemoryStore};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::boxed::Box;
use std::collections::BTreeSet;
use std::vec;

/// Under a checker each step counts, and nothing happens at the same time.
const CASES: u32 = if cfg!(feature = "shuttle") { 5 } else { 200 };

fn with_slots(slots: u64) -> Swap {
    let swap = Swap::new();
    let store: &'static MemoryStore = Box::leak(Box::new(MemoryStore::new(slots)));
    let device: &'static Device = Box::leak(Box::new(Device(store)));
    swap.attach(device, Box::leak(vec![0; Swap::words(slots)].into_boxed_slice()));
    swap
}

/// The longest run of free slots on either side of where the search begins.
fn longest(taken: &BTreeSet<u32>, next: u32, slots: u32) -> u32 {
    let (mut longest, mut run) = (0, 0);
    for slot in 0..slots {
        run = if slot == next { 0 } else { run };
        run = if taken.contains(&slot) { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    longest
}

/// Takes runs, or gives back every `n`th slot of those that are taken.
fn perform(slots: u32, steps: &[Result<u32, u32>]) {
    let (swap, mut taken) = (with_slots(u64::from(slots)), BTreeSet::new());
    for step in steps {
        match *step {
            Ok(wanted) => {
                let next = swap.map.lock_anywhere().next;
                let run = swap.allocate(wanted);
                assert!(run.end <= slots);
                let expected = wanted.min(longest(&taken, next, slots));
                assert_eq!(run.end - run.start, expected, "{wanted} with {taken:?} from {next}");
                for slot in run {
                    assert!(taken.insert(slot), "slot {slot} is given out twice");
                }
            }
            Err(n) => {
                let given: Vec<_> = taken.iter().copied().step_by(n as usize).collect();
                for slot in given {
                    swap.free(Slot(slot));
                    taken.remove(&slot);
                }
            }
        }
        let free = u64::from(slots) - taken.len() as u64;
        assert_eq!(swap.counts(), SwapCounts { slots: u64::from(slots), free });
    }
}

#[test]
fn no_slot_is_given_out_twice_and_runs_are_as_long_as_they_can_be() {
    single(1, 64, |_| {
        let step = prop_oneof![3 => (1..17u32).prop_map(Ok), 1 => (1..6u32).prop_map(Err)];
        let steps = (1..200u32, prop::collection::vec(step, 1..60));
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&steps, |(slots, steps)| {
            perform(slots, &steps);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    });
}

#[test]
fn where_every_other_slot_is_taken_runs_are_short_and_all_slots_are_found() {
    single(1, 64, |_| {
        let swap = with_slots(4096);
        for _ in 0..4096 / 16 {
            assert_eq!(swap.allocate(16).len(), 16);
        }
        assert!(swap.allocate(1).is_empty());
        for slot in (0..4096).step_by(2) {
            swap.free(Slot(slot));
        }
        for _ in 0..2048 {
            assert_eq!(swap.allocate(16).len(), 1);
        }
        assert!(swap.allocate(1).is_empty());
        assert_eq!(swap.counts().free, 0);
    });
}

#[test]
fn a_slot_cannot_be_given_back_twice() {
    single(1, 64, |_| {
        let swap = with_slots(10);
        let run = swap.allocate(2);
        swap.free(Slot(run.start));
        let again = std::panic::AssertUnwindSafe(|| swap.free(Slot(run.start)));
        assert!(std::panic::catch_unwind(again).is_err());
        assert_eq!(swap.counts(), SwapCounts { slots: 10, free: 9 });
    });
}
