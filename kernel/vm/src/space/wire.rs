//! Wiring: keeping a range of memory where it is.
//!
//! FreeBSD: `vm_map_wire`, `vm_map_unwire`.

use super::Space;
use crate::Vm;
use crate::entry::Entry;
use crate::fault::{self, FaultError};
use crate::map::{Map, MapError};
use crate::page::PAGE_SIZE;
use core::ops::{ControlFlow, Range};
use dispatch::sleep_queue::is_interrupted;
use machine::MayFault;
use machine::pmap::Rights;
use memory::{FrameNumber, OutOfMemory};

/// Why a range could not be wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The map says so.
    Map(MapError),
    /// A page could not be brought in.
    Fault(FaultError),
}

impl From<OutOfMemory> for WireError {
    fn from(error: OutOfMemory) -> WireError {
        WireError::Map(error.into())
    }
}

impl Space {
    /// Keeps a range in memory, or no longer. Wiring brings every page in; if that fails for one, the others stay
    /// wired. It ends early if the thread is interrupted.
    ///
    /// Errors: [`WireError::Map`] before anything has changed, if the range is not of whole pages of the user's or has
    /// holes, and if the map has too many entries or no memory for more; [`WireError::Fault`] for the first page that could not be brought in, or
    /// [`FaultError::Interrupted`]. Not wiring has errors of the map only.
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
}
