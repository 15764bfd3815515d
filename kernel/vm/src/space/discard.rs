//! Forgetting what is in a range of memory: `madvise` with `MADV_DONTNEED`.
//!
//! Nothing is cut where nobody else can see the memory: a million stacks can be given back, and the map is what it was.
//!
//! FreeBSD: `vm_map_madvise`, `vm_object_madvise`.

use super::{Space, checked, let_go_of};
use crate::Vm;
use crate::entry::Entry;
use crate::fault;
use crate::map::{ENTRIES_MAX, Map, MapError, Rooms};
use crate::object::Mapped;
use crate::page::{PAGE_SHIFT, Page, wait};
use crate::shadow::{self, refer};
use core::ops::Range;
use machine::MayFault;

/// What a look at a part of what is to be discarded came to.
enum Discarded {
    /// All is done up to this address.
    Until(u64),
    /// This is no longer in the map; its object is to be let go of without the map's lock.
    Cut(Entry),
    /// This page is busy and stands in the way.
    Busy(&'static Page),
}

impl Space {
    /// Forgets what is in a range of private memory: it is as if nobody had touched it, zeros or the file's contents.
    /// Shared memory and what is wired stay as they are.
    ///
    /// Where nobody else can see the memory its pages go, and nothing else changes. Where somebody can, or where there
    /// is something below that would come to light, the entry is cut and the range begins anew without an object, or
    /// with the file's.
    ///
    /// The map's lock is let go of again and again. What is unmapped meanwhile is an error; what came before that is
    /// forgotten.
    ///
    /// Errors: [`MapError::BadRange`], and [`MapError::NotMapped`] if the range has holes, before anything is forgotten;
    /// [`MapError::NotMapped`], [`MapError::TooManyEntries`] and [`MapError::OutOfMemory`] also after a part of it.
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
}
