//! The fault: a program has touched an address that the page tables know nothing of, or not enough.
//!
//! ```text
//!  F0 find the entry; the map's lock, for reading. The page is resident, or there can be nothing: done at once
//!  F1 walk: down the chain, hand over hand; a write first claims its page in the first object
//!  F2 bring it in: from swap or from a file, with no lock held; or copy it, or fill it with zeros
//!  F3 look at the map again, if its lock was let go of
//!  F4 enter it into the page table: write-protected, shoot-down, writable
//!  F5 let go
//! ```
//!
//! Any step may find that it has to wait (for a page that is busy, for memory, for a device). It then lets go of
//! everything that it has, waits, and begins at F0. Nothing is remembered: what was true before need not be.
//!
//! # What protects a copy
//!
//! A write to a page of a backing object puts a copy into the first object. From then on the first object *hides*
//! the source; collapse and bypass conclude that from the copy's being valid, and may free the source. So
//!
//! > a page whose shadowing page is valid is unmapped, or busy
//!
//! and that takes four things, each of which was once forgotten somewhere (`docs/history`):
//!
//! | the copy's source | feature that forgets it |
//! |---|---|
//! | stays exclusively busy until the copy is in the page table | `bug-cow-2019` |
//! | is unmapped everywhere first, if others map the first object: they may have mapped the source through it | `bug-cow-d23155` |
//! | is hidden only when nothing can go wrong any more: the copy becomes valid after F3 | `bug-cow-restart` |
//! | is not seen by another processor any more when the copy can be written | `bug-cow-tlb` |
//!
//! # Locks
//!
//! Map (for reading), then objects down the chain, then spin locks: of a page's reverse map, of the page queues, of
//! the frame allocator. Busy pages stand outside that order ([`crate::busy`]). Faults on different pages of
//! one process meet in no lock that excludes them, as long as the object has neither backing nor shadows; below that,
//! each object of a chain is locked for the few instructions of one look.
//!
//! 4.4BSD and FreeBSD: `vm_fault`.

mod enter;
mod walk;

use crate::Vm;
use crate::bulk_copy;
use crate::entry::Advice;
use crate::index::Content;
use crate::map::Map;
use crate::object::{Kind, Object};
use crate::page::{Exclusive, Held, PAGE_SIZE, Page};
use crate::schedule::{Point, point};
use crate::space::Space;
use crate::store::StoreError;
use core::cell::Cell;
use core::fmt;
use dispatch::{RwReadGuard, Woken};
use machine::MayFault;
use machine::pmap::Rights;
use machine::tracing::{emit, is_on};
use memory::OutOfMemory;
use trace::{EventId, FaultEnd, Groups, Kind as EventKind};
use walk::Walk;

pub(crate) use enter::remove;

/// Why an access is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultError {
    /// Nothing is mapped there.
    NotMapped,
    /// Something is, but not for this access.
    NotPermitted,
    /// It lies in the guard of a stack: the stack is full.
    Guard {
        /// The stack's number in its array.
        stack: u64,
    },
    /// It lies behind the end of the file that is mapped there.
    BehindEnd,
    /// The device that has the page failed.
    Device,
    /// The thread has been interrupted while it waited. The access may be tried again.
    Interrupted,
}

impl fmt::Display for FaultError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            FaultError::NotMapped => "nothing is mapped there",
            FaultError::NotPermitted => "what is mapped there does not permit it",
            FaultError::Guard { stack } => return write!(to, "it is the guard of stack {stack}"),
            FaultError::BehindEnd => "it lies behind the end of the file",
            FaultError::Device => "the device that has the page failed",
            FaultError::Interrupted => "the thread has been interrupted",
        })
    }
}

impl From<StoreError> for FaultError {
    fn from(error: StoreError) -> FaultError {
        match error {
            StoreError::Device => FaultError::Device,
            StoreError::Interrupted => FaultError::Interrupted,
        }
    }
}

/// What an attempt came to.
pub(crate) enum Outcome {
    /// The page is mapped.
    Done,
    /// Something has changed: begin again at once.
    Again,
    /// This page is busy.
    Busy(&'static Page),
    /// There is no memory at this moment.
    OutOfMemory,
    /// The entry has no object of its own that it could write to.
    NeedsObject,
    /// Nothing is to be found in the whole chain, so the first object has to be given a page.
    NeedsClaim,
    /// The device has failed to read the page and others along with it. One of these may be to blame.
    NeedsToBeAlone,
    /// There is no way.
    Failed(FaultError),
}

impl From<OutOfMemory> for Outcome {
    fn from(_: OutOfMemory) -> Outcome {
        Outcome::OutOfMemory
    }
}

/// A fault.
struct Fault<'a> {
    space: &'a Space,
    /// The page's address.
    address: u64,
    access: Rights,
    /// A page is to be claimed in the first object.
    claim: bool,
    /// Nothing is to be read along with the page.
    alone: bool,
    /// The event that the attempt under way began with, if it was noted, or the one that was noted last.
    event: Cell<EventId>,
    /// How the page was got; for the trace.
    how: Cell<FaultEnd>,
}

/// Makes an address accessible for `access`, or says why that cannot be. Sleeps where it has to; the caller holds
/// no lock of virtual memory.
pub fn fault(
    space: &Space,
    address: u64,
    access: Rights,
    may_fault: &mut MayFault,
) -> Result<(), FaultError> {
    let writes = access.contains(Rights::WRITE);
    let address = address & !(PAGE_SIZE - 1);
    let (event, how) = (Cell::default(), Cell::new(FaultEnd::Resident));
    let mut fault = Fault { space, address, access, claim: writes, alone: false, event, how };
    loop {
        fault.note_begin();
        let outcome = fault.attempt(may_fault);
        fault.note_end(|| fault.came_to(&outcome));
        let woken = match outcome {
            Outcome::Done => return Ok(()),
            Outcome::Again => Woken::ByEvent,
            Outcome::Busy(page) => page.busy().wait_interruptible(may_fault),
            Outcome::OutOfMemory => Vm::current().shortage.wait(may_fault),
            Outcome::NeedsObject => match space.give_object(address, writes, may_fault) {
                Ok(()) => Woken::ByEvent,
                Err(OutOfMemory) => Vm::current().shortage.wait(may_fault),
            },
            Outcome::NeedsClaim => {
                fault.claim = true;
                Woken::ByEvent
            }
            Outcome::NeedsToBeAlone => {
                fault.alone = true;
                Woken::ByEvent
            }
            Outcome::Failed(error) => return Err(error),
        };
        if woken == Woken::BySignal {
            return Err(FaultError::Interrupted);
        }
    }
}

/// What a fault takes from its entry.
struct Target<'e> {
    object: &'e crate::object::ObjectRef,
    place: u64,
    /// What the program may do with a page of the object's own.
    rights: Rights,
    /// Whether what lies next is likely to be wanted next.
    reads_ahead: bool,
    /// Whether what is mapped stays in memory.
    wired: bool,
}

impl Fault<'_> {
    /// An attempt begins, or goes on after it has slept. What was noted last is the cause: the end of the attempt
    /// before, or of the sleep.
    #[inline]
    fn note_begin(&self) {
        #[cold]
        fn note(event: &Cell<EventId>, address: u64) {
            event.set(emit(EventKind::FaultBegin, address, event.get()));
        }
        if is_on(Groups::MEMORY) {
            note(&self.event, self.address);
        }
    }

    /// It is over, or sleeps; `how` is asked only if the beginning was noted.
    #[inline]
    fn note_end(&self, how: impl FnOnce() -> FaultEnd) {
        #[cold]
        fn note(event: &Cell<EventId>, how: FaultEnd) {
            event.set(emit(EventKind::FaultEnd, how as u64, event.get()));
        }
        if !self.event.get().is_none() {
            note(&self.event, how());
        }
    }

    /// What an attempt came to, as the trace says it.
    fn came_to(&self, outcome: &Outcome) -> FaultEnd {
        match outcome {
            Outcome::Done => self.how.get(),
            Outcome::Again
            | Outcome::NeedsObject
            | Outcome::NeedsClaim
            | Outcome::NeedsToBeAlone => FaultEnd::Again,
            Outcome::Busy(_) => FaultEnd::WaitsForPage,
            Outcome::OutOfMemory => FaultEnd::WaitsForMemory,
            Outcome::Failed(_) => FaultEnd::Failed,
        }
    }

    fn writes(&self) -> bool {
        self.access.contains(Rights::WRITE)
    }

    /// F0: the entry, and what it says.
    fn find<'m>(&self, map: &'m Map) -> Result<Target<'m>, Outcome> {
        let Some(entry) = map.entries().find(self.address) else {
            return Err(Outcome::Failed(FaultError::NotMapped));
        };
        if let Some(stack) = entry.guard_at(self.address) {
            return Err(Outcome::Failed(FaultError::Guard { stack }));
        }
        if !entry.rights.contains(self.access) || self.access == Rights::NONE {
            return Err(Outcome::Failed(FaultError::NotPermitted));
        }
        let Some(object) = &entry.object else { return Err(Outcome::NeedsObject) };
        if entry.needs_copy && self.writes() {
            return Err(Outcome::NeedsObject);
        }
        let rights = if entry.needs_copy { read_only(entry.rights) } else { entry.rights };
        let reads_ahead = entry.advice != Advice::Random && !self.alone;
        let wired = entry.wired != 0;
        Ok(Target { object, place: entry.place_of(self.address), rights, reads_ahead, wired })
    }

    fn attempt(&self, may_fault: &mut MayFault) -> Outcome {
        let map = self.space.read_map(may_fault);
        let target = match self.find(&map) {
            Ok(target) => target,
            Err(outcome) => return outcome,
        };
        self.how.set(match target.object.kind() {
            Kind::Device(first) => return self.enter_device(first, &target),
            Kind::File(_) => FaultEnd::File,
            Kind::Anonymous => FaultEnd::Resident,
        });
        point(Point::FaultLooks, may_fault);
        match self.at_once(&target, may_fault) {
            Some(outcome) => outcome,
            None => self.walk(map, may_fault),
        }
    }

    /// The frequent cases: the object has the page, or neither it nor anything below or above it has anything to
    /// say about the place. Holds the object's lock for reading, beside everybody else who does.
    fn at_once(&self, target: &Target<'_>, may_fault: &mut MayFault) -> Option<Outcome> {
        let object = target.object;
        let shape = object.read(may_fault);
        let content = object.index.get(target.place);
        if let Some(page) = content.resident() {
            let Some(shared) = page.try_share() else { return Some(Outcome::Busy(page)) };
            if !page.is_valid() {
                // What a transfer that failed left behind.
                return None;
            }
            drop(shape);
            return Some(self.enter(&Held::Shared(shared), target.rights, target.wired, may_fault));
        }
        // Without shadows nobody walks through it, so there is nobody who could have looked before the page
        // is there and go on after.
        let alone = content.is_nothing() && shape.backing.is_none() && shape.shadows == 0;
        if !alone || !object.kind().is_anonymous() {
            return None;
        }
        let page = match claim(object, target.place) {
            Ok(Some(page)) => page,
            Ok(None) => return Some(Outcome::Again),
            Err(error) => return Some(error.into()),
        };
        drop(shape);
        bulk_copy::clear(&page);
        page.set_valid();
        self.how.set(FaultEnd::Zeros);
        Some(self.enter(&Held::Exclusive(page), target.rights, target.wired, may_fault))
    }

    fn walk(&self, map: RwReadGuard<'_, Map>, may_fault: &mut MayFault) -> Outcome {
        match Walk::begin(self, map, may_fault) {
            Ok(walk) => walk.run(may_fault),
            Err(outcome) => outcome,
        }
    }
}

/// The same without the right to write.
fn read_only(rights: Rights) -> Rights {
    rights.common(Rights::READ | Rights::EXECUTE)
}

/// A page of its own for a program's data.
pub(crate) fn allocate() -> Result<Exclusive, OutOfMemory> {
    let frame = Vm::current().shortage.allocate()?;
    Ok(Exclusive::fresh(frame))
}

/// Puts a new page, exclusively busy and not valid, where an object has nothing; none if it has. The object's lock
/// is held, in the mode that the object's surroundings ask for ([`crate::object`]).
fn claim(object: &Object, place: u64) -> Result<Option<Exclusive>, OutOfMemory> {
    let page = allocate()?;
    page.set_identity(object, place);
    match object.index.insert(place, Content::page(page.page())) {
        Ok(true) => Ok(Some(page)),
        Ok(false) => {
            page.free();
            Ok(None)
        }
        Err(error) => {
            page.free();
            Err(error)
        }
    }
}
