//! Collapse and bypass: keeping chains of shadows short.
//!
//! ```text
//!   collapse: nobody else refers to y         bypass: x has everything that it could see of y
//!
//!     x ──► y ──► z       x ──► z                x ──► y ──► z          x ───────► z
//!                   ─►                                 ▲           ─►              ▲
//!     what x lacks moves up,                      w ───┘                w ──► y ───┘
//!     the rest of y is freed
//! ```
//!
//! Without them a shell that forks, writes and waits in a loop has a chain that grows by one with each turn:
//! each fault walks all of it, and what nobody can reach any more is kept for ever.
//!
//! # Why no page goes that somebody maps
//!
//! Both conclude that a page `p` of the lower object is *shadowed*: the upper object has a valid page, or a slot
//! of swap space, for the same place. The invariant that makes freeing `p` right is
//!
//! > a page whose shadowing page is valid is unmapped, or busy
//!
//! for the mappings that come through the upper object. The fault keeps it ([`crate::fault`](mod@crate::fault)): its source page stays
//! exclusively busy until the copy has replaced it. Here it is relied on:
//!
//! 1. a page that is busy decides nothing: collapse waits for it, bypass refuses if it is exclusively busy;
//! 2. always every page is looked at. How many there are says nothing about which there are;
//! 3. both locks are held all the time, except while waiting; after waiting, the scan begins again.
//!
//! The features `bug-cow-2019` and so on take such parts away; `docs/history` tells what happened then.
//!
//! # The chain lemma
//!
//! At rest every object that is not mapped by an entry has at least two shadows: with one, collapse would have
//! merged the two. A forest whose inner nodes have at least two children has fewer inner nodes than leaves. So
//! there are at most `2 × entries − 1` anonymous objects for so many anonymous entries, and no chain is longer
//! than the number of entries that lead into its tree. [`crate::census`] asserts the number of objects, unless
//! collapse is off ([`Vm::leave_chains`]), which shows that the lemma is no law of nature, or a collapse has been
//! given up for want of memory.
//!
//! FreeBSD: `vm_object_collapse`, `vm_object_bypass`; the order of events that broke each is in `docs/history`.

use crate::Vm;
use crate::history::{self, Bug};
use crate::index::Content;
use crate::object::{ObjectRef, Shape};
use crate::page::{Exclusive, Page, wait};
use crate::schedule::{Point, point};
use crate::shadow::{add_shadow, remove_shadow, sole_shadow};
use atomics::cell::SharedCell;
use atomics::{AtomicBool, Ordering};
use machine::MayFault;
use machine::tracing::emit;
use trace::{EventId, Kind as EventKind};

/// How many places are looked at before the locks are let go of once, for others to get through.
const BATCH: u32 = 128;

/// Takes the chain below an object apart as far as that is possible, and what becomes possible by that.
/// Called where a reference has gone ([`release`](crate::shadow::release)); never by a fault. The caller holds no lock
/// that a fault takes.
pub(crate) fn collapse(object: &ObjectRef, may_fault: &mut MayFault) {
    if !Vm::current().collapses() {
        return;
    }
    let mut list = CollapseList::default();
    list.push(object.clone());
    while let Some(object) = list.pop() {
        while step(&object, &mut list, may_fault) {}
    }
}

/// One collapse or bypass below `upper`. Says whether there may be another.
fn step(upper: &ObjectRef, list: &mut CollapseList, may_fault: &mut MayFault) -> bool {
    let mut above = upper.write(may_fault);
    // Whoever merges it goes on until nothing is left to be done.
    if above.over || above.merging {
        return false;
    }
    let Some(lower) = above.backing.clone() else { return false };
    if !lower.kind().is_anonymous() || !upper.kind().is_anonymous() {
        return false;
    }
    let mut below = lower.write(may_fault);
    if below.merging {
        drop(below);
        drop(above);
        Vm::current().census.collapse_waits.add(1);
        lower.wait_for_merge(may_fault);
        return true;
    }
    if below.references != 1 {
        if !is_shadowed(upper, &above, &lower) {
            return false;
        }
        emit(EventKind::Bypass, lower.number(), EventId::NONE);
        bypass(upper, &mut above, &mut below, may_fault);
        Vm::current().census.bypasses.add(1);
        if let Some(sole) = sole_shadow(&below) {
            list.push(sole);
        }
        return true;
    }
    upper.set_merging(&mut above, true);
    lower.set_merging(&mut below, true);
    drop(below);
    drop(above);
    let merged = merge(upper, &lower, may_fault);
    if merged {
        emit(EventKind::Collapse, lower.number(), EventId::NONE);
        Vm::current().census.collapses.add(1);
    }
    merged
}

/// Merges the lower object into the upper one. Says whether it came to that: the upper one may be over
/// meanwhile, or there may be no memory for its index.
fn merge(upper: &ObjectRef, lower: &ObjectRef, may_fault: &mut MayFault) -> bool {
    let mut from = 0;
    loop {
        let mut above = upper.write(may_fault);
        let mut below = lower.write(may_fault);
        let scanned = if above.over {
            Scan::GiveUp
        } else {
            scan(upper, &above, lower, &mut from, may_fault)
        };
        match scanned {
            Scan::Busy(page) => {
                drop(below);
                drop(above);
                Vm::current().census.collapse_waits.add(1);
                wait(page, may_fault);
                from = 0;
            }
            Scan::More => {}
            Scan::GiveUp => {
                if !above.over {
                    Vm::current().census.collapses_given_up.add(1);
                }
                lower.set_merging(&mut below, false);
                upper.set_merging(&mut above, false);
                return false;
            }
            Scan::Done => {
                take_place(upper, &mut above, lower, &mut below, may_fault);
                lower.set_merging(&mut below, false);
                upper.set_merging(&mut above, false);
                return true;
            }
        }
    }
}

/// What a look through the lower object came to.
enum Scan {
    /// Nothing is left in it.
    Done,
    /// There may be more; the locks may be let go of.
    More,
    /// This page has to become less busy first, with no lock held.
    Busy(&'static Page),
    /// The upper object is over, or there is no memory.
    GiveUp,
}

/// The upper object's place of a place of the lower one, if it sees that.
fn place_above(above: &Shape, place: u64) -> Option<u64> {
    place.checked_sub(above.backing_offset).filter(|place| *place < above.pages)
}

/// Moves up or frees what is in the lower object from a place on. Both locks are held.
fn scan(
    upper: &ObjectRef,
    above: &Shape,
    lower: &ObjectRef,
    from: &mut u64,
    may_fault: &mut MayFault,
) -> Scan {
    for _ in 0..BATCH {
        let Some((place, content)) = lower.index.next(*from) else { return Scan::Done };
        let page = match content.resident().map(|page| page.try_exclusive().ok_or(page)) {
            Some(Err(page)) => return Scan::Busy(page),
            Some(Ok(page)) => Some(page),
            None => None,
        };
        // What a transfer that failed left behind.
        let content = match &page {
            Some(page) if !page.is_valid() => content.with_page(None),
            _ => content,
        };
        point(Point::CollapseLooks, may_fault);
        let keep = match place_above(above, place) {
            Some(place_above) if content != Content::NOTHING => match room(upper, place_above) {
                Room::Taken => None,
                Room::Free => Some(place_above),
                Room::Busy(page) => return Scan::Busy(page),
                Room::OutOfMemory => return Scan::GiveUp,
            },
            _ => None,
        };
        match keep {
            None => discard(lower, place, content, page),
            Some(place_above) => {
                upper.index.set(place_above, content);
                lower.index.set(place, Content::NOTHING);
                match page {
                    Some(page) if content.resident().is_some() => {
                        page.set_identity(&**upper, place_above);
                    }
                    Some(page) => page.free(),
                    None => {}
                }
            }
        }
        *from = place + 1;
    }
    Scan::More
}

/// Whether the upper object has a place free for something from below.
enum Room {
    /// It has something of its own there.
    Taken,
    /// It has not, and its index is prepared.
    Free,
    /// That is being decided.
    Busy(&'static Page),
    OutOfMemory,
}

fn room(upper: &ObjectRef, place: u64) -> Room {
    let content = upper.index.get(place);
    if let Some(page) = content.resident() {
        if page.busy().is_exclusive() {
            return Room::Busy(page);
        }
        if page.is_valid() {
            return Room::Taken;
        }
        // What a fault left behind that gave up.
        let Some(page) = page.try_exclusive() else { return Room::Busy(page) };
        if page.is_valid() {
            return Room::Taken;
        }
        upper.index.set(place, content.with_page(None));
        page.free();
    }
    if content.swapped().is_some() {
        return Room::Taken;
    }
    match upper.index.prepare(place) {
        Ok(()) => Room::Free,
        Err(_) => Room::OutOfMemory,
    }
}

/// Frees what an object has at a place: the page, which the caller has exclusively, and the slot. The object's
/// lock is held for writing.
pub(crate) fn discard(object: &ObjectRef, place: u64, content: Content, page: Option<Exclusive>) {
    object.index.set(place, Content::NOTHING);
    if let Some(slot) = content.swapped() {
        Vm::current().swap.free(slot);
    }
    if let Some(page) = page {
        page.free();
    }
}

/// The upper object takes the lower one's place, which is empty and over. Both locks are held.
fn take_place(
    upper: &ObjectRef,
    above: &mut Shape,
    lower: &ObjectRef,
    below: &mut Shape,
    may_fault: &mut MayFault,
) {
    above.backing = below.backing.take();
    above.backing_offset += below.backing_offset;
    if let Some(backing) = &above.backing {
        let mut shape = backing.write(may_fault);
        remove_shadow(&mut shape, lower);
        add_shadow(&mut shape, upper);
    }
    remove_shadow(below, upper);
    lower.set_references(below, 0);
    lower.end(below);
}

/// Whether the upper object hides everything that the lower one has within its reach. Both locks are held.
fn is_shadowed(upper: &ObjectRef, above: &Shape, lower: &ObjectRef) -> bool {
    if history::has(Bug::Cow2019) && is_full(upper, above) {
        return true;
    }
    let mut from = above.backing_offset;
    while let Some((place, content)) = lower.index.next(from) {
        let Some(place_above) = place_above(above, place) else { return true };
        if let Some(page) = content.resident() {
            // A fault may be about to map it, or to put a copy of it above.
            if page.busy().is_exclusive() && !history::has(Bug::Cow2019) || !page.is_valid() {
                return false;
            }
        }
        let content = upper.index.get(place_above);
        let is_hidden = match content.resident() {
            Some(page) => page.is_valid() && !page.busy().is_exclusive(),
            None => content.swapped().is_some(),
        };
        if !is_hidden {
            return false;
        }
        from = place + 1;
    }
    true
}

/// Whether an object has as many pages as it has room for: no proof of anything, as pages may be busy.
fn is_full(object: &ObjectRef, shape: &Shape) -> bool {
    let (mut count, mut from) = (0, 0);
    while let Some((place, content)) = object.index.next(from) {
        count += u64::from(content.resident().is_some());
        from = place + 1;
    }
    count == shape.pages
}

/// The upper object looks past the lower one from now on. Both locks are held.
fn bypass(upper: &ObjectRef, above: &mut Shape, below: &mut Shape, may_fault: &mut MayFault) {
    if let Some(backing) = &below.backing {
        let mut shape = backing.write(may_fault);
        let references = shape.references + 1;
        backing.set_references(&mut shape, references);
        add_shadow(&mut shape, upper);
    }
    above.backing_offset += below.backing_offset;
    let lower = core::mem::replace(&mut above.backing, below.backing.clone());
    remove_shadow(below, upper);
    let references = below.references - 1;
    if let Some(lower) = lower {
        lower.set_references(below, references);
    }
}

/// An object's place in a [`CollapseList`].
pub(crate) struct ToCollapse {
    /// It is in somebody's list.
    listed: AtomicBool,
    /// The next in the list; whoever has listed it writes.
    next: SharedCell<Option<ObjectRef>>,
}

// SAFETY: `next` belongs to the one who has set `listed`.
unsafe impl Sync for ToCollapse {}

impl ToCollapse {
    pub(crate) fn new() -> ToCollapse {
        ToCollapse { listed: AtomicBool::new(false), next: SharedCell::new(None) }
    }
}

/// Objects whose chains are to be looked at. A list through the objects, as collapsing allocates nothing.
#[derive(Default)]
struct CollapseList(Option<ObjectRef>);

impl CollapseList {
    /// Adds an object, unless it is in somebody's list: who takes it from there looks later than now.
    fn push(&mut self, object: ObjectRef) {
        if object.to_collapse.listed.swap(true, Ordering::Acquire) {
            return;
        }
        // SAFETY: listed by us.
        *unsafe { object.to_collapse.next.access() } = self.0.take();
        self.0 = Some(object);
    }

    fn pop(&mut self) -> Option<ObjectRef> {
        let object = self.0.take()?;
        // SAFETY: listed by us.
        self.0 = unsafe { object.to_collapse.next.access() }.take();
        object.to_collapse.listed.store(false, Ordering::Release);
        Some(object)
    }
}
