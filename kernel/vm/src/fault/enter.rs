//! F4: entering a page into the page table.
//!
//! Where another page was, the new one is entered without the right to write, the processors are made to forget
//! the old one, and only then is the right to write given. Otherwise a thread of the process could write the new
//! page on this processor while another thread, on a processor that still knows the old one, reads the old contents
//! after having heard of the write: `bug-cow-tlb`.

use super::{Fault, Outcome, Target, read_only};
use crate::Vm;
use crate::history::{self, Bug};
use crate::page::{Held, PAGE_SIZE, Page};
use crate::reverse_map::{Room, harvest};
use crate::schedule::{Point, point};
use crate::space::Space;
use core::ops::ControlFlow;
use machine::MayFault;
use machine::pmap::{Pmap, Rights, Translation};
use memory::{FrameNumber, OutOfMemory};
use trace::FaultEnd;

impl Fault<'_> {
    /// Enters a valid page, which the caller has busy, with the map's lock held.
    pub(super) fn enter(
        &self,
        held: &Held,
        rights: Rights,
        wired: bool,
        may_fault: &mut MayFault,
    ) -> Outcome {
        point(Point::FaultEnters, may_fault);
        let page = held.page();
        let outcome = match enter(self.space.pmap(), self.address, page, rights, wired, may_fault) {
            Ok(()) => {
                if self.writes() {
                    page.note_dirty();
                }
                page.note_reference();
                Outcome::Done
            }
            Err(error) => error.into(),
        };
        // Also if it could not be entered: somebody must be able to take it away.
        Vm::current().queues.note_use(page);
        outcome
    }

    /// Enters a frame of a device, which has no page.
    pub(super) fn enter_device(&self, first: FrameNumber, target: &Target<'_>) -> Outcome {
        let pmap = self.space.pmap();
        let Ok(place) = pmap.prepare(self.address) else { return Outcome::OutOfMemory };
        let frame = FrameNumber::new(first.number() + target.place).address();
        // What was there can only be the same: a device's frames never change.
        place.exchange(Some(Translation::new(frame, target.rights)));
        self.how.set(FaultEnd::Frame);
        Outcome::Done
    }
}

/// Enters a page, which the caller has busy, at an address of a map whose lock is held.
fn enter(
    pmap: &Pmap,
    address: u64,
    page: &'static Page,
    rights: Rights,
    wired: bool,
    may_fault: &mut MayFault,
) -> Result<(), OutOfMemory> {
    let place = pmap.prepare(address).map_err(|_| OutOfMemory)?;
    let frame = page.address();
    let before = place.lookup();
    if before.is_some_and(|before| before.frame == frame) {
        // It was there with fewer rights. Nobody takes it away: it is busy.
        let is_there = place.permit(frame, rights);
        debug_assert!(is_there, "a busy page has been unmapped");
        return Ok(());
    }
    add_mapping(page, pmap, address, wired)?;
    let replaces = before.is_some();
    let first = if replaces && !history::has(Bug::CowTlb) { read_only(rights) } else { rights };
    let exchange = || place.exchange(Some(Translation::new(frame, first)));
    let managed = before.map(|before| FrameNumber::containing(before.frame));
    let old = match managed.filter(|frame| Vm::current().pages.is_managed(*frame)) {
        Some(frame) => Vm::current().pages.page_of(frame).change_mapping(exchange),
        None => exchange(),
    };
    if let Some(old) = old {
        let is_same = old.frame == frame;
        if is_same {
            // Another thread has entered it since the look, and may have written it. Busy as it is, nobody concludes
            // meanwhile that it is clean.
            harvest(page, &old);
        } else {
            debug_assert!(replaces, "two threads entered different pages at one address");
            point(Point::FaultEntered, may_fault);
            pmap.shoot_down(address..address + PAGE_SIZE);
        }
        // A thread that entered the same page at the same time has added its own mapping.
        forget(pmap, address, &old);
    }
    if first != rights {
        let is_there = place.permit(frame, rights);
        debug_assert!(is_there, "a busy page has been unmapped");
    }
    Ok(())
}

fn add_mapping(
    page: &'static Page,
    pmap: &Pmap,
    address: u64,
    wired: bool,
) -> Result<(), OutOfMemory> {
    let mut room = Room::NONE;
    if page.add_mapping(pmap, address, wired, &mut room).is_ok() {
        return Ok(());
    }
    page.add_mapping(pmap, address, wired, &mut Room::get()?)
}

/// What was at an address is no longer, and every processor has forgotten it.
fn forget(pmap: &Pmap, address: u64, old: &Translation) {
    let frame = FrameNumber::containing(old.frame);
    if Vm::current().pages.is_managed(frame) {
        let page = Vm::current().pages.page_of(frame);
        page.remove_mapping(pmap, address);
    }
}

/// How many translations are taken out before processors are made to forget them.
const BATCH: usize = 64;

/// Takes out all translations of a range of addresses. No thread enters any meanwhile: the map's lock is held for
/// writing.
pub(crate) fn remove(space: &Space, range: core::ops::Range<u64>) {
    let pmap = space.pmap();
    let mut from = range.start;
    while from < range.end {
        let mut batch = [(0, Translation::new(0, Rights::NONE)); BATCH];
        let mut count = 0;
        let mut end = range.end;
        pmap.for_each(from..range.end, &mut |address, translation| {
            if count == BATCH {
                end = address;
                return ControlFlow::Break(());
            }
            if let Some(old) = take_out(pmap, address, &translation) {
                batch[count] = (address, old);
                count += 1;
            }
            ControlFlow::Continue(())
        });
        if count != 0 {
            pmap.shoot_down(from..end);
        }
        for (address, old) in &batch[..count] {
            forget(pmap, *address, old);
        }
        from = end;
    }
    // What was gone already may not be forgotten yet.
    pmap.settle();
}

/// Takes a translation out that was there a moment ago.
fn take_out(pmap: &Pmap, address: u64, there: &Translation) -> Option<Translation> {
    let frame = FrameNumber::containing(there.frame);
    if Vm::current().pages.is_managed(frame) {
        let page = Vm::current().pages.page_of(frame);
        // Nobody enters anything at this address, so it leads there or nowhere.
        page.change_mapping(|| pmap.withdraw(address, there.frame))
    } else {
        pmap.exchange(address, None)
    }
}
