//! The entries of a map, in order of address: a treap.
//!
//! A binary tree in order of address, and a heap in order of numbers drawn at random, so that it is as deep
//! as a tree of entries that came in random order: about twice the logarithm, whatever the order they came in.
//! With a hundred thousand entries a look takes some forty steps.
//!
//! The numbers come from a seed that no program knows: otherwise one could map its pages in an order that makes the
//! tree as deep as it has entries, and the recursion here would run off the kernel's stack.
//!
//! Every node knows the range that its subtree spans and the widest gap in it, so that a place for a new entry
//! is found without looking at them all.
//!
//! Seidel and Aragon, *Randomized Search Trees*, 1996. FreeBSD keeps a splay tree with the widest gaps; splaying
//! would change the tree on a look, which here many do at a time.

use crate::Vm;
use crate::entry::Entry;
use core::ops::Range;
use machine::pmap::Rights;
use memory::{OutOfMemory, SlabBox};

/// A node. Part of the slab's type only.
pub(crate) struct Node {
    entry: Entry,
    weight: u32,
    below: [Link; 2],
    /// From the first address of the subtree to the last.
    span: Range<u64>,
    /// The widest gap between neighbours in the subtree.
    gap: u64,
}

type Link = Option<SlabBox<Node>>;

const LEFT: usize = 0;
const RIGHT: usize = 1;

/// Memory for one entry, got before anything is changed.
pub(crate) struct EntryRoom(SlabBox<Node>);

impl EntryRoom {
    pub(crate) fn get() -> Result<EntryRoom, OutOfMemory> {
        let node = || Node {
            entry: Entry::anonymous(0..0, Rights::NONE),
            weight: 0,
            below: [None, None],
            span: 0..0,
            gap: 0,
        };
        Vm::current().entries.allocate_with(node).map(EntryRoom)
    }
}

/// The entries of a map. See the module.
pub struct EntryTree {
    root: Link,
    count: usize,
    /// Where the next weight comes from.
    seed: u32,
}

impl Default for EntryTree {
    fn default() -> EntryTree {
        EntryTree::new()
    }
}

impl Node {
    /// Computes what the node knows of its subtree.
    fn update(&mut self) {
        let (start, end) = (self.entry.start, self.entry.end);
        self.span = start..end;
        self.gap = 0;
        if let Some(left) = &self.below[LEFT] {
            self.gap = left.gap.max(start - left.span.end);
            self.span.start = left.span.start;
        }
        if let Some(right) = &self.below[RIGHT] {
            self.gap = self.gap.max(right.gap).max(right.span.start - end);
            self.span.end = right.span.end;
        }
    }
}

/// Cuts a tree in two: entries below an address, and the others.
fn split(tree: Link, at: u64) -> (Link, Link) {
    let Some(mut node) = tree else { return (None, None) };
    if node.entry.start < at {
        let (lower, upper) = split(node.below[RIGHT].take(), at);
        node.below[RIGHT] = lower;
        node.update();
        (Some(node), upper)
    } else {
        let (lower, upper) = split(node.below[LEFT].take(), at);
        node.below[LEFT] = upper;
        node.update();
        (lower, Some(node))
    }
}

/// Makes one tree of two, all entries of the first below those of the second.
fn join(lower: Link, upper: Link) -> Link {
    match (lower, upper) {
        (None, tree) | (tree, None) => tree,
        (Some(mut lower), Some(mut upper)) => {
            if lower.weight >= upper.weight {
                let right = lower.below[RIGHT].take();
                lower.below[RIGHT] = join(right, Some(upper));
                lower.update();
                Some(lower)
            } else {
                let left = upper.below[LEFT].take();
                upper.below[LEFT] = join(Some(lower), left);
                upper.update();
                Some(upper)
            }
        }
    }
}

impl EntryTree {
    /// No entries.
    pub fn new() -> EntryTree {
        EntryTree { root: None, count: 0, seed: Vm::current().next_secret() as u32 | 1 }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The entry that contains an address, or else the first above it.
    #[inline]
    pub fn at_or_above(&self, address: u64) -> Option<&Entry> {
        let mut found = None;
        let mut place = &self.root;
        while let Some(node) = place {
            if node.entry.end > address {
                found = Some(&node.entry);
                if node.entry.start <= address {
                    break;
                }
                place = &node.below[LEFT];
            } else {
                place = &node.below[RIGHT];
            }
        }
        found
    }

    /// The entry that contains an address.
    #[inline]
    pub fn find(&self, address: u64) -> Option<&Entry> {
        self.at_or_above(address).filter(|entry| entry.start <= address)
    }

    /// The last entry that ends at or below an address.
    pub fn before(&self, address: u64) -> Option<&Entry> {
        let mut found = None;
        let mut place = &self.root;
        while let Some(node) = place {
            if node.entry.end <= address {
                found = Some(&node.entry);
                place = &node.below[RIGHT];
            } else {
                place = &node.below[LEFT];
            }
        }
        found
    }

    /// The entry that begins at an address, to be changed in everything but its addresses.
    pub(crate) fn at_mut(&mut self, start: u64) -> Option<&mut Entry> {
        let mut place = &mut self.root;
        while let Some(node) = place {
            if node.entry.start == start {
                return Some(&mut node.entry);
            }
            let side = if start < node.entry.start { LEFT } else { RIGHT };
            place = &mut node.below[side];
        }
        None
    }

    /// The entries that have an address of a range, in order.
    pub fn iter(&self, range: Range<u64>) -> impl Iterator<Item = &Entry> {
        let mut at = range.start;
        core::iter::from_fn(move || {
            let entry = self.at_or_above(at).filter(|entry| entry.start < range.end)?;
            at = entry.end;
            Some(entry)
        })
    }

    fn next_weight(&mut self) -> u32 {
        // Marsaglia's xorshift.
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 17;
        self.seed ^= self.seed << 5;
        self.seed
    }

    /// Adds an entry to a range where there is none.
    pub(crate) fn insert(&mut self, entry: Entry, room: EntryRoom) {
        let mut node = room.0;
        node.entry = entry;
        debug_assert!(
            self.iter(node.entry.range()).next().is_none(),
            "entries overlap: {:?}",
            node.entry
        );
        node.weight = self.next_weight();
        node.update();
        let (lower, upper) = split(self.root.take(), node.entry.start);
        self.root = join(join(lower, Some(node)), upper);
        self.count += 1;
    }

    /// Takes the entry out that begins at an address.
    pub(crate) fn remove(&mut self, start: u64) -> Option<Entry> {
        let (lower, rest) = split(self.root.take(), start);
        let (found, upper) = split(rest, start + 1);
        self.root = join(lower, upper);
        let node = SlabBox::into_inner(found?);
        self.count -= 1;
        debug_assert!(node.below.iter().all(Option::is_none), "an entry begins where another does");
        Some(node.entry)
    }

    /// Cuts the entry in two that an address lies inside of. The second reference is the caller's to count.
    pub(crate) fn split_at(&mut self, at: u64, room: EntryRoom) {
        let Some(start) = self.find(at).map(|entry| entry.start) else { return };
        let mut upper = None;
        change(&mut self.root, start, &mut |entry| upper = Some(entry.split_off(at)));
        if let Some(upper) = upper {
            self.insert(upper, room);
        }
    }

    /// Takes out the entries that begin in a range.
    pub(crate) fn take_range(&mut self, range: &Range<u64>) -> EntryTree {
        let (lower, rest) = split(self.root.take(), range.start);
        let (taken, upper) = split(rest, range.end);
        self.root = join(lower, upper);
        let taken = EntryTree { count: count(&taken), root: taken, seed: self.seed };
        self.count -= taken.count;
        taken
    }

    /// Takes the first entry out.
    pub(crate) fn pop_first(&mut self) -> Option<Entry> {
        let start = self.root.as_ref()?.span.start;
        self.remove(start)
    }

    /// Changes where an entry ends; it stays between its neighbours.
    pub(crate) fn set_end(&mut self, start: u64, end: u64) {
        change(&mut self.root, start, &mut |entry| entry.end = end);
    }

    /// The lowest place for so many bytes within a range where nothing is.
    pub fn find_space(&self, within: Range<u64>, length: u64) -> Option<u64> {
        let mut search = Search { at: within.start, end: within.end, length };
        if search.below(&self.root) {
            return Some(search.at);
        }
        // Behind all entries.
        (search.end.checked_sub(search.at)? >= length).then_some(search.at)
    }
}

/// How many nodes a tree has.
fn count(tree: &Link) -> usize {
    tree.as_ref().map_or(0, |node| 1 + count(&node.below[LEFT]) + count(&node.below[RIGHT]))
}

/// Changes the entry that begins at an address, and what the nodes above it know.
fn change(place: &mut Link, start: u64, act: &mut impl FnMut(&mut Entry)) {
    let Some(node) = place else { return };
    if node.entry.start == start {
        act(&mut node.entry);
    } else {
        let side = if start < node.entry.start { LEFT } else { RIGHT };
        change(&mut node.below[side], start, act);
    }
    node.update();
}

/// A search for a gap.
struct Search {
    /// Up to here all is looked at, and there is no gap that is wide enough.
    at: u64,
    end: u64,
    length: u64,
}

impl Search {
    /// Looks through a subtree. If it finds a gap that ends there, `at` is where that begins.
    fn below(&mut self, tree: &Link) -> bool {
        let Some(node) = tree else { return false };
        if node.span.end <= self.at || node.span.start >= self.end {
            return false;
        }
        // No gap before it, and none inside.
        if node.span.start.saturating_sub(self.at) < self.length && node.gap < self.length {
            self.at = node.span.end;
            return false;
        }
        if self.below(&node.below[LEFT]) {
            return true;
        }
        let limit = node.entry.start.min(self.end);
        if limit.saturating_sub(self.at) >= self.length {
            return true;
        }
        self.at = self.at.max(node.entry.end);
        self.below(&node.below[RIGHT])
    }
}

#[cfg(test)]
#[path = "tests/entry_tree.rs"]
mod tests;
