//! An object's index: which page, and which slot of swap space, belongs to each place of the object.
//!
//! A radix tree with [`FANOUT`] words per node. In a leaf a word says what is at one place ([`Content`]): a
//! resident page, a slot of swap space, both (a page whose copy in swap is still good) or nothing. Because page
//! and slot share a word, paging out needs no memory: the word of a resident page is there already.
//!
//! Who may do what, in terms of the object's lock:
//!
//! | operation | needs |
//! |---|---|
//! | look | the lock, in any mode |
//! | [`Index::insert`] where nothing is | the lock, in any mode: of several who try, one succeeds |
//! | everything else | the lock for writing |
//!
//! Nodes are added when they are needed and stay until the object is over, or until its end is cut off with the lock held
//! for writing ([`Index::cut`]), so that nobody looks meanwhile. A tree grows at its root: the word
//! that leads to the root says how high it is. So who looks, while others insert, sees an old tree or a new
//! one, and what was in the old one is in both.
//!
//! FreeBSD: `vm_radix`; Linux: the radix tree that became the XArray. Page and slot in one word: NetBSD's
//! anons and FreeBSD's swap blocks keep them apart.

use crate::Vm;
use crate::page::Page;
use atomics::{AtomicU64, Ordering};
use core::ptr::{self, NonNull};
use memory::{OutOfMemory, SlabBox};

/// Words of a node, as a power of two. Small under the checkers, so that trees have several levels.
const FANOUT_SHIFT: u32 = if cfg!(any(feature = "loom", feature = "shuttle")) { 2 } else { 6 };
/// Words of a node.
const FANOUT: usize = 1 << FANOUT_SHIFT;

/// The largest place is below 2 to this, with seven levels of nodes: more than all of an address space.
const PLACE_BITS: u32 = 7 * FANOUT_SHIFT;
/// The first place that no object has.
pub(crate) const PLACES_MAX: u64 = 1 << PLACE_BITS;

/// A slot of swap space: a page's worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub(crate) u32);

/// What is at a place. As a word: the page in the low half, the slot in the high one, each plus 1.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content(u64);

impl Content {
    /// Nothing.
    pub(crate) const NOTHING: Content = Content(0);

    /// A resident page.
    pub(crate) fn page(page: &'static Page) -> Content {
        Content(u64::from(Vm::current().pages.place_of(page)) + 1)
    }

    /// A slot of swap space.
    pub(crate) fn slot(slot: Slot) -> Content {
        Content((u64::from(slot.0) + 1) << 32)
    }

    /// The resident page.
    #[inline]
    pub(crate) fn resident(self) -> Option<&'static Page> {
        let place = (self.0 as u32).checked_sub(1)?;
        Some(Vm::current().pages.at(place))
    }

    /// The slot.
    #[inline]
    pub(crate) fn swapped(self) -> Option<Slot> {
        Some(Slot(((self.0 >> 32) as u32).checked_sub(1)?))
    }

    /// Whether there is nothing.
    #[inline]
    pub(crate) fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// With this page, or none, in place of the one that it has.
    pub(crate) fn with_page(self, page: Option<&'static Page>) -> Content {
        let slot = self.0 >> 32 << 32;
        Content(slot | page.map_or(0, |page| Content::page(page).0))
    }

    /// With this slot, or none, in place of the one that it has.
    pub(crate) fn with_slot(self, slot: Option<Slot>) -> Content {
        let page = u64::from(self.0 as u32);
        Content(page | slot.map_or(0, |slot| Content::slot(slot).0))
    }
}

/// A node: in a leaf contents, above addresses of nodes.
pub(crate) struct Node([AtomicU64; FANOUT]);

impl Node {
    fn new() -> Node {
        Node(core::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// The way to the root: the node's address, and in the low bits how many levels of nodes there are.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Root(u64);

/// Bits of the height. Nodes are aligned to more.
const HEIGHT_MASK: u64 = 7;
const _: () = assert!(align_of::<Node>() as u64 > HEIGHT_MASK);

impl Root {
    fn height(self) -> u32 {
        (self.0 & HEIGHT_MASK) as u32
    }

    fn node(self) -> Option<NonNull<Node>> {
        node_at(self.0 & !HEIGHT_MASK)
    }

    /// The first place that it does not reach.
    fn end(self) -> u64 {
        match self.height() {
            0 => 0,
            height => 1 << (FANOUT_SHIFT * height),
        }
    }
}

fn node_at(address: u64) -> Option<NonNull<Node>> {
    NonNull::new(ptr::with_exposed_provenance_mut(address as usize))
}

/// The word of a node, `level` levels above the leaves, that leads to a place.
fn word_of(node: &Node, place: u64, level: u32) -> &AtomicU64 {
    &node.0[(place >> (FANOUT_SHIFT * level)) as usize % FANOUT]
}

/// An index. See the module.
pub(crate) struct Index {
    root: AtomicU64,
}

impl Index {
    pub(crate) fn new() -> Index {
        Index { root: AtomicU64::new(0) }
    }

    fn root(&self) -> Root {
        Root(self.root.load(Ordering::Acquire))
    }

    /// The word for a place, if its leaf is there.
    #[inline]
    fn word(&self, place: u64) -> Option<&AtomicU64> {
        let root = self.root();
        if place >= root.end() {
            return None;
        }
        let mut node = root.node()?;
        for level in (1..root.height()).rev() {
            // SAFETY: nodes live as long as the index, which is borrowed.
            let node_ref = unsafe { node.as_ref() };
            node = node_at(word_of(node_ref, place, level).load(Ordering::Acquire))?;
        }
        // SAFETY: as above.
        Some(word_of(unsafe { node.as_ref() }, place, 0))
    }

    /// What is at a place.
    #[inline]
    pub(crate) fn get(&self, place: u64) -> Content {
        self.word(place).map_or(Content::NOTHING, |word| Content(word.load(Ordering::Acquire)))
    }

    /// The word for a place, made if it is not there.
    fn make_word(&self, place: u64) -> Result<&AtomicU64, OutOfMemory> {
        assert!(place < PLACES_MAX, "place {place:#x} lies beyond every object");
        let mut root = self.root();
        while place >= root.end() {
            root = self.grow(root)?;
        }
        let mut node = root.node().expect("a tree that reaches somewhere has a node");
        for level in (1..root.height()).rev() {
            // SAFETY: nodes live as long as the index, which is borrowed.
            let word = word_of(unsafe { node.as_ref() }, place, level);
            node = match node_at(word.load(Ordering::Acquire)) {
                Some(below) => below,
                None => install(word, 0, new_node()?, 0).0,
            };
        }
        // SAFETY: as above.
        Ok(word_of(unsafe { node.as_ref() }, place, 0))
    }

    /// A tree one level higher, or as somebody else has just made it.
    fn grow(&self, root: Root) -> Result<Root, OutOfMemory> {
        let node = new_node()?;
        node.0[0].store(root.0 & !HEIGHT_MASK, Ordering::Relaxed);
        let height = root.height() + 1;
        let (_, now) = install(&self.root, root.0, node, u64::from(height));
        Ok(Root(now))
    }

    /// Puts a content where nothing is. `Ok(false)`: something is there already. The lock in any mode.
    pub(crate) fn insert(&self, place: u64, content: Content) -> Result<bool, OutOfMemory> {
        let word = self.make_word(place)?;
        let inserted = word.compare_exchange(0, content.0, Ordering::AcqRel, Ordering::Relaxed);
        Ok(inserted.is_ok())
    }

    /// Makes sure that [`Index::set`] for this place will need no memory.
    pub(crate) fn prepare(&self, place: u64) -> Result<(), OutOfMemory> {
        self.make_word(place).map(|_| ())
    }

    /// Says what is at a place whose word is there: something is there, or [`Index::prepare`] made it. The
    /// lock for writing. Returns what was there.
    pub(crate) fn set(&self, place: u64, content: Content) -> Content {
        let word =
            self.word(place).expect("a place that was prepared, or has something, has a word");
        Content(word.swap(content.0, Ordering::AcqRel))
    }

    /// The first place at or above `from` where something is, and what. The lock for writing, or nobody
    /// changes anything that matters to the caller.
    pub(crate) fn next(&self, from: u64) -> Option<(u64, Content)> {
        let root = self.root();
        next_below(root.node()?, root.height().checked_sub(1)?, 0, from, root.end())
    }
}

impl Index {
    /// Frees the nodes that have places from `from` on only, where nothing is any more. The lock for writing.
    pub(crate) fn cut(&self, from: u64) {
        let root = self.root();
        let Some(mut node) = root.node() else { return };
        let mut base = 0;
        for level in (1..root.height()).rev() {
            let step = 1u64 << (FANOUT_SHIFT * level);
            let mut below = None;
            for position in 0..FANOUT as u64 {
                let start = base + position * step;
                // SAFETY: nodes live as long as the index, which is borrowed.
                let word = &unsafe { node.as_ref() }.0[position as usize];
                if start >= from {
                    if let Some(cut) = node_at(word.swap(0, Ordering::AcqRel)) {
                        free_below(cut, level - 1);
                    }
                } else if start + step > from {
                    below = node_at(word.load(Ordering::Acquire)).map(|node| (node, start));
                }
            }
            let Some(next) = below else { return };
            (node, base) = next;
        }
    }
}

/// Looks in the part of a tree below a node, which begins at the place `base`.
fn next_below(
    node: NonNull<Node>,
    level: u32,
    base: u64,
    from: u64,
    end: u64,
) -> Option<(u64, Content)> {
    let step = 1u64 << (FANOUT_SHIFT * level);
    if from >= end {
        return None;
    }
    let first = from.saturating_sub(base) / step;
    for position in first..FANOUT as u64 {
        let start = base + position * step;
        // SAFETY: nodes live as long as the index, which the caller borrows.
        let word = unsafe { node.as_ref() }.0[position as usize].load(Ordering::Acquire);
        if word == 0 {
            continue;
        }
        if level == 0 {
            return Some((start, Content(word)));
        }
        let below = node_at(word).expect("not 0");
        if let Some(found) = next_below(below, level - 1, start, from.max(start), start + step) {
            return Some(found);
        }
    }
    None
}

impl Drop for Index {
    fn drop(&mut self) {
        let root = self.root();
        if let Some(node) = root.node() {
            free_below(node, root.height() - 1);
        }
    }
}

/// Frees a node and what is below it. Nobody else has them any more.
fn free_below(node: NonNull<Node>, level: u32) {
    // SAFETY: the tree is over, and each node has one way to it.
    let node = unsafe { SlabBox::from_raw(node) };
    for word in &node.0 {
        let word = word.load(Ordering::Relaxed);
        if level == 0 {
            debug_assert!(
                word == 0 || machine::is_unwinding(),
                "an index goes while something is in it"
            );
        } else if let Some(below) = node_at(word) {
            free_below(below, level - 1);
        }
    }
}

fn new_node() -> Result<SlabBox<Node>, OutOfMemory> {
    Vm::current().nodes.allocate_with(Node::new)
}

/// Puts the way to a new node into a word in place of `expected`, or frees the node because somebody was
/// faster. Returns the node that the word leads to, and the word.
fn install(
    word: &AtomicU64,
    expected: u64,
    node: SlabBox<Node>,
    height: u64,
) -> (NonNull<Node>, u64) {
    let node = node.into_raw();
    let way = node.as_ptr().expose_provenance() as u64 | height;
    match word.compare_exchange(expected, way, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => (node, way),
        Err(now) => {
            // SAFETY: nobody else has seen it. What is below belongs to the tree as it is.
            drop(unsafe { SlabBox::from_raw(node) });
            let there = node_at(now & !HEIGHT_MASK).expect("words are never emptied here");
            (there, now)
        }
    }
}

#[cfg(test)]
#[path = "tests/index.rs"]
mod tests;
