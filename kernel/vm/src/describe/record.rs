//! What is noted of a map, an entry, an object and a page when a step of a description is made: plain numbers, true at
//! that moment.

use crate::entry::{Advice, Inheritance};
use crate::index::Content;
use crate::page::Page;
use crate::page_queue::Queue;
use machine::pmap::Rights;

/// Most pages of a step.
pub const PAGES: usize = 8;

/// What is said of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapRecord {
    /// How many entries it has, inside and outside the range that is described.
    pub entries: usize,
    /// How many pages the page tables map at this moment.
    pub mapped: usize,
    /// How many page tables there are.
    pub tables: usize,
}

/// What is said of an entry; see [`Entry`](crate::entry::Entry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of an entry")]
pub struct EntryRecord {
    pub start: u64,
    pub end: u64,
    pub rights: Rights,
    pub inheritance: Inheritance,
    pub advice: Advice,
    pub wired: u32,
    pub needs_copy: bool,
    pub shared: bool,
    /// From one stack to the next, in bytes, if it is an array of stacks.
    pub stride: Option<u64>,
    /// Whether there is an object: not while nobody has touched it.
    pub has_object: bool,
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// Zeros, or swap space.
    Anonymous,
    /// A file.
    File,
    /// A device's frames.
    Device,
}

/// What is said of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRecord {
    /// Its number.
    pub number: u64,
    /// How many objects of the chain stand in front of it.
    pub depth: u32,
    /// What it is.
    pub kind: ObjectKind,
    /// Pages that it has room for.
    pub pages: u64,
    /// The first place that the entry sees.
    pub first: u64,
    /// Map entries and shadows that refer to it.
    pub references: u32,
    /// How many of these are shadows.
    pub shadows: u32,
    /// Transfers from or to a device that are under way.
    pub paging: u32,
    /// It is being merged with a neighbour in the chain.
    pub merging: bool,
    /// Pages in memory, at all its places.
    pub resident: u64,
    /// Pages in swap space only.
    pub swapped: u64,
    /// The number of the object that it is the shadow of, and that one's place of its first.
    pub backing: Option<(u64, u64)>,
}

/// Who has a page, at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusyState {
    /// Nobody.
    Free,
    /// Those who map it as it is.
    Shared,
    /// One who fills, copies, moves, writes or frees it.
    Exclusive,
}

/// What is said of a resident page; see [`Page`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of a page")]
pub struct ResidentPage {
    pub frame: u64,
    pub busy: BusyState,
    pub valid: bool,
    pub dirty: bool,
    pub wired: u32,
    /// How often it is mapped, in all address spaces.
    pub mapped: u32,
    pub queue: Option<Queue>,
}

/// What is said of a place of an object where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRecord {
    /// The object's place.
    pub place: u64,
    /// Where the entry shows it, if nothing in front hides it.
    pub address: u64,
    /// The page, if it is in memory.
    pub resident: Option<ResidentPage>,
    /// The slot of swap space that has a copy of it, good or, if the page is dirty, outdated.
    pub slot: Option<u32>,
}

/// Some pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRecords {
    pub(super) pages: [Option<PageRecord>; PAGES],
}

impl PageRecords {
    /// In order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &PageRecord> {
        self.pages.iter().flatten()
    }
}

impl PageRecord {
    pub(super) fn new(place: u64, address: u64, content: Content) -> PageRecord {
        PageRecord {
            place,
            address,
            resident: content.resident().map(ResidentPage::new),
            slot: content.swapped().map(|slot| slot.0),
        }
    }
}

impl ResidentPage {
    fn new(page: &'static Page) -> ResidentPage {
        let busy = match (page.busy().is_exclusive(), page.busy().is_busy()) {
            (true, _) => BusyState::Exclusive,
            (false, true) => BusyState::Shared,
            (false, false) => BusyState::Free,
        };
        ResidentPage {
            frame: page.frame().number(),
            busy,
            valid: page.is_valid(),
            dirty: page.is_dirty(),
            wired: page.wired(),
            mapped: page.mappings.count(),
            queue: page.queue.queue(),
        }
    }
}
