//! Fork: a copy of an address space, entry by entry. What is copied is not: parent and child refer to the same objects
//! until one of them writes ([`crate::fault`]).
//!
//! FreeBSD: `vmspace_fork`.

use super::{Space, give_object};
use crate::Vm;
use crate::entry::{Entry, Inheritance};
use crate::entry_tree::EntryRoom;
use crate::map::Map;
use crate::object::Mapped;
use crate::shadow::refer;
use machine::MayFault;
use machine::pmap::{Rights, TableMemory};
use memory::OutOfMemory;

impl Space {
    /// Makes a copy of the address space for a child: every entry as its inheritance says.
    ///
    /// The only error is that there is no memory for the child's tables, entries or objects. What the child had got by then
    /// is let go of; the parent's memory is what it was.
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
