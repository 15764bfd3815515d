//! Address maps: what is mapped where, and changing that.
//!
//! A map is a set of entries that do not overlap ([`crate::entry_tree`]) under one lock: faults read, changes write.
//! Every change that may make an earlier answer wrong counts the version up: so a fault that had to let go of the
//! lock sees at once whether it has to look again.
//!
//! A change first gets all the memory that it may need, then the lock, and after that nothing can fail but what the
//! map itself says. There are two exceptions, which get memory with the lock held, and do not wait for it: fork
//! gets a place for each of the child's entries, and undoes the child if there is none; and an entry gets its
//! object or its shadow under the lock, and stays as it was if there is no memory for one. What an entry referred
//! to is let go of after the lock: whoever has a page busy may wait for the map's lock, and letting go of an object
//! waits for busy pages.
//!
//! Mach: `vm_map`.

use crate::entry::{Entry, Inheritance};
use crate::entry_tree::{EntryRoom, EntryTree};
use crate::object::Mapped;
use crate::shadow::{refer, unrefer};
use crate::stacks::StackShape;
use core::fmt;
use core::ops::Range;
use machine::MayFault;
use machine::pmap::Rights;
use memory::OutOfMemory;

/// Most entries of one map.
pub const ENTRIES_MAX: usize = 1 << 17;

/// Why a map was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// There is no range of addresses that is long enough.
    NoSpace,
    /// Something is mapped there already.
    Taken,
    /// Nothing is mapped in a part of the range.
    NotMapped,
    /// The rights are more than what is mapped there can give.
    NotPermitted,
    /// The range is empty, not made of whole pages, or not the user's.
    BadRange,
    /// The map has as many entries as it may.
    TooManyEntries,
    /// There is no memory for the kernel's own data.
    OutOfMemory,
}

impl From<OutOfMemory> for MapError {
    fn from(_: OutOfMemory) -> MapError {
        MapError::OutOfMemory
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            MapError::NoSpace => "no range of addresses is long enough",
            MapError::Taken => "something is mapped there",
            MapError::NotMapped => "nothing is mapped in a part of the range",
            MapError::NotPermitted => "more rights than can be given",
            MapError::BadRange => "no range of whole pages of the user's",
            MapError::TooManyEntries => "too many entries",
            MapError::OutOfMemory => "no memory for the kernel's own data",
        })
    }
}

/// The entries of an address space. See the module.
pub struct Map {
    entries: EntryTree,
    version: u64,
    /// The addresses that may be mapped.
    range: Range<u64>,
}

/// Memory for the entries that cutting a range out may take: two.
pub(crate) struct Rooms([Option<EntryRoom>; 2]);

impl Rooms {
    pub(crate) fn get() -> Result<Rooms, OutOfMemory> {
        Ok(Rooms([Some(EntryRoom::get()?), Some(EntryRoom::get()?)]))
    }

    fn take(&mut self) -> EntryRoom {
        let [one, other] = &mut self.0;
        one.take().or_else(|| other.take()).expect("a range has two ends")
    }
}

impl Map {
    /// A map without entries.
    pub(crate) fn new(range: Range<u64>) -> Map {
        Map { entries: EntryTree::new(), version: 0, range }
    }

    /// The entries.
    #[inline]
    pub fn entries(&self) -> &EntryTree {
        &self.entries
    }

    /// The entries, to be changed: earlier answers may be wrong from now on.
    pub(crate) fn change(&mut self) -> &mut EntryTree {
        self.version += 1;
        &mut self.entries
    }

    /// Changes with every change.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The addresses that may be mapped.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter(self.range.clone())
    }

    /// Whether every address of a range is mapped.
    pub(crate) fn is_covered(&self, range: Range<u64>) -> bool {
        let mut at = range.start;
        for entry in self.entries.iter(range.clone()) {
            if entry.start > at {
                return false;
            }
            at = entry.end;
        }
        at >= range.end
    }

    /// Makes entries begin and end where a range does. What is mapped where does not change.
    pub(crate) fn clip(&mut self, range: &Range<u64>, rooms: &mut Rooms, may_fault: &mut MayFault) {
        for at in [range.start, range.end] {
            let Some(entry) = self.entries.find(at).filter(|entry| entry.start < at) else {
                continue;
            };
            let object = entry.object.clone();
            self.change().split_at(at, rooms.take());
            if let Some(object) = object {
                refer(&object, Mapped::Once, may_fault);
            }
        }
    }

    /// Makes neighbours in and around a range one that say the same.
    pub(crate) fn join(&mut self, range: &Range<u64>, may_fault: &mut MayFault) {
        let mut at = self.entries.before(range.start).map_or(range.start, |entry| entry.start);
        loop {
            let Some(entry) = self.entries.at_or_above(at) else { return };
            if entry.start > range.end {
                return;
            }
            let start = entry.start;
            at = entry.end;
            if let Some(next) = self.entries.find(entry.end)
                && entry.is_continued_by(next)
            {
                let next = next.start;
                let entries = self.change();
                if let Some(next) = entries.remove(next) {
                    entries.set_end(start, next.end);
                    if let Some(object) = next.object {
                        unrefer(&object, may_fault);
                    }
                }
                at = start;
            }
        }
    }

    /// The lowest free range of this length at or above a hint, or else anywhere.
    pub(crate) fn find_space(&self, hint: u64, length: u64) -> Option<u64> {
        let Range { start, end } = self.range;
        let hint = hint.clamp(start, end);
        let above = self.entries.find_space(hint..end, length);
        // The whole range: a gap may begin below the hint and end above it.
        above.or_else(|| self.entries.find_space(start..end, length))
    }
}

/// What is to be mapped.
pub struct Request {
    /// Where: exactly there, or a hint.
    pub address: u64,
    /// How many bytes; a multiple of a page.
    pub length: u64,
    /// What to do about the address.
    pub place: Place,
    /// What the program may do.
    pub rights: Rights,
    /// What it may give itself the right to.
    pub rights_max: Rights,
    /// What a child gets.
    pub inheritance: Inheritance,
    /// Written to the object itself, not to a copy.
    pub shared: bool,
    /// An array of stacks, of which the first begins where the entry does.
    pub stacks: Option<StackShape>,
}

/// Where a new entry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// At the address, or somewhere else.
    Hint,
    /// At the address, in place of what is there.
    Fixed,
    /// At the address, if nothing is there.
    FixedIfFree,
}
