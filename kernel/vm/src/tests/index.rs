//! The index against an ordered map, and under several who insert at the same time.

#![cfg(not(feature = "loom"))]

use super::*;
use crate::test_machine::{model, run, single, spawn, system};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::Vec;

/// Under a checker each step counts, and nothing happens at the same time.
const CASES: u32 = if cfg!(feature = "shuttle") { 5 } else { 300 };

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u32),
    Set(u64, Option<u32>),
    Next(u64),
}

/// Places near each other, and all over the range.
fn place() -> impl Strategy<Value = u64> {
    prop_oneof![0..20u64, 0..300u64, 0..PLACES_MAX, PLACES_MAX - 3..PLACES_MAX]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (place(), 0..1000u32).prop_map(|(place, slot)| Step::Insert(place, slot)),
        (place(), prop::option::of(0..1000u32)).prop_map(|(place, slot)| Step::Set(place, slot)),
        place().prop_map(Step::Next),
    ]
}

fn content(slot: Option<u32>) -> Content {
    slot.map_or(Content::NOTHING, |slot| Content::slot(Slot(slot)))
}

fn next_of(index: &Index, from: u64) -> Option<(u64, u32)> {
    index.next(from).map(|(place, found)| (place, found.swapped().expect("a slot").0))
}

/// An index is over when nothing is in it.
fn empty(index: &Index) {
    while let Some((place, _)) = index.next(0) {
        index.set(place, Content::NOTHING);
    }
}

fn perform(steps: &[Step]) {
    let (index, mut model) = (Index::new(), BTreeMap::new());
    for step in steps {
        match *step {
            Step::Insert(place, slot) => {
                let inserted = index.insert(place, content(Some(slot))).expect("memory");
                assert_eq!(inserted, !model.contains_key(&place));
                model.entry(place).or_insert(slot);
            }
            Step::Set(place, slot) => {
                index.prepare(place).expect("memory");
                let before = index.set(place, content(slot));
                let expected = match slot {
                    Some(slot) => model.insert(place, slot),
                    None => model.remove(&place),
                };
                assert_eq!(before.swapped().map(|slot| slot.0), expected);
            }
            Step::Next(from) => {
                let expected = model.range(from..).next().map(|(place, slot)| (*place, *slot));
                assert_eq!(next_of(&index, from), expected);
            }
        }
    }
    for (place, slot) in &model {
        assert_eq!(index.get(*place).swapped(), Some(Slot(*slot)));
    }
    let mut all = Vec::new();
    while let Some(found) = next_of(&index, all.last().map_or(0, |(place, _)| place + 1)) {
        all.push(found);
    }
    assert_eq!(all, model.into_iter().collect::<Vec<_>>());
    empty(&index);
}

#[test]
fn the_index_does_what_an_ordered_map_does() {
    single(1, 64, |_| {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&prop::collection::vec(step(), 1..80), |steps| {
            perform(&steps);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    });
}

#[test]
fn a_content_keeps_its_page_and_its_slot_apart() {
    single(1, 64, |_| {
        let page = Vm::current().pages.at(5);
        let both = Content::slot(Slot(u32::MAX - 1)).with_page(Some(page));
        assert_eq!(both.swapped(), Some(Slot(u32::MAX - 1)));
        assert!(both.resident().is_some_and(|there| ptr::eq(there, page)));
        assert!(both.with_page(None) == Content::slot(Slot(u32::MAX - 1)));
        assert!(both.with_slot(None) == Content::page(page));
        assert!(both.with_slot(None).with_page(None).is_nothing());
    });
}

#[test]
#[cfg(not(feature = "loom"))]
fn of_several_who_insert_at_a_place_one_succeeds_and_nothing_is_lost_while_the_tree_grows() {
    model(|| {
        run(3, 64, |may_fault| {
            let index = Arc::new(Index::new());
            let threads: Vec<_> = (0..3u32)
                .map(|thread| {
                    let index = Arc::clone(&index);
                    spawn(system(60), move |_| {
                        // Each needs a higher tree than the one before; the last two of all threads are the same.
                        for place in [u64::from(thread), 5 + u64::from(thread), 70, 300] {
                            let inserted = index.insert(place, content(Some(thread)));
                            let there = index.get(place).swapped().expect("somebody's");
                            assert!(!inserted.expect("memory") || there.0 == thread);
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join(may_fault);
            }
            let mut places = Vec::new();
            while let Some((place, _)) = next_of(&index, places.last().map_or(0, |place| place + 1))
            {
                places.push(place);
            }
            assert_eq!(places, [0, 1, 2, 5, 6, 7, 70, 300]);
            empty(&index);
        });
    });
}
