//! Address spaces: a map, and the page tables that are its cache.
//!
//! What programs ask for is here: map, unmap, protect, inherit, advise, wire, fork. Faults are in [`crate::fault`].
//!
//! FreeBSD: `vmspace`; `vm_map_insert`, `vm_map_delete`, `vm_map_protect`, `vmspace_fork`.

use crate::Vm;
use crate::entry::{Advice, Entry, Inheritance};
use crate::entry_tree::{EntryRoom, EntryTree};
use crate::fault::{self, FaultError};
use crate::map::{ENTRIES_MAX, Map, MapError, Place, Request, Rooms};
use crate::object::{Mapped, Object, ObjectRef, PLACES_MAX};
use crate::page::{PAGE_SHIFT, PAGE_SIZE, Page, wait};
use crate::shadow::{self, Writable, count_entry, refer};
use crate::stacks::Stacks;
use core::ops::{ControlFlow, Range};
use dispatch::sleep_queue::is_interrupted;
use dispatch::{RwLock, RwReadGuard};
use machine::MayFault;
use machine::pmap::{Pmap, Rights, TableMemory, USER_END};
use memory::{FrameNumber, OutOfMemory, SlabBox};

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

    /// Forgets what is in a range of private memory: it is as if nobody had touched it, zeros or the file's contents.
    /// Shared memory and what is wired stay as they are.
    ///
    /// Where nobody else can see the memory its pages go, and nothing else changes. Where somebody can, or where there
    /// is something below that would come to light, the entry is cut and the range begins anew without an object, or
    /// with the file's.
    ///
    /// The map's lock is let go of again and again. What is unmapped meanwhile is an error; what came before that is
    /// forgotten.
    pub fn discard(&self, range: Range<u64>, may_fault: &mut MayFault) -> Result<(), MapError> {
        let _change = Vm::current().census.change();
        let range = checked(range.start, range.end.wrapping_sub(range.start))?;
        let mut at = range.start;
        while at < range.end {
            let mut rooms = Rooms::get()?;
            let mut map = self.map.write(may_fault);
            if at == range.start && !map.is_covered(range.clone()) {
                return Err(MapError::NotMapped);
            }
            let Some(entry) = map.entries().find(at) else { return Err(MapError::NotMapped) };
            if map.entries().len() + 2 > ENTRIES_MAX {
                return Err(MapError::TooManyEntries);
            }
            let part = at..entry.end.min(range.end);
            match self.discard_part(&mut map, part, &mut rooms, may_fault) {
                Discarded::Until(end) => at = end,
                Discarded::Cut(old) => {
                    at = old.end;
                    map.join(&old.range(), may_fault);
                    drop(map);
                    let_go_of(old, may_fault);
                }
                Discarded::Busy(page) => {
                    // Whoever has it may be waiting for the map's lock. What has been done is found done.
                    drop(map);
                    wait(page, may_fault);
                }
            }
        }
        Ok(())
    }

    /// Discards what it can of a part of an entry, with the map's lock, which is held for writing.
    fn discard_part(
        &self,
        map: &mut Map,
        part: Range<u64>,
        rooms: &mut Rooms,
        may_fault: &mut MayFault,
    ) -> Discarded {
        let Some(entry) = map.entries().find(part.start) else {
            return Discarded::Until(part.end);
        };
        let private = entry.object.as_ref().filter(|_| !entry.shared && entry.wired == 0);
        // What is of a file is the file's already, or of a device.
        let Some(object) = private.filter(|object| object.kind().is_anonymous()) else {
            return Discarded::Until(part.end);
        };
        let places = entry.place_of(part.start)..entry.place_of(part.end);
        if shadow::is_seen_once(object, may_fault) {
            let batch = places.start..shadow::end_of_batch(object, places.clone(), may_fault);
            let end = part.start + ((batch.end - places.start) << PAGE_SHIFT);
            fault::remove(self, part.start..end);
            return match shadow::try_empty(object, batch, may_fault) {
                Some(page) => Discarded::Busy(page),
                None => Discarded::Until(end),
            };
        }
        // What a file lies below keeps the file; what was copied of it goes.
        let bottom = shadow::bottom(object, places.start, may_fault);
        map.clip(&part, rooms, may_fault);
        let Some(entry) = map.change().at_mut(part.start) else {
            return Discarded::Until(part.end);
        };
        let old = Entry { object: entry.object.take(), ..entry.without_object() };
        entry.needs_copy = bottom.is_some();
        if let Some((object, place)) = bottom {
            refer(&object, Mapped::Often, may_fault);
            entry.object = Some(object);
            entry.offset = place;
        }
        fault::remove(self, part);
        Discarded::Cut(old)
    }

    /// Keeps a range in memory, or no longer. Wiring brings every page in; if that fails for one, the others stay
    /// wired. It ends early if the thread is interrupted.
    pub fn wire(
        &self,
        range: Range<u64>,
        wired: bool,
        may_fault: &mut MayFault,
    ) -> Result<(), WireError> {
        let act = |entry: &mut Entry| entry.wired = u32::from(wired);
        let mark = |_: &Map| self.mark_wired(range.clone(), wired);
        self.change(range.clone(), |_| Ok(()), act, mark, may_fault).map_err(WireError::Map)?;
        let mut at = range.start;
        while wired && at < range.end {
            // Where everything is resident nothing sleeps.
            if is_interrupted() {
                return Err(WireError::Fault(FaultError::Interrupted));
            }
            at = self.touch(at, may_fault).map_err(WireError::Fault)?;
        }
        Ok(())
    }

    fn mark_wired(&self, range: Range<u64>, wired: bool) {
        let pages = &Vm::current().pages;
        self.pmap.for_each(range, &mut |address, translation| {
            let frame = FrameNumber::containing(translation.frame);
            if pages.is_managed(frame) {
                pages.page_of(frame).set_wired(&self.pmap, address, wired);
            }
            ControlFlow::Continue(())
        });
    }

    /// Makes a page accessible for all that its entry permits. Returns the next address at which there may be something
    /// to be made accessible.
    fn touch(&self, address: u64, may_fault: &mut MayFault) -> Result<u64, FaultError> {
        let map = self.map.read(may_fault);
        let Some(entry) = map.entries().find(address) else { return Err(FaultError::NotMapped) };
        let (rights, end, stacks) = (entry.rights, entry.end, entry.stacks);
        drop(map);
        if rights == Rights::NONE {
            return Ok(end);
        }
        if let Some(stacks) = stacks
            && let Some(stack) = stacks.guard_at(address)
        {
            return Ok(stacks.guard_end(stack).min(end));
        }
        let is_writable = rights.contains(Rights::WRITE);
        let access = if is_writable { Rights::READ | Rights::WRITE } else { Rights::READ };
        match fault::fault(self, address, access, may_fault) {
            // It has become one just now.
            Ok(()) | Err(FaultError::Guard { .. }) => Ok(address + PAGE_SIZE),
            Err(error) => Err(error),
        }
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

    /// How many pages of anonymous memory its entries lead to: resident, and in swap space only. What is shared counts
    /// for everybody who shares it.
    pub fn count_pages(&self, may_fault: &mut MayFault) -> (u64, u64) {
        let map = self.map.read(may_fault);
        let mut pages = (0, 0);
        for entry in map.iter() {
            if let Some(object) = entry.object.as_ref().filter(|object| !object.is_file()) {
                let (resident, swapped) =
                    object.count_pages(entry.offset..entry.offset + entry.pages(), may_fault);
                pages = (pages.0 + resident, pages.1 + swapped);
            }
        }
        pages
    }

    /// Makes a copy of the address space for a child: every entry as its inheritance says.
    pub fn fork(
        &self,
        tables: &'static dyn TableMemory,
        may_fault: &mut MayFault,
    ) -> Result<Space, OutOfMemory> {
        let _change = Vm::current().census.change();
        let child = Space::new(tables)?;
        let mut map = self.map.write(may_fault);
        let result = copy_entries(&mut map, &child, may_fault);
        // Even if that has failed half way: what needs a copy from now on must not be written.
        for entry in map.iter().filter(|entry| entry.needs_copy) {
            self.restrict(entry.range(), Rights::READ | Rights::EXECUTE);
        }
        drop(map);
        match result {
            Ok(()) => Ok(child),
            Err(error) => {
                child.clear(may_fault);
                Err(error)
            }
        }
    }
}

/// What a look at a part of what is to be discarded came to.
enum Discarded {
    /// All is done up to this address.
    Until(u64),
    /// This is no longer in the map; its object is to be let go of without the map's lock.
    Cut(Entry),
    /// This page is busy and stands in the way.
    Busy(&'static Page),
}

/// Why a range could not be wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The map says so.
    Map(MapError),
    /// A page could not be brought in.
    Fault(FaultError),
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

/// Gives a child its entries. Both maps are the caller's.
fn copy_entries(map: &mut Map, child: &Space, may_fault: &mut MayFault) -> Result<(), OutOfMemory> {
    let mut copies = child.map.write(may_fault);
    let mut at = map.range().start;
    loop {
        let Some(start) = map.entries().at_or_above(at).map(|entry| entry.start) else {
            return Ok(());
        };
        let room = EntryRoom::get()?;
        let Some(entry) = map.change().at_mut(start) else { return Ok(()) };
        at = entry.end;
        match entry.inheritance {
            Inheritance::None => continue,
            Inheritance::Share => {
                if entry.object.is_none() || entry.needs_copy {
                    give_object(entry, true, may_fault)?;
                }
            }
            // What was made to be shared stays so: only the child has a copy from now on.
            Inheritance::Copy => entry.needs_copy |= entry.object.is_some() && !entry.shared,
        }
        let is_copy = entry.inheritance == Inheritance::Copy;
        let copy = Entry {
            wired: 0,
            object: entry.object.clone(),
            needs_copy: is_copy && entry.object.is_some(),
            shared: entry.shared && !is_copy,
            ..*entry
        };
        if let Some(object) = &copy.object {
            refer(object, Mapped::Often, may_fault);
        }
        copies.change().insert(copy, room);
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
