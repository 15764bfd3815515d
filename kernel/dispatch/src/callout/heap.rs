//! A pairing heap of callouts, through links in the callouts themselves: no allocation.
//!
//! | operation | cost |
//! |---|---|
//! | insert | constant |
//! | the earliest | constant |
//! | take the earliest, remove any | logarithmic on average, linear at worst |
//!
//! Invariants:
//! - no callout is due before its parent;
//! - `previous` of a first child is its parent, of any other its left sibling; the root has none;
//! - callouts with the same deadline come in the order in which they were inserted.
//!
//! Nothing here recurses: a kernel stack is short, and a heap may be a list in the worst case. The
//! heap is that of Fredman, Sedgewick, Sleator and Tarjan (1986), with the two-pass way of joining.

use super::Callout;
use core::ptr::NonNull;

/// A callout in a heap. It is there until it is removed: it cannot go away before.
pub(super) type Link = Option<NonNull<Callout>>;

/// A callout's place in the heap, and what it is sorted by.
pub(super) struct Node {
    /// When it is due, and its place among those that are due at the same time.
    pub(super) key: (u64, u64),
    child: Link,
    next: Link,
    previous: Link,
}

impl Node {
    pub(super) const fn new() -> Node {
        Node { key: (0, 0), child: None, next: None, previous: None }
    }
}

/// The callouts of a processor, the earliest on top. See the module.
pub(super) struct Heap {
    root: Link,
    /// How many were ever inserted.
    inserted: u64,
    count: usize,
}

// SAFETY: the callouts in the heap are the heap's, and they are `Sync`.
unsafe impl Send for Heap {}

/// Reads or changes the place of a callout that is in the heap, or is about to be.
fn node<R>(callout: NonNull<Callout>, act: impl FnOnce(&mut Node) -> R) -> R {
    // SAFETY: a callout stays where it is until it has been removed from the heap.
    let callout = unsafe { callout.as_ref() };
    // SAFETY: whoever has the heap holds the lock that protects the nodes in it.
    let mut node = unsafe { callout.node.access() };
    act(&mut node)
}

fn key(callout: NonNull<Callout>) -> (u64, u64) {
    node(callout, |node| node.key)
}

/// Joins two heaps: the later root becomes the first child of the earlier.
fn meld(one: NonNull<Callout>, other: NonNull<Callout>) -> NonNull<Callout> {
    let (top, below) = if key(one) <= key(other) { (one, other) } else { (other, one) };
    let sibling = node(top, |node| node.child.replace(below));
    node(below, |node| {
        node.previous = Some(top);
        node.next = sibling;
    });
    if let Some(sibling) = sibling {
        node(sibling, |node| node.previous = Some(below));
    }
    top
}

/// Makes one heap of a list of siblings: joins them in pairs from the left, then the pairs from the
/// right.
fn join(first: Link) -> Link {
    let mut pairs: Link = None;
    let mut rest = first;
    while let Some(one) = rest {
        let other = node(one, |node| node.next.take());
        let pair = match other {
            Some(other) => {
                rest = node(other, |node| node.next.take());
                meld(one, other)
            }
            None => {
                rest = None;
                one
            }
        };
        node(pair, |node| node.next = pairs);
        pairs = Some(pair);
    }
    let mut heap: Link = None;
    while let Some(pair) = pairs {
        pairs = node(pair, |node| node.next.take());
        heap = Some(match heap {
            Some(heap) => meld(pair, heap),
            None => pair,
        });
    }
    if let Some(root) = heap {
        node(root, |node| node.previous = None);
    }
    heap
}

impl Heap {
    pub(super) const EMPTY: Heap = Heap { root: None, inserted: 0, count: 0 };

    /// How many callouts there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many were ever inserted: what is inserted from now on comes behind this.
    pub(super) fn inserted(&self) -> u64 {
        self.inserted
    }

    /// The deadline of the earliest.
    pub(super) fn earliest(&self) -> Option<u64> {
        self.root.map(|root| key(root).0)
    }

    /// Inserts a callout that is in no heap.
    pub(super) fn insert(&mut self, callout: NonNull<Callout>, deadline: u64) {
        let place = (deadline, self.inserted);
        self.inserted += 1;
        self.count += 1;
        node(callout, |node| *node = Node { key: place, ..Node::new() });
        self.add(Some(callout));
    }

    fn add(&mut self, heap: Link) {
        self.root = match (self.root, heap) {
            (Some(root), Some(heap)) => Some(meld(root, heap)),
            (root, heap) => root.or(heap),
        };
    }

    /// Takes out the earliest if it is due by `now` and was inserted before number `before`.
    pub(super) fn take_due(&mut self, now: u64, before: u64) -> Link {
        let root = self.root?;
        let (deadline, number) = key(root);
        if deadline > now || number >= before {
            return None;
        }
        self.remove(root);
        Some(root)
    }

    /// Takes out the earliest.
    pub(super) fn take_earliest(&mut self) -> Link {
        let root = self.root?;
        self.remove(root);
        Some(root)
    }

    /// Takes out a callout, which must be in this heap.
    pub(super) fn remove(&mut self, callout: NonNull<Callout>) {
        let (child, next, previous) =
            node(callout, |node| (node.child.take(), node.next.take(), node.previous.take()));
        self.count -= 1;
        let below = join(child);
        let Some(before) = previous else {
            debug_assert_eq!(self.root, Some(callout), "what has no parent is the root");
            self.root = below;
            return;
        };
        node(before, |node| {
            if node.child == Some(callout) {
                node.child = next;
            } else {
                node.next = next;
            }
        });
        if let Some(next) = next {
            node(next, |node| node.previous = Some(before));
        }
        self.add(below);
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use super::{Callout, Heap};
    use core::ptr::NonNull;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        /// The heap against a sorted list, under inserting, removing and taking the earliest.
        #[test]
        fn it_behaves_like_a_sorted_list(
            steps in prop::collection::vec((0u8..4, 0u64..20, any::<prop::sample::Index>()), 1..200)
        ) {
            let callouts: Vec<Callout> = steps.iter().map(|_| Callout::new()).collect();
            let mut heap = Heap::EMPTY;
            // Deadline, number, index.
            let mut sorted: Vec<(u64, u64, usize)> = Vec::new();
            for (index, (what, deadline, which)) in steps.iter().enumerate() {
                match what {
                    0 | 1 => {
                        sorted.push((*deadline, heap.inserted(), index));
                        heap.insert(NonNull::from(&callouts[index]), *deadline);
                        sorted.sort();
                    }
                    2 if !sorted.is_empty() => {
                        let (_, _, index) = sorted.remove(which.index(sorted.len()));
                        heap.remove(NonNull::from(&callouts[index]));
                    }
                    _ => {
                        let expected = (!sorted.is_empty()).then(|| sorted.remove(0).2);
                        let expected = expected.map(|index| NonNull::from(&callouts[index]));
                        prop_assert_eq!(heap.take_earliest(), expected);
                    }
                }
                prop_assert_eq!(heap.count(), sorted.len());
                prop_assert_eq!(heap.earliest(), sorted.first().map(|first| first.0));
            }
        }
    }

    #[test]
    fn a_hundred_thousand_callouts_cost_no_square() {
        let callouts: Vec<Callout> = (0..100_000).map(|_| Callout::new()).collect();
        let mut heap = Heap::EMPTY;
        for (index, callout) in callouts.iter().enumerate() {
            heap.insert(NonNull::from(callout), (index as u64).wrapping_mul(7919) % 100_003);
        }
        for callout in callouts.iter().step_by(2) {
            heap.remove(NonNull::from(callout));
        }
        let mut last = 0;
        while let Some(deadline) = heap.earliest() {
            assert!(deadline >= last);
            last = deadline;
            heap.take_earliest();
        }
        assert_eq!(heap.count(), 0);
    }
}
