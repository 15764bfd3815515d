//! The census: how much there is of everything, and what has happened how often.
//!
//! Counters are core's atomics in every flavour: nobody's decision depends on one.

use crate::Vm;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A number that goes up and down.
#[derive(Default)]
pub struct Count(AtomicI64);

impl Count {
    /// Adds to it.
    #[inline]
    pub(crate) fn add(&self, difference: i64) {
        self.0.fetch_add(difference, Ordering::Relaxed);
    }

    /// It has happened once more.
    pub fn note(&self) {
        self.add(1);
    }

    /// What it is.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Walks are counted by depth up to this, deeper ones together.
pub const DEPTHS: usize = 16;

/// The counters of a system.
#[derive(Default)]
pub struct Census {
    /// Anonymous objects that are not over.
    pub anonymous_objects: Count,
    /// Map entries that refer to an anonymous object.
    pub anonymous_entries: Count,
    /// Shadows made.
    pub shadows_made: Count,
    /// Objects merged into their only shadow.
    pub collapses: Count,
    /// Objects that a shadow looks past.
    pub bypasses: Count,
    /// Times that a collapse had to wait.
    pub collapse_waits: Count,
    /// Collapses given up for want of memory.
    pub collapses_given_up: Count,
    /// Pages read from a store.
    pub page_ins: Count,
    /// Pages written to swap.
    pub page_outs: Count,
    /// Transfers to swap that failed.
    pub page_out_errors: Count,
    /// Programs chosen to give their memory back.
    pub victims: Count,
    /// Times that a fault had to wait for a map's lock.
    pub map_waits: Count,
    /// Times that somebody had to wait for an object's lock.
    pub object_waits: Count,
    /// Times that a processor had to wait for the lock of the page queues.
    pub queue_waits: Count,
    /// Faults by how far down the chain the page was found.
    walks: [AtomicU64; DEPTHS],
    /// Changes of maps and chains under way.
    changes: AtomicU64,
    /// Changes begun so far.
    begun: AtomicU64,
}

impl Census {
    /// A fault has found its page so many objects below the first.
    pub(crate) fn note_walk(&self, depth: u64) {
        self.walks[(depth as usize).min(DEPTHS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// How many faults found their page how deep; the last number is that of all deeper ones.
    pub fn walks(&self) -> [u64; DEPTHS] {
        core::array::from_fn(|depth| self.walks[depth].load(Ordering::Relaxed))
    }

    /// A change of maps and chains is under way until the result is dropped.
    pub(crate) fn change(&self) -> Change<'_> {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
        Change(self)
    }

    /// The chain lemma ([`crate::collapse`](mod@crate::collapse)): what is wrong with the numbers, if everything is at rest.
    pub fn broken_lemma(&self) -> Option<BrokenLemma> {
        let begun = self.begun.load(Ordering::SeqCst);
        if self.changes.load(Ordering::SeqCst) != 0 || self.collapses_given_up.get() != 0 {
            return None;
        }
        let (objects, entries) = (self.anonymous_objects.get(), self.anonymous_entries.get());
        let is_at_rest =
            self.changes.load(Ordering::SeqCst) == 0 && self.begun.load(Ordering::SeqCst) == begun;
        let broken = BrokenLemma { objects, entries };
        (is_at_rest && objects > broken.bound()).then_some(broken)
    }
}

/// More anonymous objects than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenLemma {
    /// The objects.
    pub objects: i64,
    /// The entries that lead to one.
    pub entries: i64,
}

impl BrokenLemma {
    /// How many objects there may be.
    fn bound(&self) -> i64 {
        (2 * self.entries - 1).max(0)
    }

    /// How many there are beyond that.
    pub fn too_many(&self) -> u64 {
        (self.objects - self.bound()).max(0) as u64
    }
}

/// A change under way. See [`Census::change`].
pub(crate) struct Change<'a>(&'a Census);

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.0.changes.fetch_sub(1, Ordering::SeqCst);
        if cfg!(debug_assertions)
            && Vm::current().collapses()
            && let Some(BrokenLemma { objects, entries }) = self.0.broken_lemma()
        {
            panic!("chains are too long: {objects} anonymous objects for {entries} entries");
        }
    }
}
