//! The reverse map: where a page is mapped.
//!
//! Whoever takes a page away has to find every way to it. So each page has a list of its mappings, with a
//! spin lock of its own. The first mapping lies in the page itself: most pages never have a second.
//!
//! Invariants:
//! - who *adds* a mapping has the page busy in one way or the other, and reads the map: so who has the page
//!   exclusively, and has unmapped it, knows that it stays unmapped;
//! - the mapping is added before the entry of the page table is made; the entry is withdrawn, *and forgotten by
//!   every processor*, before the mapping is removed. So who finds no mapping knows that nobody reaches the page;
//! - who finds one may find its entry gone, or leading elsewhere by now: [`Pmap::withdraw`] takes away only
//!   what it is told to expect;
//! - who changes an entry harvests what it said with the page's lock held: who finds it gone finds that on the
//!   page;
//! - a physical map outlives its mappings: it goes when it is empty, and nobody has it pinned ([`Pmap::pin`]).
//!
//! The pmap modules of BSD call such a mapping a *pv entry*.

use crate::Vm;
use crate::page::{Exclusive, PAGE_SIZE, Page};
use core::fmt;
use core::mem;
use core::ptr;
use machine::SpinLock;
use machine::pmap::{Pmap, Translation};
use memory::{OutOfMemory, SlabBox};

/// One place where a page is mapped.
#[derive(Clone, Copy)]
pub(crate) struct Mapping {
    pmap: *const Pmap,
    address: u64,
    /// It keeps the page in memory: one of those that [`Page::wired`] counts.
    wired: bool,
}

// SAFETY: the pointer is used only while the mapping is in a list, under its lock; see the module.
unsafe impl Send for Mapping {}

impl Mapping {
    fn is(&self, pmap: &Pmap, address: u64) -> bool {
        ptr::eq(self.pmap, pmap) && self.address == address
    }

    /// Acts on the physical map.
    ///
    /// # Safety
    ///
    /// The mapping is in a list whose lock the caller holds.
    unsafe fn pmap(&self) -> &Pmap {
        // SAFETY: the caller's promise, and the module's third invariant.
        unsafe { &*self.pmap }
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:#x} of physical map {:p}", self.address, self.pmap)
    }
}

/// A mapping that does not fit into the page itself.
pub(crate) struct Further {
    mapping: Mapping,
    next: Option<SlabBox<Further>>,
}

/// Room for one further mapping, got before any lock is taken.
pub(crate) struct Room(Option<SlabBox<Further>>);

impl Room {
    /// None, for a page that has no mapping yet.
    pub(crate) const NONE: Room = Room(None);

    /// Room for a mapping of a page that has one already.
    pub(crate) fn get() -> Result<Room, OutOfMemory> {
        let empty = Further {
            mapping: Mapping { pmap: ptr::null(), address: 0, wired: false },
            next: None,
        };
        Vm::current().mappings.allocate_with(|| empty).map(|room| Room(Some(room)))
    }
}

struct List {
    first: Option<Mapping>,
    further: Option<SlabBox<Further>>,
    count: u32,
}

/// The mappings of a page. See the module.
pub(crate) struct ReverseMap(SpinLock<List, 13>);

impl ReverseMap {
    pub(crate) fn new() -> ReverseMap {
        ReverseMap(SpinLock::new(List { first: None, further: None, count: 0 }))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.0.lock_anywhere().count
    }

    /// One of them.
    pub(crate) fn any(&self) -> Option<Mapping> {
        let list = self.0.lock_anywhere();
        list.first.or_else(|| list.further.as_ref().map(|further| further.mapping))
    }

    /// Calls `act` for every mapping.
    fn for_each(list: &List, mut act: impl FnMut(&Mapping)) {
        list.first.iter().for_each(&mut act);
        let mut further = &list.further;
        while let Some(here) = further {
            act(&here.mapping);
            further = &here.next;
        }
    }
}

impl List {
    fn find(&mut self, pmap: &Pmap, address: u64) -> Option<&mut Mapping> {
        if let Some(first) = self.first.as_mut().filter(|first| first.is(pmap, address)) {
            return Some(first);
        }
        let mut place = &mut self.further;
        while let Some(here) = place {
            if here.mapping.is(pmap, address) {
                return Some(&mut here.mapping);
            }
            place = &mut here.next;
        }
        None
    }

    fn take(&mut self, pmap: &Pmap, address: u64) -> Option<Mapping> {
        let first = self.first.take_if(|first| first.is(pmap, address));
        let taken = first.or_else(|| {
            let mut place = &mut self.further;
            while place.as_ref().is_some_and(|here| !here.mapping.is(pmap, address)) {
                place = &mut place.as_mut().expect("looked at above").next;
            }
            let mut found = place.take()?;
            *place = mem::take(&mut found.next);
            Some(found.mapping)
        })?;
        self.count -= 1;
        Some(taken)
    }

    fn pop(&mut self) -> Option<Mapping> {
        let mapping = self.first.take().or_else(|| {
            let mut further = self.further.take()?;
            self.further = further.next.take();
            Some(further.mapping)
        })?;
        self.count -= 1;
        Some(mapping)
    }
}

impl Page {
    /// Adds a mapping that is about to be made, wired or not. The page is busy. Without room, which is needed if it
    /// has another mapping, this may fail: then nothing has changed.
    pub(crate) fn add_mapping(
        &'static self,
        pmap: &Pmap,
        address: u64,
        wired: bool,
        room: &mut Room,
    ) -> Result<(), OutOfMemory> {
        let mapping = Mapping { pmap: ptr::from_ref(pmap), address, wired };
        let mut list = self.mappings.0.lock_anywhere();
        if list.first.is_none() {
            list.first = Some(mapping);
        } else {
            let mut further = room.0.take().ok_or(OutOfMemory)?;
            further.mapping = mapping;
            further.next = list.further.take();
            list.further = Some(further);
        }
        list.count += 1;
        if wired {
            self.wire();
        }
        Ok(())
    }

    /// Takes a mapping away whose entry has been withdrawn and forgotten. Somebody who unmapped the page
    /// everywhere may have been faster.
    pub(crate) fn remove_mapping(&'static self, pmap: &Pmap, address: u64) {
        let mut list = self.mappings.0.lock_anywhere();
        let taken = list.take(pmap, address);
        // With the lock held: a page without mappings may be freed, and is not wired then.
        if taken.is_some_and(|taken| taken.wired) {
            self.unwire();
        }
    }

    /// Makes a mapping keep the page in memory, or no longer. Without effect if there is no such mapping any more.
    pub(crate) fn set_wired(&'static self, pmap: &Pmap, address: u64, wired: bool) {
        let mut list = self.mappings.0.lock_anywhere();
        let Some(mapping) = list.find(pmap, address) else { return };
        if mem::replace(&mut mapping.wired, wired) == wired {
            return;
        }
        if wired {
            self.wire();
        } else {
            self.unwire();
        }
    }
}

/// Leaves on a page what processors have noted in an entry that led to it.
pub(crate) fn harvest(page: &Page, translation: &Translation) {
    if translation.dirty {
        page.note_dirty();
    }
    if translation.accessed {
        page.note_reference();
    }
}

impl Page {
    /// Changes the entry that maps this page at an address, and notes what processors had noted there. In one
    /// step, as far as [`unmap_all`] is concerned: who finds the entry gone finds what it said on the page.
    pub(crate) fn change_mapping(
        &self,
        change: impl FnOnce() -> Option<Translation>,
    ) -> Option<Translation> {
        let _list = self.mappings.0.lock_anywhere();
        let before = change();
        if let Some(before) = &before {
            harvest(self, before);
        }
        before
    }
}

/// Unmaps a page everywhere, and returns when no processor can reach it any more. What processors had noted
/// is on the page then.
pub(crate) fn unmap_all(page: &Exclusive) {
    let frame = page.page().address();
    let mut list = page.mappings.0.lock_anywhere();
    while let Some(mapping) = list.pop() {
        // SAFETY: it was in the list until just now. Either its entry is there still, and goes only below; or
        // who took it has to wait for the lock to take the mapping away.
        let pmap = unsafe { mapping.pmap() };
        // From the withdrawal on nothing else tells the pmap's owner that somebody is at work here.
        let _pin = pmap.pin();
        let translation = pmap.withdraw(mapping.address, frame);
        // Also if somebody else has just withdrawn it: processors may not have forgotten it yet.
        pmap.shoot_down(mapping.address..mapping.address + PAGE_SIZE);
        if let Some(translation) = translation {
            harvest(page, &translation);
        }
        if mapping.wired {
            page.page().unwire();
        }
    }
}

/// Whether a page has been used through any of its mappings since the last call.
pub(crate) fn take_accessed(page: &Page) -> bool {
    let list = page.mappings.0.lock_anywhere();
    let mut accessed = false;
    ReverseMap::for_each(&list, |mapping| {
        // SAFETY: it is in the list.
        accessed |= unsafe { mapping.pmap() }.clear_accessed(mapping.address);
    });
    accessed
}

#[cfg(test)]
#[path = "tests/reverse_map.rs"]
mod tests;
