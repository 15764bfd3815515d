//! Shadows: making one, referring to an object, and letting go of it.
//!
//! ```text
//!  entry      entry                entry   entry
//!    │          │                    │       │
//!    ▼          ▼      write         ▼       ▼  the copy; everything else is looked for below
//!    └──►  O  ◄─┘     ─────►         O  ◄──  S
//! ```
//!
//! After a fork both processes' entries lead to the same object, marked *needs copy*. The first write through
//! such an entry puts a shadow in front of the object, for that entry alone; the pages that are written are
//! copied into the shadow, one by one.
//!
//! Mach: `vm_object_shadow`, `vm_object_deallocate`.

use crate::Vm;
use crate::collapse::{self, discard};
use crate::entry::Entry;
use crate::object::{Locked, Mapped, Object, ObjectRef, Shape};
use crate::page::{Page, wait};
use dispatch::MayBlock;
use machine::MayFault;

/// How many places are emptied before the locks are let go of once, for others to get through.
const BATCH: u32 = 128;

/// One more map entry refers to the object.
pub(crate) fn refer(object: &ObjectRef, mapped: Mapped, may_block: &mut impl MayBlock) {
    let mut shape = object.write(may_block);
    match mapped {
        Mapped::Often => object.note_mapped_often(true),
        // Whoever else there was is gone, and the only way in is the entry that is being cut.
        Mapped::Once if shape.references == 1 => object.note_mapped_often(false),
        Mapped::Once => {}
    }
    let references = shape.references + 1;
    object.set_references(&mut shape, references);
    count_entry(object, 1);
}

/// Another reference to an object that somebody else refers to already: for one more entry
/// ([`Space::insert`](crate::Space::insert)), or to keep it.
pub fn another(object: &ObjectRef, may_fault: &mut MayFault) -> ObjectRef {
    let mut shape = object.write(may_fault);
    object.note_mapped_often(true);
    let references = shape.references + 1;
    object.set_references(&mut shape, references);
    drop(shape);
    object.clone()
}

/// One map entry less refers to the object, and another one still does.
pub(crate) fn unrefer(object: &ObjectRef, may_block: &mut impl MayBlock) {
    let mut shape = object.write(may_block);
    let references = shape.references - 1;
    debug_assert!(references != 0, "the last reference goes by `release`");
    object.set_references(&mut shape, references);
    count_entry(object, -1);
}

/// Keeps the count of entries that refer to anonymous objects.
pub(crate) fn count_entry(object: &ObjectRef, difference: i64) {
    if object.kind().is_anonymous() {
        Vm::current().census.anonymous_entries.add(difference);
    }
}

/// What a writer gets ([`make`]).
pub(crate) enum Writable {
    /// A shadow, in front of the object.
    Shadow(ObjectRef),
    /// The object itself: nobody else has it any more.
    Same(ObjectRef),
    /// There is no memory for a shadow; the object as it was.
    OutOfMemory(ObjectRef),
}

/// Puts a shadow of `pages` pages in front of an object, whose place `offset` is the shadow's first. The
/// caller's reference to the object becomes the shadow's; the caller gets the one to the shadow. An object that
/// nobody else refers to needs none; that is looked at under its lock, for who refers to it may be letting go.
pub(crate) fn make(
    object: ObjectRef,
    offset: u64,
    pages: u64,
    may_fault: &mut MayFault,
) -> Writable {
    let mut below = object.write(may_fault);
    if object.kind().is_anonymous() && below.references == 1 {
        drop(below);
        return Writable::Same(object);
    }
    let Ok(shadow) = Object::anonymous(pages) else {
        drop(below);
        return Writable::OutOfMemory(object);
    };
    // Nobody knows the shadow yet, so the order of the locks is free.
    let mut shape = shadow.write(may_fault);
    add_shadow(&mut below, &shadow);
    drop(below);
    shape.backing_offset = offset;
    shape.backing = Some(object);
    drop(shape);
    Vm::current().census.shadows_made.add(1);
    Writable::Shadow(shadow)
}

/// One of the references to an object is a shadow's from now on. The object's lock is held for writing.
pub(crate) fn add_shadow(shape: &mut Shape, shadow: &ObjectRef) {
    shape.shadows += 1;
    shape.shadows_combined ^= shadow.expose();
}

/// It is no longer.
pub(crate) fn remove_shadow(shape: &mut Shape, shadow: &ObjectRef) {
    shape.shadows -= 1;
    shape.shadows_combined ^= shadow.expose();
}

/// The shadow that has the only reference to an object. The object's lock is held.
pub(crate) fn sole_shadow(shape: &Shape) -> Option<ObjectRef> {
    (shape.references == 1 && shape.shadows == 1).then(|| {
        // SAFETY: a shadow takes its address out, under the lock that is held, before it goes; and of one
        // address the combination is the address itself.
        unsafe { ObjectRef::of_address(shape.shadows_combined) }
    })
}

/// Lets go of a reference that a map entry had. With the last one the object is over: its pages and slots are
/// freed, and it lets go of its backing object. Where an object is left to a single shadow, the two become one.
///
/// The caller holds no lock that a fault takes.
pub fn release(object: ObjectRef, may_fault: &mut MayFault) {
    count_entry(&object, -1);
    // The object, and the shadow whose reference it is, if it is not an entry's.
    let mut next = Some((object, None));
    while let Some((object, shadow)) = next.take() {
        let mut shape = object.write(may_fault);
        if let Some(shadow) = &shadow {
            remove_shadow(&mut shape, shadow);
        }
        let references = shape.references - 1;
        object.set_references(&mut shape, references);
        if references != 0 {
            let sole = sole_shadow(&shape);
            drop(shape);
            if let Some(sole) = sole {
                collapse::collapse(&sole, may_fault);
            }
            return;
        }
        object.end(&mut shape);
        drop(shape);
        next = end(&object, may_fault).map(|backing| (backing, Some(object)));
    }
}

/// Frees what an object has at a range of places that nobody can reach any more.
pub(crate) fn empty(object: &ObjectRef, places: core::ops::Range<u64>, may_fault: &mut MayFault) {
    let mut from = places.start;
    loop {
        let shape = object.write(may_fault);
        let emptied = empty_some(object, &mut from, places.end);
        drop(shape);
        match emptied {
            Emptied::Busy(page) => wait(page, may_fault),
            Emptied::More => {}
            Emptied::Done => return,
        }
    }
}

/// Whether what an object has is seen through one entry only, and hides nothing but what the program asked for: so that
/// its pages can go, and zeros are in their place, or what a file has. The lock of that entry's map is held for writing,
/// so that it stays so.
///
/// There may be shadows: of other parts of what once was one entry, so they see other places.
pub(crate) fn is_seen_once(object: &ObjectRef, may_block: &mut impl MayBlock) -> bool {
    let shape = object.read(may_block);
    let once = object.kind().is_anonymous() && object.mapped() == Mapped::Once;
    once && shape.backing.as_ref().is_none_or(|backing| !backing.kind().is_anonymous())
}

/// Where the first places of a range end of which an object has something: as many as are emptied at a time, or fewer if
/// that is all. The lock of the map is held for writing: nobody brings more than what is on its way.
pub(crate) fn end_of_batch(
    object: &ObjectRef,
    places: core::ops::Range<u64>,
    may_block: &mut impl MayBlock,
) -> u64 {
    let _shape = object.read(may_block);
    let mut from = places.start;
    for _ in 0..BATCH {
        match object.index.next(from).filter(|(place, _)| *place < places.end) {
            Some((place, _)) => from = place + 1,
            None => return places.end,
        }
    }
    from
}

/// Frees what such an object has at such a range of places, which is mapped nowhere, up to a page that is busy. Returns
/// that page.
pub(crate) fn try_empty(
    object: &ObjectRef,
    places: core::ops::Range<u64>,
    may_fault: &mut MayFault,
) -> Option<&'static Page> {
    let _shape = object.write(may_fault);
    let mut from = places.start;
    loop {
        match empty_some(object, &mut from, places.end) {
            Emptied::Busy(page) => return Some(page),
            Emptied::More => {}
            Emptied::Done => return None,
        }
    }
}

/// How many pages of anonymous memory an entry leads to, down its chain: resident, and in swap space only.
pub(crate) fn count_pages(entry: &Entry, may_block: &mut impl MayBlock) -> (u64, u64) {
    let mut pages = (0, 0);
    let mut first = entry.offset;
    let mut next = entry.object.clone().map(|object| Locked::new(object, may_block));
    while let Some(here) = next.filter(|here| here.object().kind().is_anonymous()) {
        let (resident, swapped) = here.object().count_in(first..first + entry.pages());
        pages = (pages.0 + resident, pages.1 + swapped);
        first += here.backing_offset;
        // Hand over hand: the lock above is let go of after that.
        next = here.backing.clone().map(|below| Locked::new(below, may_block));
    }
    pages
}

/// What lies at the bottom of an object's chain and is no anonymous memory, if such is there, and the place in it of one
/// of the object's. It stays there while somebody refers to the object.
pub(crate) fn bottom(
    object: &ObjectRef,
    mut place: u64,
    may_block: &mut impl MayBlock,
) -> Option<(ObjectRef, u64)> {
    let mut here = Locked::new(object.clone(), may_block);
    while let Some(next) = here.backing.clone() {
        place += here.backing_offset;
        // Hand over hand: the lock above is let go of after that.
        here = Locked::new(next, may_block);
    }
    let found = here.object().clone();
    (!found.kind().is_anonymous()).then_some((found, place))
}

/// Takes the pages of a file out of memory that nobody maps, wires or has busy: they can be read again.
pub fn forget_clean(object: &ObjectRef, may_fault: &mut MayFault) {
    let _shape = object.write(may_fault);
    let mut from = 0;
    while let Some((place, content)) = object.index.next(from) {
        from = place + 1;
        let Some(page) = content.resident().and_then(Page::try_exclusive) else { continue };
        if page.mappings.count() == 0 && page.wired() == 0 && !page.is_dirty() {
            object.index.set(place, content.with_page(None));
            page.free();
        }
    }
}

/// What a look through the places of an object came to that are to be emptied.
enum Emptied {
    /// Nothing is left there.
    Done,
    /// There may be more; the lock may be let go of.
    More,
    /// This page has to become less busy first, with no lock held.
    Busy(&'static Page),
}

/// Frees what an object has from a place on, up to a page that is busy, or to the end of a batch. The lock for writing
/// is held.
fn empty_some(object: &ObjectRef, from: &mut u64, end: u64) -> Emptied {
    for _ in 0..BATCH {
        let Some((place, content)) = object.index.next(*from).filter(|(place, _)| *place < end)
        else {
            return Emptied::Done;
        };
        match content.resident().map(|page| page.try_exclusive().ok_or(page)) {
            Some(Err(page)) => return Emptied::Busy(page),
            Some(Ok(page)) => discard(object, place, content, Some(page)),
            None => discard(object, place, content, None),
        }
        *from = place + 1;
    }
    Emptied::More
}

/// Frees everything that an object has which nobody refers to any more. Returns its backing object. Faults
/// that are under way may still have pages of it busy; they are waited for, and find out that it is over.
fn end(object: &ObjectRef, may_fault: &mut MayFault) -> Option<ObjectRef> {
    loop {
        let mut shape = object.write(may_fault);
        if shape.merging {
            drop(shape);
            object.wait_for_merge(may_fault);
            continue;
        }
        match empty_some(object, &mut 0, u64::MAX) {
            Emptied::Busy(page) => {
                drop(shape);
                wait(page, may_fault);
            }
            Emptied::More => {}
            Emptied::Done if object.paging() != 0 => {
                drop(shape);
                object.wait_for_paging(may_fault);
            }
            Emptied::Done => return shape.backing.take(),
        }
    }
}
