//! Objects: memory that can be mapped, independent of where.
//!
//! | kind | where its pages come from |
//! |---|---|
//! | anonymous | zeros, or swap space |
//! | file | a file |
//! | device | fixed frames, which are nobody's to give away |
//!
//! An anonymous object may stand in front of another one, its *backing object*, as its *shadow*: what the shadow
//! has not got is looked for in the backing object, shifted by an offset. Copy-on-write makes shadows
//! ([`crate::shadow`]), and exits leave chains of them behind that have to be shortened again
//! ([`crate::collapse`]).
//!
//! # Counts
//!
//! *References* are the map entries that map the object and the shadows in front of it. When the last one goes,
//! the object is over ([`crate::shadow::release`]). *Holds* ([`ObjectRef`]) keep nothing but the memory of the
//! object: a fault that has let go of the map's lock has one. Each reference has a hold.
//!
//! # Locks
//!
//! The object's lock protects its shape and its index ([`crate::index`]). Two rules:
//!
//! 1. *Hand over hand.* Who goes down a chain takes the lock of the next object, for writing, before letting go
//!    of the one that it is in. So those who go down one chain cannot overtake each other: who looks at a page
//!    far down after somebody else has looked at the same places sees what that one did there, or finds the
//!    page busy. (A fault whose object has no backing object and no shadows needs the lock for reading only.)
//! 2. *Down, never up.* An object's lock is taken with the lock of an object above it in the chain held, never
//!    the other way round.
//!
//! Mach: `vm_object`; Rashid and others, *Machine-Independent Virtual Memory Management*, 1987.

use crate::Vm;
use crate::collapse::ToCollapse;
use crate::index::Index;
use crate::page::Page;
use crate::store::File;
use atomics::{AtomicBool, AtomicU32, Ordering, fence};
use core::fmt;
use core::mem::{self, ManuallyDrop};
use core::ops::Deref;
use core::ptr::NonNull;
use dispatch::{MayBlock, RwLock, RwReadGuard, RwWriteGuard, WaitChannel};
use memory::{FrameNumber, OutOfMemory, SlabBox};

/// Most pages of an object.
pub const PLACES_MAX: u64 = crate::index::PLACES_MAX;

/// Where an object's pages come from.
#[derive(Clone, Copy)]
pub enum Kind {
    /// Zeros, or swap space.
    Anonymous,
    /// A file.
    File(&'static File),
    /// Frames from this one on, as many as the object has pages.
    Device(FrameNumber),
}

impl Kind {
    /// Whether it is anonymous memory.
    #[inline]
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Kind::Anonymous)
    }
}

/// What an object is made of, beside its pages. Under the object's lock.
pub struct Shape {
    /// Pages that it has room for.
    pub pages: u64,
    /// What it is the shadow of.
    pub backing: Option<ObjectRef>,
    /// The backing object's place of this object's first.
    pub backing_offset: u64,
    /// Map entries and shadows.
    pub references: u32,
    /// How many of the references are shadows.
    pub shadows: u32,
    /// The addresses of all shadows, combined by exclusive or: of a single one, its address.
    pub(crate) shadows_combined: usize,
    /// It is being merged with the object above or below it: no other merge may begin.
    pub(crate) merging: bool,
    /// Its last reference is gone.
    pub(crate) over: bool,
}

/// Whether each place of an object is reached in one way at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// In one at most: the references, if there are several, are parts of what once was one entry, or shadows of such
    /// parts, each with places of its own.
    Once,
    /// There may be several ways to a place: through entries of several maps, or through shadows.
    Often,
}

/// An object. See the module.
pub struct Object {
    /// See [`Object::number`].
    number: u64,
    kind: Kind,
    /// See [`Shape::pages`], which does not change.
    pages: u64,
    lock: RwLock<Shape>,
    pub(crate) index: Index,
    holds: AtomicU32,
    /// References, readable without the lock.
    references: AtomicU32,
    /// See [`Mapped`]. Set under the lock.
    mapped_often: AtomicBool,
    /// Transfers from or to a device that are under way: paging in progress.
    paging: AtomicU32,
    /// [`Shape::merging`], readable without the lock.
    merging: AtomicBool,
    /// Woken when no transfer is under way any more, and when a merge is over.
    changed: WaitChannel,
    pub(crate) to_collapse: ToCollapse,
}

impl Object {
    /// An anonymous object with room for so many pages, one reference, nothing in it.
    pub fn anonymous(pages: u64) -> Result<ObjectRef, OutOfMemory> {
        Object::make(Kind::Anonymous, pages)
    }

    /// An object of any kind.
    pub fn make(kind: Kind, pages: u64) -> Result<ObjectRef, OutOfMemory> {
        let shape = Shape {
            pages,
            backing: None,
            backing_offset: 0,
            references: 1,
            shadows: 0,
            shadows_combined: 0,
            merging: false,
            over: false,
        };
        let object = Vm::current().objects.allocate_with(|| Object {
            number: Vm::current().objects_made.fetch_add(1, Ordering::Relaxed) + 1,
            kind,
            pages,
            lock: RwLock::new(shape),
            index: Index::new(),
            holds: AtomicU32::new(1),
            references: AtomicU32::new(1),
            mapped_often: AtomicBool::new(!kind.is_anonymous()),
            paging: AtomicU32::new(0),
            merging: AtomicBool::new(false),
            changed: WaitChannel::new(),
            to_collapse: ToCollapse::new(),
        })?;
        if kind.is_anonymous() {
            Vm::current().census.anonymous_objects.add(1);
        }
        Ok(ObjectRef(object.into_raw()))
    }

    /// Its number, from 1: for people who look at it, as no other object ever has the same.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Where its pages come from.
    #[inline]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File(_))
    }

    /// How many pages it was made for.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Its lock, for reading.
    #[inline]
    pub(crate) fn read(&self, may_block: &mut impl MayBlock) -> RwReadGuard<'_, Shape> {
        self.lock.read_noting(|| Vm::current().census.object_waits.note(), may_block)
    }

    /// Its lock, for writing.
    #[inline]
    pub(crate) fn write(&self, may_block: &mut impl MayBlock) -> RwWriteGuard<'_, Shape> {
        self.lock.write_noting(|| Vm::current().census.object_waits.note(), may_block)
    }

    /// How many references it has, at this moment. Who maps it by an entry of a map that is locked, and
    /// reads 1, knows that nobody else will come: only that entry could be copied.
    #[inline]
    pub fn references(&self) -> u32 {
        self.references.load(Ordering::Relaxed)
    }

    /// Whether each place is mapped once at most. Who maps it by an entry of a map that is locked, and hears
    /// that, knows that it stays so: only a copy of that entry could change it.
    #[inline]
    pub(crate) fn mapped(&self) -> Mapped {
        if self.references() != 1 && self.mapped_often.load(Ordering::Relaxed) {
            Mapped::Often
        } else {
            Mapped::Once
        }
    }

    /// A further reference leads to places that have one already, or none does. The lock for writing is held.
    pub(crate) fn note_mapped_often(&self, often: bool) {
        self.mapped_often.store(often || !self.kind.is_anonymous(), Ordering::Relaxed);
    }

    /// Changes the count of references. The lock for writing is held.
    pub(crate) fn set_references(&self, shape: &mut Shape, references: u32) {
        shape.references = references;
        self.references.store(references, Ordering::Relaxed);
    }

    /// Its last reference is gone. The lock for writing is held.
    pub(crate) fn end(&self, shape: &mut Shape) {
        shape.over = true;
        if self.kind.is_anonymous() {
            Vm::current().census.anonymous_objects.add(-1);
        }
    }

    /// A transfer from or to a device begins.
    pub(crate) fn begin_paging(&self) {
        self.paging.fetch_add(1, Ordering::Relaxed);
    }

    /// It is over.
    pub(crate) fn end_paging(&self) {
        let before = self.paging.fetch_sub(1, Ordering::Release);
        debug_assert!(before != 0, "a transfer ends that has not begun");
        if before == 1 {
            self.changed.wake_all();
        }
    }

    /// How many transfers are under way.
    pub fn paging(&self) -> u32 {
        self.paging.load(Ordering::Acquire)
    }

    /// Waits until no transfer is under way.
    pub(crate) fn wait_for_paging(&self, may_block: &mut impl MayBlock) {
        while self.paging() != 0 {
            self.changed.sleep_while(|| self.paging() != 0, may_block);
        }
    }

    /// It begins or ends to be merged with a neighbour in its chain. The lock for writing is held.
    pub(crate) fn set_merging(&self, shape: &mut Shape, merging: bool) {
        shape.merging = merging;
        self.merging.store(merging, Ordering::Release);
        if !merging {
            self.changed.wake_all();
        }
    }

    /// Waits until it is not being merged; it may be again when the caller looks. No object's lock is held.
    pub(crate) fn wait_for_merge(&self, may_block: &mut impl MayBlock) {
        self.changed.sleep_while(|| self.merging.load(Ordering::Acquire), may_block);
    }

    /// The resident pages that it has at a range of places, and the pages that are in swap space only, counted one by
    /// one.
    pub fn count_pages(
        &self,
        places: core::ops::Range<u64>,
        may_block: &mut impl MayBlock,
    ) -> (u64, u64) {
        let _shape = self.read(may_block);
        self.count_in(places)
    }

    /// The same; the object's lock is held.
    pub(crate) fn count_in(&self, places: core::ops::Range<u64>) -> (u64, u64) {
        let (mut resident, mut swapped, mut from) = (0, 0, places.start);
        while let Some((place, content)) =
            self.index.next(from).filter(|(place, _)| *place < places.end)
        {
            match content.resident() {
                Some(_) => resident += 1,
                None => swapped += u64::from(content.swapped().is_some()),
            }
            from = place + 1;
        }
        (resident, swapped)
    }

    /// Whether it has nothing at a place, neither in memory nor in swap space.
    pub(crate) fn is_empty_at(&self, place: u64, may_block: &mut impl MayBlock) -> bool {
        let _shape = self.read(may_block);
        self.index.get(place).is_nothing()
    }

    /// The only reference, of an object in which there has never been anything, is not wanted after all.
    pub(crate) fn give_up(&self) {
        self.references.store(0, Ordering::Relaxed);
        if self.kind.is_anonymous() {
            Vm::current().census.anonymous_objects.add(-1);
        }
    }

    /// The resident page at a place. Its identity may change as soon as the lock is free.
    pub fn resident(&self, place: u64, may_block: &mut impl MayBlock) -> Option<&'static Page> {
        let _shape = self.read(may_block);
        self.index.get(place).resident()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Anonymous => "anonymous",
            Kind::File(_) => "file",
            Kind::Device(_) => "device",
        };
        write!(to, "{kind} object {self:p}")
    }
}

/// A hold on an object. See the module.
pub struct ObjectRef(NonNull<Object>);

// SAFETY: objects may be used by many threads, and holds are counted atomically.
unsafe impl Send for ObjectRef {}
// SAFETY: likewise.
unsafe impl Sync for ObjectRef {}

impl ObjectRef {
    /// A hold on an object that is known to live, by its address.
    ///
    /// # Safety
    ///
    /// There is an object, and somebody has a hold on it for as long as this takes.
    pub(crate) unsafe fn of_address(address: usize) -> ObjectRef {
        let pointer = core::ptr::with_exposed_provenance_mut::<Object>(address);
        let object = NonNull::new(pointer).expect("the address of an object");
        // SAFETY: the caller's promise.
        unsafe { object.as_ref() }.holds.fetch_add(1, Ordering::Relaxed);
        ObjectRef(object)
    }

    /// Whether both hold the same object.
    #[inline]
    pub fn is(&self, other: &ObjectRef) -> bool {
        self.0 == other.0
    }

    /// The address of the object, to be turned back by [`ObjectRef::of_address`].
    pub(crate) fn expose(&self) -> usize {
        self.0.as_ptr().expose_provenance()
    }
}

impl Deref for ObjectRef {
    type Target = Object;

    #[inline]
    fn deref(&self) -> &Object {
        // SAFETY: the object lives as long as somebody has a hold on it.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for ObjectRef {
    #[inline]
    fn clone(&self) -> ObjectRef {
        self.holds.fetch_add(1, Ordering::Relaxed);
        ObjectRef(self.0)
    }
}

impl Drop for ObjectRef {
    #[inline]
    fn drop(&mut self) {
        if self.holds.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            free(self.0);
        }
    }
}

/// Gives the memory of an object back on which nobody has a hold.
#[cold]
fn free(object: NonNull<Object>) {
    // SAFETY: made from a box by `Object::make`, and nobody has it any more.
    let object = unsafe { SlabBox::from_raw(object) };
    debug_assert!(
        object.references() == 0 || machine::is_unwinding(),
        "an object goes while it is referred to"
    );
}

/// An object and its lock, held for writing: for those who go down a chain and own nothing but the place where
/// they are.
pub(crate) struct Locked {
    /// Released first.
    shape: ManuallyDrop<RwWriteGuard<'static, Shape>>,
    object: ObjectRef,
}

impl Locked {
    /// Takes an object's lock.
    pub(crate) fn new(object: ObjectRef, may_block: &mut impl MayBlock) -> Locked {
        let shape = object.write(may_block);
        // SAFETY: the object lives as long as `object` has a hold on it, and `drop` releases the lock before
        // that ends.
        let shape = unsafe {
            mem::transmute::<RwWriteGuard<'_, Shape>, RwWriteGuard<'static, Shape>>(shape)
        };
        Locked { shape: ManuallyDrop::new(shape), object }
    }

    /// The object.
    pub(crate) fn object(&self) -> &ObjectRef {
        &self.object
    }
}

impl Deref for Locked {
    type Target = Shape;

    fn deref(&self) -> &Shape {
        &self.shape
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: dropped once, here.
        unsafe { ManuallyDrop::drop(&mut self.shape) };
    }
}

impl fmt::Debug for ObjectRef {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, to)
    }
}
