//! The tree against an ordered map, and its search for space against trying every place.

#![cfg(not(feature = "loom"))]

use super::*;
use crate::test_machine::single;
use machine::pmap::PAGE;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

/// Addresses, in pages.
const END: u64 = 40;

/// Under a checker each step counts, and nothing happens at the same time.
const CASES: u32 = if cfg!(feature = "shuttle") { 5 } else { 150 };

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u64),
    Remove(u64),
    Split(u64),
    Take(u64, u64),
    SetEnd(u64, u64),
    Space(u64, u64, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..END, 1..4u64).prop_map(|(start, pages)| Step::Insert(start, pages)),
        1 => (0..END).prop_map(Step::Remove),
        1 => (0..END).prop_map(Step::Split),
        1 => (0..END, 0..6u64).prop_map(|(start, pages)| Step::Take(start, start + pages)),
        1 => (0..END, 1..4u64).prop_map(|(start, pages)| Step::SetEnd(start, pages)),
        2 => (0..END, 0..END, 1..6u64).prop_map(|(one, other, pages)| {
            Step::Space(one.min(other), one.max(other), pages)
        }),
    ];
    prop::collection::vec(step, 1..60)
}

fn entry(start: u64, end: u64) -> Entry {
    Entry::anonymous(start * PAGE..end * PAGE, Rights::READ)
}

fn room() -> EntryRoom {
    EntryRoom::get().expect("the host has memory")
}

/// The entries of a model that have an address of a range.
fn overlaps(model: &BTreeMap<u64, u64>, start: u64, end: u64) -> bool {
    model.iter().any(|(&from, &to)| from < end && start < to)
}

/// Compares what the nodes know of their subtrees with the subtrees; returns their number and depth.
fn check(link: &Link) -> (usize, usize) {
    let Some(node) = link else { return (0, 0) };
    let mut addresses = Vec::new();
    collect(link, &mut addresses);
    let gap = addresses.windows(2).map(|pair| pair[1].start - pair[0].end).max().unwrap_or(0);
    assert_eq!(node.gap, gap, "the widest gap");
    assert_eq!(node.span, addresses[0].start..addresses[addresses.len() - 1].end, "the span");
    for below in node.below.iter().flatten() {
        assert!(below.weight <= node.weight, "the heap");
    }
    let [left, right] = [LEFT, RIGHT].map(|side| check(&node.below[side]));
    (left.0 + right.0 + 1, left.1.max(right.1) + 1)
}

fn collect(link: &Link, into: &mut Vec<Range<u64>>) {
    if let Some(node) = link {
        collect(&node.below[LEFT], into);
        into.push(node.entry.range());
        collect(&node.below[RIGHT], into);
    }
}

fn depth(link: &Link) -> usize {
    link.as_ref().map_or(0, |node| 1 + depth(&node.below[LEFT]).max(depth(&node.below[RIGHT])))
}

fn perform(steps: &[Step]) {
    let (mut tree, mut model) = (EntryTree::new(), BTreeMap::new());
    for step in steps {
        match *step {
            Step::Insert(start, pages) => {
                if !overlaps(&model, start, start + pages) {
                    tree.insert(entry(start, start + pages), room());
                    model.insert(start, start + pages);
                }
            }
            Step::Remove(start) => {
                let removed = tree.remove(start * PAGE).map(|entry| entry.end / PAGE);
                assert_eq!(removed, model.remove(&start));
            }
            Step::Split(at) => {
                let inside = model.iter().find(|(start, end)| **start < at && at < **end);
                if let Some((&start, &end)) = inside {
                    tree.split_at(at * PAGE, room());
                    model.insert(start, at);
                    model.insert(at, end);
                }
            }
            Step::Take(start, end) => {
                let mut taken = tree.take_range(&(start * PAGE..end * PAGE));
                assert_eq!(taken.len(), check(&taken.root).0);
                let begins: Vec<_> = model.range(start..end).map(|(start, _)| *start).collect();
                for start in begins {
                    assert_eq!(taken.pop_first().map(|entry| entry.start), Some(start * PAGE));
                    model.remove(&start);
                }
                assert!(taken.is_empty());
            }
            Step::SetEnd(start, pages) => {
                let next = model.range(start + 1..).next().map_or(u64::MAX, |(next, _)| *next);
                if let Some(end) = model.get_mut(&start).filter(|_| start + pages <= next) {
                    *end = start + pages;
                    tree.set_end(start * PAGE, (start + pages) * PAGE);
                }
            }
            Step::Space(from, to, pages) => {
                let expected = (from..to)
                    .find(|at| at + pages <= to && !overlaps(&model, *at, at + pages))
                    .map(|at| at * PAGE);
                let found = tree.find_space(from * PAGE..to * PAGE, pages * PAGE);
                assert_eq!(found, expected, "{pages} pages within {from}..{to} of {model:?}");
            }
        }
        compare(&tree, &model);
    }
}

fn compare(tree: &EntryTree, model: &BTreeMap<u64, u64>) {
    assert_eq!(check(&tree.root).0, model.len());
    assert_eq!(tree.len(), model.len());
    let all = tree.iter(0..END * 2 * PAGE).map(|entry| (entry.start / PAGE, entry.end / PAGE));
    assert!(all.eq(model.iter().map(|(start, end)| (*start, *end))));
    for at in 0..END {
        let start = |entry: Option<&Entry>| entry.map(|entry| entry.start / PAGE);
        let above = model.iter().find(|(_, end)| **end > at).map(|(start, _)| *start);
        assert_eq!(start(tree.at_or_above(at * PAGE)), above);
        assert_eq!(start(tree.find(at * PAGE)), above.filter(|start| *start <= at));
        let before = model.iter().rev().find(|(_, end)| **end <= at).map(|(start, _)| *start);
        assert_eq!(start(tree.before(at * PAGE)), before);
    }
}

#[test]
fn the_tree_does_what_an_ordered_map_does() {
    single(1, 64, |_| {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let result = TestRunner::new(config).run(&steps(), |steps| {
            perform(&steps);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    });
}

#[test]
fn a_hundred_thousand_entries_in_order_make_a_flat_tree() {
    single(1, 64, |_| {
        let mut tree = EntryTree::new();
        const COUNT: u64 = 100_000;
        for place in 0..COUNT {
            tree.insert(entry(2 * place, 2 * place + 1), room());
        }
        // Twice the natural logarithm on the average of all nodes, and for the deepest a little more than twice that.
        assert!(depth(&tree.root) < 64, "{}", depth(&tree.root));
        // Nothing that is wide enough before the end, and all of it is skipped.
        let end = 2 * COUNT * PAGE;
        assert_eq!(tree.find_space(0..end + 2 * PAGE, 2 * PAGE), Some((2 * COUNT - 1) * PAGE));
        assert_eq!(tree.find_space(0..end, PAGE), Some(PAGE));
        let taken = tree.take_range(&(PAGE * COUNT..end));
        assert_eq!((tree.len() as u64, taken.len() as u64), (COUNT / 2, COUNT / 2));
        assert!(depth(&tree.root) < 64 && depth(&taken.root) < 64);
    });
}
