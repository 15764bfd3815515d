//! An entry of an address map: a range of addresses, all of it mapped in the same way.
//!
//! Mach: `vm_map_entry`.

use crate::object::ObjectRef;
use crate::page::PAGE_SHIFT;
use crate::stacks::Stacks;
use core::ops::Range;
use machine::pmap::{PAGE, Rights};

/// What a child gets of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inheritance {
    /// The same memory.
    Share,
    /// A copy, made page by page where one of the two writes.
    Copy,
    /// Nothing.
    None,
}

/// What a program says of its future accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing.
    Normal,
    /// They come in no order: reading ahead is a waste.
    Random,
    /// They come in order: what lies behind is not needed again soon. Noted and shown; nothing is done about it.
    Sequential,
}

/// An entry. Addresses are multiples of a page.
#[derive(Debug)]
pub struct Entry {
    /// Its first address.
    pub start: u64,
    /// The first address behind it.
    pub end: u64,
    /// What it maps; none as long as anonymous memory has not been touched.
    pub object: Option<ObjectRef>,
    /// The object's place of its first page.
    pub offset: u64,
    /// What the program may do there.
    pub rights: Rights,
    /// What the program may give itself the right to.
    pub rights_max: Rights,
    /// What a child gets.
    pub inheritance: Inheritance,
    /// What the program has said.
    pub advice: Advice,
    /// How often it is wired.
    pub wired: u32,
    /// Before the first write a shadow has to be put in front of the object, for this entry alone.
    pub needs_copy: bool,
    /// It was made to be shared: what is written is written to the object.
    pub shared: bool,
    /// It is an array of stacks, or a part of one.
    pub stacks: Option<Stacks>,
}

impl Entry {
    /// Anonymous memory of a range, private, nothing touched.
    pub fn anonymous(range: Range<u64>, rights: Rights) -> Entry {
        Entry {
            start: range.start,
            end: range.end,
            object: None,
            offset: 0,
            rights,
            rights_max: Rights::READ | Rights::WRITE | Rights::EXECUTE,
            inheritance: Inheritance::Copy,
            advice: Advice::Normal,
            wired: 0,
            needs_copy: false,
            shared: false,
            stacks: None,
        }
    }

    /// Its addresses.
    pub fn range(&self) -> Range<u64> {
        self.start..self.end
    }

    /// How many pages it has.
    pub fn pages(&self) -> u64 {
        (self.end - self.start) >> PAGE_SHIFT
    }

    /// The object's place of an address.
    #[inline]
    pub fn place_of(&self, address: u64) -> u64 {
        self.offset + ((address - self.start) >> PAGE_SHIFT)
    }

    /// The number of the stack in whose guard an address lies, if it lies in one.
    #[inline]
    pub fn guard_at(&self, address: u64) -> Option<u64> {
        self.stacks.and_then(|stacks| stacks.guard_at(address))
    }

    /// The same range with nothing behind it.
    pub(crate) fn without_object(&self) -> Entry {
        Entry { object: None, ..*self }
    }

    /// Cuts it in two: what lies at an address and above is returned. The object's second reference is the
    /// caller's to count.
    pub(crate) fn split_off(&mut self, at: u64) -> Entry {
        debug_assert!(self.start < at && at < self.end && at.is_multiple_of(PAGE));
        let upper = Entry {
            start: at,
            end: self.end,
            object: self.object.clone(),
            offset: self.place_of(at),
            ..*self
        };
        self.end = at;
        upper
    }

    /// Whether the entry and the one behind it say the same, so that they can be one.
    pub(crate) fn is_continued_by(&self, next: &Entry) -> bool {
        let same_memory = match (&self.object, &next.object) {
            // Untouched memory can begin anywhere.
            (None, None) => true,
            (Some(one), Some(other)) => one.is(other) && self.place_of(self.end) == next.offset,
            _ => false,
        };
        self.end == next.start
            && same_memory
            && self.rights == next.rights
            && self.rights_max == next.rights_max
            && self.inheritance == next.inheritance
            && self.advice == next.advice
            && self.wired == next.wired
            && self.needs_copy == next.needs_copy
            && self.shared == next.shared
            && self.stacks == next.stacks
    }
}
