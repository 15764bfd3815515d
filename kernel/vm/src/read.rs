//! Reading a file's pages, for the kernel itself: what a program is made of, the names in a crash report. And bringing the
//! page at a place of an object, for whoever wants to work on it ([`bring`]).
//!
//! The pages are the same that programs map, in the file's object: what is read here need not be brought in again for
//! them, and goes when memory is short.
//!
//! FreeBSD: `vm_page_grab_valid`, `uiomove_fromphys`.

use crate::Vm;
use crate::bulk_copy;
use crate::fault::{FaultError, Outcome};
use crate::object::{Locked, ObjectRef};
use crate::page::{Exclusive, PAGE_SHIFT, PAGE_SIZE};
use crate::page_in::{self, PageIn};
use dispatch::Woken;
use machine::MayFault;
use trace::EventId;

/// How far to go for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Not at all: it is in memory and nobody has it busy, or it is not to be had. For who must not wait.
    Memory,
    /// To the device.
    Device,
    /// To the device, which is asked for what lies behind it too.
    DeviceAndAhead,
}

/// What to do where an object has nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// There is to be something: an error.
    Refused,
    /// Nothing.
    Left,
    /// A page of zeros is put there. The object is anonymous and has neither backing nor shadows.
    Made,
}

/// Copies bytes out of a file, from a byte on. They begin within the file; behind its end, in its last page, are zeros.
/// With [`Reach::Memory`] what is not to be had is [`FaultError::Interrupted`].
///
/// Sleeps where it has to; the caller holds no lock of virtual memory.
pub fn read(
    object: &ObjectRef,
    from: u64,
    to: &mut [u8],
    reach: Reach,
    may_fault: &mut MayFault,
) -> Result<(), FaultError> {
    let (mut at, mut rest) = (from, to);
    while !rest.is_empty() {
        let byte = at % PAGE_SIZE;
        let length = rest.len().min((PAGE_SIZE - byte) as usize);
        let (piece, behind) = rest.split_at_mut(length);
        let page = bring(object, at >> PAGE_SHIFT, reach, Missing::Refused, may_fault)?;
        let page = page.ok_or(FaultError::BehindEnd)?;
        // SAFETY: the frame is the page's. Programs that map it can write their own copies only.
        unsafe { machine::content::read(page.page().address(), byte, piece) };
        page.note_use();
        (at, rest) = (at + length as u64, behind);
    }
    Ok(())
}

/// The same without a lock and without waiting, for the end of the system: nobody else runs any more. Says whether the
/// pages are in memory.
pub fn peek(object: &ObjectRef, from: u64, to: &mut [u8]) -> bool {
    let (mut at, mut rest) = (from, to);
    while !rest.is_empty() {
        let byte = at % PAGE_SIZE;
        let length = rest.len().min((PAGE_SIZE - byte) as usize);
        let (piece, behind) = rest.split_at_mut(length);
        let page = object.index.get(at >> PAGE_SHIFT).resident();
        let Some(page) = page.filter(|page| page.is_valid()) else { return false };
        // SAFETY: as above. The index of a file's object stays as long as the object.
        unsafe { machine::content::read(page.address(), byte, piece) };
        (at, rest) = (at + length as u64, behind);
    }
    true
}

/// The page at a place, valid and exclusively busy; none if nothing is there and that is to be left so.
pub(crate) fn bring(
    object: &ObjectRef,
    place: u64,
    reach: Reach,
    missing: Missing,
    may_fault: &mut MayFault,
) -> Result<Option<Exclusive>, FaultError> {
    let mut reach = reach;
    loop {
        let outcome = match attempt(object, place, reach, missing, may_fault) {
            Ok(page) => return Ok(page),
            Err(outcome) => outcome,
        };
        let woken = match outcome {
            Outcome::Failed(error) => return Err(error),
            _ if reach == Reach::Memory => return Err(FaultError::Interrupted),
            Outcome::Busy(page) => page.busy().wait_interruptible(may_fault),
            Outcome::OutOfMemory => Vm::current().shortage.wait(may_fault),
            Outcome::NeedsToBeAlone => {
                reach = Reach::Device;
                Woken::ByEvent
            }
            _ => Woken::ByEvent,
        };
        if woken == Woken::BySignal {
            return Err(FaultError::Interrupted);
        }
    }
}

fn attempt(
    object: &ObjectRef,
    place: u64,
    reach: Reach,
    missing: Missing,
    may_fault: &mut MayFault,
) -> Result<Option<Exclusive>, Outcome> {
    let here = Locked::new(object.clone(), may_fault);
    let mut content = object.index.get(place);
    if let Some(page) = content.resident() {
        let Some(page) = page.try_exclusive() else { return Err(Outcome::Busy(page)) };
        if page.is_valid() {
            return Ok(Some(page));
        }
        // What a transfer that failed left behind.
        content = content.with_page(None);
        object.index.set(place, content);
        page.free();
    }
    let Some(source) = page_in::source(object, place, content)? else {
        return match missing {
            Missing::Refused => Err(Outcome::Failed(FaultError::BehindEnd)),
            Missing::Left => Ok(None),
            Missing::Made => {
                object.index.prepare(place)?;
                let page = page_in::claim(object, place, content)?;
                drop(here);
                bulk_copy::clear(&page);
                page.set_valid();
                Ok(Some(page))
            }
        };
    };
    if reach == Reach::Memory {
        return Err(Outcome::Again);
    }
    let ahead = reach == Reach::DeviceAndAhead;
    let page_in = PageIn::prepare(&here, place, content, source, ahead)?;
    drop(here);
    page_in.read(EventId::NONE, may_fault).0.map(Some)
}
