//! F1 to F3: down the chain, to the page or to the end.
//!
//! The walk owns what it has busy: the page that it has claimed in the first object, and the source. Dropping
//! either lets go of it. What was claimed and came to nothing is freed again by [`Walk::give_back`], as it is
//! not valid.

use super::{Fault, Outcome, Target, claim, read_only};
use crate::Vm;
use crate::bulk_copy;
use crate::history::{self, Bug};
use crate::index::Content;
use crate::map::Map;
use crate::object::{Locked, Mapped, ObjectRef};
use crate::page::{Exclusive, Held};
use crate::page_in::{self, PageIn};
use crate::reverse_map::unmap_all;
use crate::schedule::{Point, point};
use dispatch::RwReadGuard;
use machine::MayFault;
use machine::pmap::Rights;
use trace::FaultEnd;

/// A walk. See the module.
pub(super) struct Walk<'f, 's> {
    fault: &'f Fault<'s>,
    /// The map's lock, unless it had to be let go of.
    map: Option<RwReadGuard<'f, Map>>,
    /// The map as it was.
    version: u64,
    first: ObjectRef,
    first_place: u64,
    rights: Rights,
    reads_ahead: bool,
    wired: bool,
    /// The page claimed in the first object, not valid.
    claimed: Option<Exclusive>,
}

/// Where the page was found, or what stands in its way.
enum Found {
    /// In the first object: the page itself.
    Own(Exclusive),
    /// In an object below: the page, to be read or copied.
    Below(Exclusive),
    /// Nowhere: zeros, in the page that was claimed.
    Zeros,
}

impl<'f, 's> Walk<'f, 's> {
    pub(super) fn begin(
        fault: &'f Fault<'s>,
        map: RwReadGuard<'f, Map>,
        _: &mut MayFault,
    ) -> Result<Walk<'f, 's>, Outcome> {
        let target = fault.find(&map)?;
        let Target { object, place: first_place, rights, reads_ahead, wired } = target;
        let (first, version) = (object.clone(), map.version());
        let map = Some(map);
        let claimed = None;
        fault.how.set(FaultEnd::Below);
        Ok(Walk { fault, map, version, first, first_place, rights, reads_ahead, wired, claimed })
    }

    pub(super) fn run(mut self, may_fault: &mut MayFault) -> Outcome {
        let outcome = match self.go_down(may_fault) {
            Ok(found) => self.finish(found, may_fault),
            Err(outcome) => outcome,
        };
        self.give_back(may_fault);
        outcome
    }

    /// F1 and the first half of F2: returns with a valid page exclusively busy, or none that is needed.
    fn go_down(&mut self, may_fault: &mut MayFault) -> Result<Found, Outcome> {
        let mut here = Locked::new(self.first.clone(), may_fault);
        let mut place = self.first_place;
        let mut depth = 0u64;
        if here.over {
            return Err(Outcome::Again);
        }
        loop {
            let object = here.object().clone();
            let mut content = object.index.get(place);
            if let Some(page) = content.resident() {
                let Some(page) = page.try_exclusive() else { return Err(Outcome::Busy(page)) };
                if page.is_valid() {
                    drop(here);
                    Vm::current().census.note_walk(depth);
                    if depth == 0 {
                        self.fault.how.set(FaultEnd::Resident);
                        return Ok(Found::Own(page));
                    }
                    return Ok(Found::Below(page));
                }
                // What a transfer that failed left behind.
                content = content.with_page(None);
                object.index.set(place, content);
                page.free();
            }
            if let Some(source) = page_in::source(&object, place, content)? {
                let page = self.bring_in(here, place, content, source, may_fault)?;
                return Ok(if depth == 0 { Found::Own(page) } else { Found::Below(page) });
            }
            if depth == 0 && self.fault.claim {
                self.claimed = Some(claim(&object, place)?.ok_or(Outcome::Again)?);
                point(Point::FaultClaimed, may_fault);
            }
            let Some(below) = here.backing.clone() else {
                drop(here);
                Vm::current().census.note_walk(depth);
                return if self.claimed.is_some() {
                    Ok(Found::Zeros)
                } else {
                    Err(Outcome::NeedsClaim)
                };
            };
            place += here.backing_offset;
            depth += 1;
            point(Point::FaultGoesDown, may_fault);
            // Hand over hand: the next lock before this one is let go of.
            here = Locked::new(below, may_fault);
        }
    }

    /// Reads the page in. The object's lock and the map's are let go of meanwhile.
    #[cold]
    fn bring_in(
        &mut self,
        here: Locked,
        place: u64,
        content: Content,
        source: page_in::Source,
        may_fault: &mut MayFault,
    ) -> Result<Exclusive, Outcome> {
        let page_in = PageIn::prepare(&here, place, content, source, self.reads_ahead)?;
        drop(here);
        self.map = None;
        let fault = self.fault;
        fault.how.set(FaultEnd::Read);
        fault.note_end(|| FaultEnd::WaitsForDevice);
        let (read, event) = page_in.read(fault.event.get(), may_fault);
        fault.event.set(event);
        fault.note_begin();
        read
    }

    /// The second half of F2, and F3 to F5.
    fn finish(&mut self, found: Found, may_fault: &mut MayFault) -> Outcome {
        match found {
            Found::Own(page) => match self.look_again(may_fault) {
                Ok(()) => {
                    self.fault.enter(&Held::Exclusive(page), self.rights, self.wired, may_fault)
                }
                Err(outcome) => outcome,
            },
            Found::Zeros => {
                let Some(page) = self.claimed.take() else { return Outcome::Again };
                bulk_copy::clear(&page);
                page.set_valid();
                self.fault.how.set(FaultEnd::Zeros);
                self.fault.enter(&Held::Exclusive(page), self.rights, self.wired, may_fault)
            }
            Found::Below(page) if self.fault.writes() => self.copy(page, may_fault),
            Found::Below(page) => match self.look_again(may_fault) {
                Ok(()) => self.fault.enter(
                    &Held::Exclusive(page),
                    read_only(self.rights),
                    self.wired,
                    may_fault,
                ),
                Err(outcome) => outcome,
            },
        }
    }

    /// Copy on write: the copy in the page that was claimed takes the place of the source.
    fn copy(&mut self, source: Exclusive, may_fault: &mut MayFault) -> Outcome {
        point(Point::FaultHasSource, may_fault);
        let Some(copy) = &self.claimed else { return Outcome::NeedsClaim };
        if self.fault.space.map().is_wanted_for_writing() {
            // Copying takes longer than the rest of the fault. Both pages are ours, whatever the map will say.
            self.map = None;
        }
        bulk_copy::copy(&source, copy);
        if history::has(Bug::CowRestart) {
            copy.set_valid();
        }
        let mut source = Some(source);
        if history::has(Bug::Cow2019) {
            // The copy is there: what would one still need the source for?
            copy.set_valid();
            source = None;
        }
        point(Point::FaultCopied, may_fault);
        if let Err(outcome) = self.look_again(may_fault) {
            return outcome;
        }
        // Others who map the first object may have mapped the source through it, and would keep it.
        let others_may_map_it = self.first.mapped() == Mapped::Often;
        if let Some(source) = &source
            && others_may_map_it
            && !history::has(Bug::CowD23155)
        {
            unmap_all(source);
        }
        let Some(copy) = self.claimed.take() else { return Outcome::NeedsClaim };
        copy.set_valid();
        copy.note_dirty();
        let held = Held::Exclusive(copy);
        self.fault.how.set(FaultEnd::Copied);
        let outcome = self.fault.enter(&held, self.rights, self.wired, may_fault);
        if let Some(source) = &source
            && !matches!(outcome, Outcome::Done)
        {
            // There was no memory to enter it, and the copy hides the source already.
            unmap_all(source);
        }
        point(Point::FaultEnds, may_fault);
        drop(held);
        drop(source);
        outcome
    }

    /// F3: whether the map still says what it said, if its lock has been let go of.
    fn look_again(&mut self, may_fault: &mut MayFault) -> Result<(), Outcome> {
        if self.map.is_some() {
            return Ok(());
        }
        point(Point::FaultLooksAgain, may_fault);
        let map = self.fault.space.read_map(may_fault);
        if map.version() != self.version {
            let target = self.fault.find(&map)?;
            if !target.object.is(&self.first) || target.place != self.first_place {
                return Err(Outcome::Again);
            }
            (self.rights, self.wired) = (target.rights, target.wired);
        }
        self.map = Some(map);
        Ok(())
    }

    /// Frees what was claimed and not used.
    fn give_back(&mut self, may_fault: &mut MayFault) {
        self.map = None;
        let Some(page) = self.claimed.take() else { return };
        if page.is_valid() {
            // Only `bug-cow-restart` and `bug-cow-2019` get here.
            return;
        }
        let shape = self.first.write(may_fault);
        let place = page.index();
        // Where it was claimed: nobody moves a busy page.
        let content = self.first.index.get(place);
        self.first.index.set(place, content.with_page(None));
        page.free();
        drop(shape);
    }
}
