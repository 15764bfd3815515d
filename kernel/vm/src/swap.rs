//! Swap space: which slots are taken.
//!
//! One bit per slot. Slots are given out in runs, so that pages that are written together lie together and can be
//! read together: the search goes on where the last one ended, for a run as long as wanted, and takes the longest
//! that it has met if there is none.
//!
//! Freeing a slot needs nothing, and what is kept per slotted page lies in the object's index ([`crate::index`]): so
//! paging out allocates nothing.
//!
//! 4.4BSD's swap map; FreeBSD's `blist` finds runs by a tree of summaries.

use crate::index::Slot;
use crate::store::Store;
use core::ops::Range;
use machine::SpinLock;

/// Most runs that are looked at for a long one.
const LOOKS: u32 = 256;

/// Slots of a word.
const WORD: u32 = u64::BITS;

struct Map {
    store: Option<&'static dyn Store>,
    /// Bit set: the slot is taken.
    taken: &'static mut [u64],
    slots: u32,
    free: u32,
    next: u32,
}

/// Swap space. See the module.
pub struct Swap {
    map: SpinLock<Map, 13>,
}

/// How much swap space there is, in slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwapCounts {
    /// All of it.
    pub slots: u64,
    /// Not taken.
    pub free: u64,
}

impl Swap {
    pub(crate) fn new() -> Swap {
        let map = Map { store: None, taken: &mut [], slots: 0, free: 0, next: 0 };
        Swap { map: SpinLock::new(map) }
    }

    /// How many words [`Swap::attach`] needs for a store of so many pages.
    pub fn words(pages: u64) -> usize {
        pages.div_ceil(u64::from(WORD)) as usize
    }

    /// Swaps to a store from now on; once. `memory` has [`Swap::words`] words, all 0.
    pub fn attach(&self, store: &'static dyn Store, memory: &'static mut [u64]) {
        let slots = store.pages().min(u64::from(u32::MAX - 1)) as u32;
        assert!(memory.len() >= Swap::words(u64::from(slots)), "too little memory for the slots");
        let mut map = self.map.lock_anywhere();
        assert!(map.store.is_none(), "there is swap space already");
        *map = Map { store: Some(store), taken: memory, slots, free: slots, next: 0 };
    }

    /// Where swapped pages are.
    pub(crate) fn store(&self) -> Option<&'static dyn Store> {
        self.map.lock_anywhere().store
    }

    /// How much there is.
    pub fn counts(&self) -> SwapCounts {
        let map = self.map.lock_anywhere();
        SwapCounts { slots: u64::from(map.slots), free: u64::from(map.free) }
    }

    /// Takes a run of at most `wanted` slots: the longest that there is, if none is as long.
    pub(crate) fn allocate(&self, wanted: u32) -> Range<u32> {
        let mut map = self.map.lock_anywhere();
        let run = map.find(wanted);
        for slot in run.clone() {
            map.set(slot, true);
        }
        map.free -= run.end - run.start;
        if !run.is_empty() {
            map.next = run.end;
        }
        run
    }

    /// Gives a slot back.
    pub(crate) fn free(&self, slot: Slot) {
        let mut map = self.map.lock_anywhere();
        assert!(map.is_taken(slot.0), "a slot is given back that nobody has: {slot:?}");
        map.set(slot.0, false);
        map.free += 1;
    }
}

impl Map {
    fn is_taken(&self, slot: u32) -> bool {
        self.taken[(slot / WORD) as usize] >> (slot % WORD) & 1 != 0
    }

    fn set(&mut self, slot: u32, taken: bool) {
        let word = &mut self.taken[(slot / WORD) as usize];
        if taken {
            *word |= 1 << (slot % WORD);
        } else {
            *word &= !(1 << (slot % WORD));
        }
    }

    /// The first free slot of a range.
    fn first_free(&self, range: Range<u32>) -> Option<u32> {
        let mut slot = range.start;
        while slot < range.end {
            if slot.is_multiple_of(WORD) && self.taken[(slot / WORD) as usize] == u64::MAX {
                slot += WORD;
            } else if self.is_taken(slot) {
                slot += 1;
            } else {
                return Some(slot);
            }
        }
        None
    }

    fn find(&self, wanted: u32) -> Range<u32> {
        let mut best = 0..0;
        let mut looks = 0;
        for range in [self.next..self.slots, 0..self.next] {
            let mut from = range.start;
            while let Some(start) = self.first_free(from..range.end) {
                let limit = start.saturating_add(wanted).min(range.end);
                let end = (start..limit).find(|&slot| self.is_taken(slot)).unwrap_or(limit);
                if end - start > best.end - best.start {
                    best = start..end;
                }
                // Where there are only short runs, looking for a long one would take too long.
                looks += 1;
                if best.end - best.start == wanted || looks == LOOKS {
                    return best;
                }
                from = end;
            }
        }
        best
    }
}

#[cfg(test)]
#[path = "tests/swap.rs"]
mod tests;
