//! A magazine: up to [`Magazine::SIZE`] free objects that move between a processor and its slab's
//! depot together.
//!
//! It is a chain through the free objects themselves, not an array beside them. So a magazine needs
//! no memory, an empty one is nothing at all, and freeing an object can never fail for want of a
//! magazine to put it into. The price is that taking an object touches it, which whoever asked for
//! it is about to do anyway.

use crate::page_source::PAGE_SIZE;
use crate::slab_page::Place;

/// A chain of free objects, in the order last in, first out.
pub(crate) struct Magazine<T: 'static> {
    first: Option<Place<T>>,
    count: usize,
}

impl<T> Magazine<T> {
    /// When a magazine is full: about two pages' worth, so that large objects do not pile up.
    pub(crate) const SIZE: usize = if cfg!(feature = "loom") {
        2
    } else {
        let fit = 2 * PAGE_SIZE / if size_of::<T>() < 16 { 16 } else { size_of::<T>() };
        if fit < 2 {
            2
        } else if fit > 32 {
            32
        } else {
            fit
        }
    };

    /// Nothing in it.
    pub(crate) const EMPTY: Magazine<T> = Magazine { first: None, count: 0 };

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count >= Self::SIZE
    }

    /// Puts a place in.
    ///
    /// # Safety
    ///
    /// The place is free and the caller's alone, and becomes the magazine's.
    #[inline]
    pub(crate) unsafe fn push(&mut self, place: Place<T>) {
        // SAFETY: the caller's promise.
        unsafe { place.links() }.next = self.first;
        self.first = Some(place);
        self.count += 1;
    }

    /// Takes a place out: free, and the caller's alone.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Place<T>> {
        let place = self.first?;
        // SAFETY: places in a magazine are free and the magazine's alone.
        self.first = unsafe { place.links() }.next;
        self.count -= 1;
        Some(place)
    }
}

/// The two magazines of a processor. With one, a processor that allocates and frees around the
/// point where it is empty or full would go to the depot each time; with two it goes there at most
/// once in [`Magazine::SIZE`] operations.
///
/// Invariant: the previous one is full or empty.
///
/// Bonwick and Adams, *Magazines and Vmem*, 2001.
pub(crate) struct Magazines<T: 'static> {
    loaded: Magazine<T>,
    previous: Magazine<T>,
}

impl<T> Magazines<T> {
    pub(crate) const EMPTY: Magazines<T> =
        Magazines { loaded: Magazine::EMPTY, previous: Magazine::EMPTY };

    /// Takes a place; none if both are empty.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Place<T>> {
        if self.loaded.is_empty() {
            core::mem::swap(&mut self.loaded, &mut self.previous);
        }
        self.loaded.pop()
    }

    /// Loads a magazine; both are empty.
    pub(crate) fn load(&mut self, magazine: Magazine<T>) {
        debug_assert!(self.loaded.is_empty() && self.previous.is_empty());
        self.loaded = magazine;
    }

    /// Makes room for a place. If both are full, the one that comes out goes to the depot.
    #[inline]
    pub(crate) fn make_room(&mut self) -> Option<Magazine<T>> {
        if !self.loaded.is_full() {
            return None;
        }
        let loaded = core::mem::replace(&mut self.loaded, Magazine::EMPTY);
        let out = core::mem::replace(&mut self.previous, loaded);
        (!out.is_empty()).then_some(out)
    }

    /// Puts a place in; [`Magazines::make_room`] came before.
    ///
    /// # Safety
    ///
    /// As for [`Magazine::push`].
    #[inline]
    pub(crate) unsafe fn push(&mut self, place: Place<T>) {
        // SAFETY: the caller's promise.
        unsafe { self.loaded.push(place) };
    }

    /// Takes both out.
    pub(crate) fn unload(&mut self) -> [Magazine<T>; 2] {
        let Magazines { loaded, previous } = core::mem::replace(self, Self::EMPTY);
        [loaded, previous]
    }
}

/// The full magazines of a depot, linked through the first object of each.
pub(crate) struct FullMagazines<T: 'static> {
    first: Option<Place<T>>,
}

impl<T> FullMagazines<T> {
    pub(crate) const NONE: FullMagazines<T> = FullMagazines { first: None };

    /// Adds a magazine, which is full.
    pub(crate) fn push(&mut self, magazine: Magazine<T>) {
        debug_assert!(magazine.is_full());
        let Some(head) = magazine.first else { return };
        // SAFETY: places in a magazine are free and the magazine's alone, which is ours now.
        unsafe { head.links() }.next_chain = self.first;
        self.first = Some(head);
    }

    /// Takes a magazine.
    pub(crate) fn pop(&mut self) -> Option<Magazine<T>> {
        let head = self.first?;
        // SAFETY: as in `push`.
        self.first = unsafe { head.links() }.next_chain;
        Some(Magazine { first: Some(head), count: Magazine::<T>::SIZE })
    }
}
