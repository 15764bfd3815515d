//! Address spaces: a map, and the page tables that are its cache.
//!
//! | file | what programs ask for |
//! |---|---|
//! | this one | map, unmap, protect, inherit, advise |
//! | `discard.rs` | forget what is in a range |
//! | `wire.rs` | keep a range in memory |
//! | `fork.rs` | a copy of all of it |
//!
//! All of them sleep for the map's lock: the caller holds no lock of virtual memory and has no page busy. What they refuse
//! leaves the map as it was ([`MapError`]; of a range, the parts may have been cut).
//!
//! Faults are in [`crate::fault`](mod@crate::fault).
//!
//! FreeBSD: `vmspace`; `vm_map_insert`, `vm_map_delete`, `vm_map_protect`, `vmspace_fork`.

mod discard;
mod fork;
mod wire;

pub use wire::WireError;

use crate::Vm;
use crate::entry::{Advice, Entry, Inheritance};
use crate::entry_tree::{EntryRoom, EntryTree};
use crate::fault;
use crate::map::{ENTRIES_MAX, Map, MapError, Place, Request, Rooms};
use crate::object::{Mapped, Object, ObjectRef, PLACES_MAX};
use crate::page::{PAGE_SHIFT, PAGE_SIZE};
use crate::shadow::{self, Writable, count_entry};
use crate::stacks::Stacks;
use core::ops::{ControlFlow, Range};
use dispatch::{RwLock, RwReadGuard};
use machine::MayFault;
use machine::pmap::{Pmap, Rights, TableMemory, USER_END};
use memory::{OutOfMemory, SlabBox};

/// The lowest address that may be mapped: null pointers lead nowhere.
pub const USER_START: u64 = 0x1_0000;

/// An address space. See the module.
pub struct Space {
    map: RwLock<Map>,
    /// In a place of its own: pages know its address.
    pmap: SlabBox<Pmap>,
}

impl Space {
    /// An empty one, whose page tables come from `tables`.
    pub fn new(tables: &'static dyn TableMemory) -> Result<Space, OutOfMemory> {
        let pmap = Pmap::new(tables).map_err(|_| OutOfMemory)?;
        let pmap = Vm::current().pmaps.allocate(pmap).map_err(|(error, _)| error)?;
        Ok(Space { map: RwLock::new(Map::new(USER_START..USER_END)), pmap })
    }

    /// Its map.
    #[inline]
    pub fn map(&self) -> &RwLock<Map> {
        &self.map
    }

    /// Its page tables.
    #[inline]
    pub fn pmap(&self) -> &Pmap {
        &self.pmap
    }

    /// The map, for a fault.
    #[inline]
    pub(crate) fn read_map(&self, may_fault: &mut MayFault) -> RwReadGuard<'_, Map> {
        self.map.read_noting(|| Vm::current().census.map_waits.note(), may_fault)
    }

    /// Maps what a request says: from a place of an object on, or anonymous memory that nobody has touched. The
    /// caller's reference to the object goes to the entry; on an error it comes to nothing. Returns the address.
    pub fn insert(
        &self,
        request: &Request,
        object: Option<(ObjectRef, u64)>,
        may_fault: &mut MayFault,
    ) -> Result<u64, MapError> {
        let _change = Vm::current().census.change();
        let result = self.try_insert(request, object.as_ref(), may_fault);
        if let Some((object, _)) = object {
            match result {
                Ok(_) => count_entry(&object, 1),
                Err(_) => {
                    count_entry(&object, 1);
                    shadow::release(object, may_fault);
                }
            }
        }
        result
    }

    fn try_insert(
        &self,
        request: &Request,
        object: Option<&(ObjectRef, u64)>,
        may_fault: &mut MayFault,
    ) -> Result<u64, MapError> {
        check(request, object)?;
        let (mut rooms, room) = (Rooms::get()?, EntryRoom::get()?);
        let mut map = self.map.write(may_fault);
        let address = match request.place {
            Place::Hint => {
                map.find_space(request.address, request.length).ok_or(MapError::NoSpace)?
            }
            Place::Fixed | Place::FixedIfFree => request.address,
        };
        let range = checked(address, request.length)?;
        let is_taken = map.entries().iter(range.clone()).next().is_some();
        if is_taken && request.place == Place::FixedIfFree {
            return Err(MapError::Taken);
        }
        // What is cut out may leave one entry more than there was.
        if map.entries().len() + 2 > ENTRIES_MAX {
            return Err(MapError::TooManyEntries);
        }
        let removed = if is_taken {
            self.take_out(&mut map, &range, &mut rooms, may_fault)
        } else {
            EntryTree::new()
        };
        let entry = Entry {
            object: object.map(|(object, _)| object.clone()),
            offset: object.map_or(0, |(_, offset)| *offset),
            rights: normal(request.rights)?,
            rights_max: request.rights_max,
            inheritance: request.inheritance,
            needs_copy: object.is_some() && !request.shared,
            shared: request.shared,
            stacks: request.stacks.map(|shape| Stacks { shape, first: address }),
            ..Entry::anonymous(range.clone(), request.rights)
        };
        map.change().insert(entry, room);
        map.join(&range, may_fault);
        drop(map);
        let_go(removed, may_fault);
        Ok(address)
    }

    /// Unmaps a range; holes in it do no harm.
    pub fn remove(&self, range: Range<u64>, may_fault: &mut MayFault) -> Result<(), MapError> {
        let _change = Vm::current().census.change();
        let range = checked(range.start, range.end.wrapping_sub(range.start))?;
        let mut rooms = Rooms::get()?;
        let mut map = self.map.write(may_fault);
        let is_inside = |at| map.entries().find(at).is_some_and(|entry| entry.start < at);
        if map.entries().len() == ENTRIES_MAX && is_inside(range.start) && is_inside(range.end) {
            return Err(MapError::TooManyEntries);
        }
        let removed = self.take_out(&mut map, &range, &mut rooms, may_fault);
        drop(map);
        let_go(removed, may_fault);
        Ok(())
    }

    /// Unmaps everything: the program is over, or becomes another one. Needs no memory.
    pub fn clear(&self, may_fault: &mut MayFault) {
        let _change = Vm::current().census.change();
        let mut map = self.map.write(may_fault);
        let range = map.range();
        let removed = map.change().take_range(&range);
        fault::remove(self, range);
        drop(map);
        let_go(removed, may_fault);
    }

    /// Takes the entries of a range out of the map, and the range out of the page tables.
    fn take_out(
        &self,
        map: &mut Map,
        range: &Range<u64>,
        rooms: &mut Rooms,
        may_fault: &mut MayFault,
    ) -> EntryTree {
        map.clip(range, rooms, may_fault);
        let removed = map.change().take_range(range);
        if !removed.is_empty() {
            fault::remove(self, range.clone());
        }
        removed
    }

    /// Changes every entry of a range, which has no holes. `check` may refuse before anything has changed.
    fn change(
        &self,
        range: Range<u64>,
        check: impl Fn(&Entry) -> Result<(), MapError>,
        act: impl Fn(&mut Entry),
        after: impl FnOnce(&Map),
        may_fault: &mut MayFault,
    ) -> Result<(), MapError> {
        let _change = Vm::current().census.change();
        let range = checked(range.start, range.end.wrapping_sub(range.start))?;
        let mut rooms = Rooms::get()?;
        let mut map = self.map.write(may_fault);
        if !map.is_covered(range.clone()) {
            return Err(MapError::NotMapped);
        }
        map.entries().iter(range.clone()).try_for_each(check)?;
        if map.entries().len() + 2 > ENTRIES_MAX {
            return Err(MapError::TooManyEntries);
        }
        map.clip(&range, &mut rooms, may_fault);
        let mut at = range.start;
        while at < range.end {
            let Some(entry) = map.change().at_mut(at) else { break };
            act(entry);
            at = entry.end;
        }
        after(&map);
        map.join(&range, may_fault);
        Ok(())
    }

    /// Changes what the program may do with a range.
    pub fn protect(
        &self,
        range: Range<u64>,
        rights: Rights,
        may_fault: &mut MayFault,
    ) -> Result<(), MapError> {
        let rights = normal(rights)?;
        let check = |entry: &Entry| {
            if entry.rights_max.contains(rights) { Ok(()) } else { Err(MapError::NotPermitted) }
        };
        let restrict = |_: &Map| self.restrict(range.clone(), rights);
        self.change(range.clone(), check, |entry| entry.rights = rights, restrict, may_fault)
    }

    /// Takes the rights to a range away that are not among these. The map's lock is held for writing.
    fn restrict(&self, range: Range<u64>, keep: Rights) {
        let mut is_changed = false;
        self.pmap.for_each(range.clone(), &mut |address, translation| {
            if !keep.contains(translation.rights) {
                self.pmap.restrict(address, keep);
                is_changed = true;
            }
            ControlFlow::Continue(())
        });
        if is_changed {
            self.pmap.shoot_down(range);
        }
        // What was gone already may not be forgotten yet.
        self.pmap.settle();
    }

    /// Changes what a child gets of a range.
    pub fn inherit(
        &self,
        range: Range<u64>,
        inheritance: Inheritance,
        may_fault: &mut MayFault,
    ) -> Result<(), MapError> {
        let act = |entry: &mut Entry| entry.inheritance = inheritance;
        self.change(range, |_| Ok(()), act, |_| (), may_fault)
    }

    /// Notes what the program says of a range.
    pub fn advise(
        &self,
        range: Range<u64>,
        advice: Advice,
        may_fault: &mut MayFault,
    ) -> Result<(), MapError> {
        self.change(range, |_| Ok(()), |entry| entry.advice = advice, |_| (), may_fault)
    }

    /// Gives the entry at an address an object that it can read, or write, by itself: anonymous memory that is touched
    /// for the first time gets one, and what needs a copy before it is written gets a shadow.
    pub(crate) fn give_object(
        &self,
        address: u64,
        writes: bool,
        may_fault: &mut MayFault,
    ) -> Result<(), OutOfMemory> {
        let _change = Vm::current().census.change();
        let mut map = self.map.write(may_fault);
        let Some(start) = map.entries().find(address).map(|entry| entry.start) else {
            return Ok(());
        };
        let Some(entry) = map.change().at_mut(start) else { return Ok(()) };
        give_object(entry, writes, may_fault)
    }

    /// How many pages of anonymous memory its entries lead to, down their chains: resident, and in swap space only. What
    /// is shared counts for everybody who shares it, what is hidden by a copy counts, too.
    pub fn count_pages(&self, may_fault: &mut MayFault) -> (u64, u64) {
        let map = self.map.read(may_fault);
        let mut pages = (0, 0);
        for entry in map.iter() {
            let (resident, swapped) = shadow::count_pages(entry, may_fault);
            pages = (pages.0 + resident, pages.1 + swapped);
        }
        pages
    }
}

fn is_whole(number: u64) -> bool {
    number.is_multiple_of(PAGE_SIZE)
}

/// Rights as entries have them: who may write or execute may read, and nobody may do both.
fn normal(rights: Rights) -> Result<Rights, MapError> {
    if rights.contains(Rights::WRITE | Rights::EXECUTE) {
        return Err(MapError::NotPermitted);
    }
    Ok(if rights == Rights::NONE { rights } else { rights | Rights::READ })
}

/// Whether a request can be meant.
fn check(request: &Request, object: Option<&(ObjectRef, u64)>) -> Result<(), MapError> {
    if request.length == 0 || !is_whole(request.length) || !is_whole(request.address) {
        return Err(MapError::BadRange);
    }
    normal(request.rights)?;
    let is_good = request.stacks.is_none_or(|shape| {
        shape.is_good() && request.length.is_multiple_of(shape.stride) && object.is_none()
    });
    let pages = request.length >> PAGE_SHIFT;
    let fits = object.is_none_or(|(object, offset)| {
        // A file may grow; what lies behind its end is found out by who touches it.
        let limit = if object.is_file() { PLACES_MAX } else { object.pages() };
        offset.checked_add(pages).is_some_and(|end| end <= limit.min(PLACES_MAX))
    });
    if is_good && fits && pages <= PLACES_MAX { Ok(()) } else { Err(MapError::BadRange) }
}

/// A range of whole pages of the user's.
fn checked(start: u64, length: u64) -> Result<Range<u64>, MapError> {
    let end = start.checked_add(length).ok_or(MapError::BadRange)?;
    let is_good =
        length != 0 && is_whole(start) && is_whole(end) && start >= USER_START && end <= USER_END;
    if is_good { Ok(start..end) } else { Err(MapError::BadRange) }
}

/// See [`Space::give_object`]. The map's lock is held for writing.
fn give_object(
    entry: &mut Entry,
    writes: bool,
    may_fault: &mut MayFault,
) -> Result<(), OutOfMemory> {
    let pages = entry.pages();
    let Some(object) = entry.object.take() else {
        let object = Object::anonymous(pages)?;
        count_entry(&object, 1);
        entry.object = Some(object);
        entry.offset = 0;
        entry.needs_copy = false;
        return Ok(());
    };
    if !(entry.needs_copy && writes) {
        // Nothing is to be copied.
        entry.object = Some(object);
        return Ok(());
    }
    let was_anonymous = object.kind().is_anonymous();
    match shadow::make(object, entry.offset, pages, may_fault) {
        Writable::Same(object) => {
            entry.object = Some(object);
            entry.needs_copy = false;
            Ok(())
        }
        Writable::Shadow(shadow) => {
            if !was_anonymous {
                count_entry(&shadow, 1);
            }
            entry.object = Some(shadow);
            entry.offset = 0;
            entry.needs_copy = false;
            Ok(())
        }
        Writable::OutOfMemory(object) => {
            entry.object = Some(object);
            Err(OutOfMemory)
        }
    }
}

/// Lets go of what entries referred to that are in no map any more. No lock is held.
fn let_go(mut entries: EntryTree, may_fault: &mut MayFault) {
    while let Some(entry) = entries.pop_first() {
        let_go_of(entry, may_fault);
    }
}

/// The same of one.
fn let_go_of(entry: Entry, may_fault: &mut MayFault) {
    let places = entry.offset..entry.offset + entry.pages();
    let Some(object) = entry.object else { return };
    if object.kind().is_anonymous() && object.references() != 1 && object.mapped() == Mapped::Once {
        shadow::empty(&object, places, may_fault);
    }
    shadow::release(object, may_fault);
}
