//! Slabs: objects of one type, made from pages, in constant time and without a general heap.
//!
//! An object on its way:
//!
//! ```text
//! page source <-> pages with free places <-> depot: full magazines <-> two magazines per processor
//!                 `---------- behind the slab's lock -----------'      at level 13, no lock
//! ```
//!
//! Nothing moves left by itself: a freed object stays in a magazine until it is allocated again or
//! until [`Slab::reclaim`] is called because memory is short.
//!
//! Invariants:
//! - a place is with a user, in one magazine, or free in its page, and in no two of these;
//! - a page is in the list of pages with free places exactly if it has any; a page whose places are
//!   all free goes back to the source at once;
//! - freeing needs no memory and cannot fail.
//!
//! Bonwick, *The Slab Allocator*, 1994; Bonwick and Adams, *Magazines and Vmem*, 2001.

use crate::OutOfMemory;
use crate::magazine::{FullMagazines, Magazine, Magazines};
use crate::page_source::PageSource;
use crate::per_cpu::PerCpu;
use crate::slab_page::{Place, SlabPage};
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use machine::{Pil, SpinLock, pil};

/// How much of a slab is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlabCounts {
    /// Objects that are with users. Exact while nobody allocates or frees.
    pub live: u64,
    /// Pages that the slab has from its source.
    pub pages: usize,
    /// Objects that fit into a page.
    pub per_page: usize,
}

/// Makes objects of type `T`. See the module.
pub struct Slab<T: 'static> {
    source: &'static dyn PageSource,
    /// The number is how many objects are with users.
    magazines: PerCpu<Magazines<T>>,
    depot: SpinLock<Depot<T>, 13>,
}

/// What processors share.
struct Depot<T: 'static> {
    full: FullMagazines<T>,
    /// The first of the pages that have free places.
    partial: Option<SlabPage<T>>,
    pages: usize,
}

impl<T> Slab<T> {
    /// A slab without pages. `T` has to fit into a page: otherwise this does not compile.
    pub fn new(source: &'static dyn PageSource) -> Slab<T> {
        const { assert!(SlabPage::<T>::CAPACITY > 0) };
        Slab {
            source,
            magazines: PerCpu::new(|| Magazines::EMPTY),
            depot: SpinLock::new(Depot { full: FullMagazines::NONE, partial: None, pages: 0 }),
        }
    }

    /// Makes an object. If there is no memory for it, the value comes back.
    #[inline]
    pub fn allocate(&'static self, value: T) -> Result<SlabBox<T>, (OutOfMemory, T)> {
        match self.take() {
            // SAFETY: `take` has just returned the place.
            Ok(place) => Ok(unsafe { SlabBox::fill(place, value) }),
            Err(error) => Err((error, value)),
        }
    }

    /// Makes an object; `value` is not called if there is no memory for it.
    #[inline]
    pub fn allocate_with(
        &'static self,
        value: impl FnOnce() -> T,
    ) -> Result<SlabBox<T>, OutOfMemory> {
        let place = Unfilled(self.take()?);
        let value = value();
        // SAFETY: `take` has just returned the place.
        Ok(unsafe { SlabBox::fill(place.into_place(), value) })
    }

    /// Gives back the pages of which nothing is in use; what lies in the magazines of other
    /// processors counts as in use. Returns how many pages the source got back.
    pub fn reclaim(&'static self) -> usize {
        let mut given = {
            let level = pil::raise_anywhere(Pil::SPIN_MAX);
            // SAFETY: the only access in this section.
            let mut magazines = unsafe { self.magazines.access(&level) };
            let mut depot = self.depot.lock_within(level.atomic());
            magazines.unload().map(|magazine| depot.empty(magazine, self.source)).iter().sum()
        };
        // One magazine at a time: nobody waits for the lock, and no interrupt is held back, for long.
        loop {
            let mut depot = self.depot.lock_anywhere();
            let Some(magazine) = depot.full.pop() else { return given };
            given += depot.empty(magazine, self.source);
        }
    }

    /// How much is in use.
    pub fn counts(&self) -> SlabCounts {
        let pages = self.depot.lock_anywhere().pages;
        SlabCounts { live: self.magazines.sum(), pages, per_page: SlabPage::<T>::CAPACITY }
    }

    /// Takes a place: free, and the caller's alone.
    #[inline]
    fn take(&'static self) -> Result<Place<T>, OutOfMemory> {
        let place = {
            let level = pil::raise_anywhere(Pil::SPIN_MAX);
            // SAFETY: the only access in this section.
            let mut magazines = unsafe { self.magazines.access(&level) };
            let place = match magazines.pop() {
                Some(place) => place,
                None => {
                    let magazine = self.depot.lock_within(level.atomic()).magazine(self)?;
                    magazines.load(magazine);
                    magazines.pop().ok_or(OutOfMemory)?
                }
            };
            self.magazines.add(&level, 1);
            place
        };
        // SAFETY: free places have been made so, and this one is ours.
        unsafe { place.check_poison() };
        Ok(place)
    }

    /// Puts a place back.
    ///
    /// # Safety
    ///
    /// The place is one of this slab's, its object has been dropped, and it is the caller's alone.
    #[inline]
    unsafe fn put(&'static self, place: Place<T>) {
        // SAFETY: the caller's promise.
        unsafe { place.make_free() };
        let level = pil::raise_anywhere(Pil::SPIN_MAX);
        // SAFETY: the only access in this section.
        let mut magazines = unsafe { self.magazines.access(&level) };
        if let Some(magazine) = magazines.make_room() {
            self.depot.lock_within(level.atomic()).full.push(magazine);
        }
        // SAFETY: made free above, and ours.
        unsafe { magazines.push(place) };
        self.magazines.add(&level, -1);
    }
}

impl<T> Depot<T> {
    /// A magazine with at least one place in it: a full one if there is one, or else filled from
    /// pages, with a new page only if no other has a free place.
    #[cold]
    fn magazine(&mut self, slab: &'static Slab<T>) -> Result<Magazine<T>, OutOfMemory> {
        if let Some(magazine) = self.full.pop() {
            return Ok(magazine);
        }
        if self.partial.is_none() {
            let memory = slab.source.allocate_page()?;
            // SAFETY: the source has given the page to us.
            let page = unsafe { SlabPage::new(memory, slab) };
            self.pages += 1;
            self.link(page);
        }
        let mut magazine = Magazine::EMPTY;
        while let Some(page) = self.partial
            && !magazine.is_full()
        {
            // SAFETY: we have the lock, and a page in the list has a free place.
            let place = unsafe { page.take() };
            // SAFETY: just taken.
            unsafe { magazine.push(place) };
            // SAFETY: we have the lock.
            if unsafe { page.state() }.free_count == 0 {
                self.unlink(page);
            }
        }
        Ok(magazine)
    }

    /// Returns what is in a magazine to the pages, and pages that are all free to the source. Returns
    /// how many those were.
    fn empty(&mut self, mut magazine: Magazine<T>, source: &dyn PageSource) -> usize {
        let mut given = 0;
        while let Some(place) = magazine.pop() {
            let page = place.page();
            // SAFETY: we have the lock, and `pop` returns places that are free and ours.
            unsafe { page.put(place) };
            // SAFETY: we have the lock.
            let free_count = unsafe { page.state() }.free_count;
            if free_count == 1 {
                self.link(page);
            }
            if free_count == SlabPage::<T>::CAPACITY {
                self.unlink(page);
                self.pages -= 1;
                given += 1;
                // SAFETY: the source's own page, and all places are back in it.
                unsafe { source.free_page(page.memory()) };
            }
        }
        given
    }

    /// Puts a page into the list.
    fn link(&mut self, page: SlabPage<T>) {
        let next = self.partial.replace(page);
        // SAFETY: we have the lock.
        let state = unsafe { page.state() };
        state.next = next;
        state.previous = None;
        if let Some(next) = next {
            // SAFETY: we have the lock; another page.
            unsafe { next.state() }.previous = Some(page);
        }
    }

    /// Takes a page out of the list.
    fn unlink(&mut self, page: SlabPage<T>) {
        // SAFETY: we have the lock.
        let state = unsafe { page.state() };
        let (previous, next) = (state.previous.take(), state.next.take());
        match previous {
            // SAFETY: we have the lock; another page.
            Some(previous) => unsafe { previous.state() }.next = next,
            None => self.partial = next,
        }
        if let Some(next) = next {
            // SAFETY: we have the lock; another page.
            unsafe { next.state() }.previous = previous;
        }
    }
}

/// A place that goes back if the closure that makes the value panics, as it may in tests.
struct Unfilled<T: 'static>(Place<T>);

impl<T> Unfilled<T> {
    fn into_place(self) -> Place<T> {
        ManuallyDrop::new(self).0
    }
}

impl<T> Drop for Unfilled<T> {
    fn drop(&mut self) {
        // SAFETY: `take` returned the place, and nothing has been put there.
        unsafe { self.0.page().slab().put(self.0) };
    }
}

/// An object of a slab; dropping it gives it back.
pub struct SlabBox<T: 'static> {
    object: NonNull<T>,
    owns: PhantomData<T>,
}

// SAFETY: it owns its object, as a `Box` does.
unsafe impl<T: Send> Send for SlabBox<T> {}
// SAFETY: likewise.
unsafe impl<T: Sync> Sync for SlabBox<T> {}

impl<T> SlabBox<T> {
    /// # Safety
    ///
    /// The place is free and the caller's alone.
    #[inline]
    unsafe fn fill(place: Place<T>, value: T) -> SlabBox<T> {
        let object = place.object();
        // SAFETY: the caller's promise.
        unsafe { object.write(value) };
        SlabBox { object, owns: PhantomData }
    }

    /// The object, for ever: for objects in memory that keeps its type.
    pub fn leak(self) -> &'static T {
        let object = self.into_raw();
        // SAFETY: nobody drops the object any more.
        unsafe { object.as_ref() }
    }

    /// The object itself; its place goes back.
    pub fn into_inner(self) -> T {
        let object = self.into_raw();
        // SAFETY: the box owned the object, and nobody drops it there any more.
        let value = unsafe { object.read() };
        // SAFETY: the object came from a place.
        let place = unsafe { Place::of(object) };
        // SAFETY: the object has just been moved out, and the box owned the place.
        unsafe { place.page().slab().put(place) };
        value
    }

    /// The object, whose owner the caller becomes; [`SlabBox::from_raw`] takes it back.
    #[inline]
    pub fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).object
    }

    /// Takes an object back.
    ///
    /// # Safety
    ///
    /// `object` is what [`SlabBox::into_raw`] returned, not a pointer made from a reference; it has
    /// not been taken back since, and no reference to it lives.
    #[inline]
    pub unsafe fn from_raw(object: NonNull<T>) -> SlabBox<T> {
        SlabBox { object, owns: PhantomData }
    }
}

impl<T> Deref for SlabBox<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the object is there as long as the box.
        unsafe { self.object.as_ref() }
    }
}

impl<T> DerefMut for SlabBox<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the box is borrowed for writing.
        unsafe { self.object.as_mut() }
    }
}

impl<T> Drop for SlabBox<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: dropped once, here.
        unsafe { self.object.drop_in_place() };
        // SAFETY: the object came from a place.
        let place = unsafe { Place::of(self.object) };
        // SAFETY: the object has just been dropped, and the box owned it.
        unsafe { place.page().slab().put(place) };
    }
}

impl<T: fmt::Debug> fmt::Debug for SlabBox<T> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, to)
    }
}
