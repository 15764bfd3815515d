//! A page cut into objects of one type.
//!
//! ```text
//! | header: the slab, the page's state | object | object | object | ... | rest |
//! ```
//!
//! The header says which slab the page belongs to, so an object alone is enough to find its slab:
//! that is at the beginning of the page. Objects that were never handed out are not in the free list
//! but above a mark, so that a new page is ready at once, however many objects fit.
//!
//! An object's place holds two links while it is free (`magazine`). In debug builds they
//! lie behind the object and not in it, and the object is filled with [`POISON`]: so a write after
//! free is found wherever in the object it goes.

use crate::page_source::{PAGE_SIZE, Page};
use crate::slab::Slab;
use core::mem::{ManuallyDrop, MaybeUninit, offset_of};
use core::ptr::NonNull;

/// What free objects are filled with in debug builds: as an address, not canonical; as a number,
/// conspicuous.
pub const POISON: u8 = 0xdb;

/// The links of a free object.
pub(crate) struct Links<T: 'static> {
    /// The next object of the same chain.
    pub(crate) next: Option<Place<T>>,
    /// Heads of chains in the depot: the head of the next chain.
    pub(crate) next_chain: Option<Place<T>>,
}

/// What a place consists of. The object comes first in either form.
#[cfg(debug_assertions)]
#[repr(C)]
struct Contents<T: 'static> {
    object: ManuallyDrop<MaybeUninit<T>>,
    links: ManuallyDrop<Links<T>>,
}

/// What a place consists of. The object comes first in either form.
#[cfg(not(debug_assertions))]
#[repr(C)]
union Contents<T: 'static> {
    object: ManuallyDrop<MaybeUninit<T>>,
    links: ManuallyDrop<Links<T>>,
}

/// The place of one object in a live page of a slab of `T`.
pub(crate) struct Place<T: 'static>(NonNull<Contents<T>>);

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}

// SAFETY: the address of memory that no thread has a special right to; a place is not an object.
unsafe impl<T> Send for Place<T> {}

impl<T> Place<T> {
    /// The object's address; good for the whole page, as far as the compiler is concerned.
    #[inline]
    pub(crate) fn object(self) -> NonNull<T> {
        self.0.cast()
    }

    /// The place of an object.
    ///
    /// # Safety
    ///
    /// `object` comes from [`Place::object`].
    #[inline]
    pub(crate) unsafe fn of(object: NonNull<T>) -> Place<T> {
        Place(object.cast())
    }

    /// The links.
    ///
    /// # Safety
    ///
    /// The place is free, and the caller's alone for as long as the result lives.
    #[inline]
    pub(crate) unsafe fn links<'a>(self) -> &'a mut Links<T> {
        // SAFETY: the field lies in a live page.
        let links = unsafe { &raw mut (*self.0.as_ptr()).links };
        // SAFETY: the caller's promise; any free place has had its links written, by `SlabPage` or
        // by `make_free`.
        unsafe { &mut *links.cast::<Links<T>>() }
    }

    /// Turns what was an object into a free place.
    ///
    /// # Safety
    ///
    /// The object has been dropped, or never was, and the place is the caller's alone.
    #[inline]
    pub(crate) unsafe fn make_free(self) {
        if cfg!(debug_assertions) {
            // SAFETY: the place is the caller's.
            unsafe { self.object().cast::<u8>().write_bytes(POISON, size_of::<T>()) };
        }
        // SAFETY: the field lies in a live page.
        let links = unsafe { &raw mut (*self.0.as_ptr()).links };
        // SAFETY: the place is the caller's.
        unsafe { links.cast::<Links<T>>().write(Links { next: None, next_chain: None }) };
    }

    /// In debug builds, panics if somebody has written to a free place.
    ///
    /// # Safety
    ///
    /// [`Place::make_free`] came last, and the place is the caller's alone.
    #[inline]
    pub(crate) unsafe fn check_poison(self) {
        if cfg!(debug_assertions) {
            let first = self.object().cast::<u8>().as_ptr();
            // SAFETY: `make_free` has written these bytes.
            let bytes = unsafe { core::slice::from_raw_parts(first, size_of::<T>()) };
            if let Some(offset) = bytes.iter().position(|&byte| byte != POISON) {
                panic!(
                    "a free {} has been written to: byte {offset} is {:#x}",
                    core::any::type_name::<T>(),
                    bytes[offset]
                );
            }
        }
    }

    /// The page that the place is in.
    #[inline]
    pub(crate) fn page(self) -> SlabPage<T> {
        let header = self.0.as_ptr().map_addr(|address| address & !(PAGE_SIZE - 1));
        // SAFETY: a page does not begin at 0.
        SlabPage(unsafe { NonNull::new_unchecked(header.cast()) })
    }
}

#[repr(C)]
struct Header<T: 'static> {
    slab: &'static Slab<T>,
    state: PageState<T>,
    places: [Contents<T>; 0],
}

/// What the slab keeps per page, under its lock.
pub(crate) struct PageState<T: 'static> {
    /// Neighbours in the list of pages that have free places.
    pub(crate) next: Option<SlabPage<T>>,
    pub(crate) previous: Option<SlabPage<T>>,
    /// How many places are in this page and not in a magazine or with a user.
    pub(crate) free_count: usize,
    /// Of those, the ones that were handed out before.
    free: Option<Place<T>>,
    /// Places from this one on were never handed out.
    untouched: usize,
}

/// A live page of a slab of `T`.
pub(crate) struct SlabPage<T: 'static>(NonNull<Header<T>>);

impl<T> Clone for SlabPage<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SlabPage<T> {}

impl<T> PartialEq for SlabPage<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

// SAFETY: what is behind the address is used under the slab's lock.
unsafe impl<T> Send for SlabPage<T> {}

impl<T> SlabPage<T> {
    /// How many objects a page has.
    pub(crate) const CAPACITY: usize = {
        let capacity = (PAGE_SIZE - offset_of!(Header<T>, places)) / size_of::<Contents<T>>();
        assert!(align_of::<Contents<T>>() <= PAGE_SIZE && capacity > 0, "larger than a page");
        capacity
    };

    /// Makes a page one of `slab`'s, all of it free.
    ///
    /// # Safety
    ///
    /// The page is the caller's alone.
    pub(crate) unsafe fn new(page: NonNull<Page>, slab: &'static Slab<T>) -> SlabPage<T> {
        let header = page.cast::<Header<T>>();
        let state = PageState {
            next: None,
            previous: None,
            free_count: Self::CAPACITY,
            free: None,
            untouched: 0,
        };
        // SAFETY: the page is ours, aligned, and a header fits (`CAPACITY` is checked).
        unsafe { header.write(Header { slab, state, places: [] }) };
        SlabPage(header)
    }

    /// The memory, to be given back.
    pub(crate) fn memory(self) -> NonNull<Page> {
        self.0.cast()
    }

    /// The slab that the page belongs to.
    #[inline]
    pub(crate) fn slab(self) -> &'static Slab<T> {
        // SAFETY: the page is live, and nobody writes this field after `new`.
        unsafe { (*self.0.as_ptr()).slab }
    }

    /// The state.
    ///
    /// # Safety
    ///
    /// The caller has the slab's lock, or has just made the page, and makes no second reference.
    pub(crate) unsafe fn state<'a>(self) -> &'a mut PageState<T> {
        // SAFETY: the page is live; the field is apart from the one that others read.
        unsafe { &mut (*self.0.as_ptr()).state }
    }

    /// Takes a free place.
    ///
    /// # Safety
    ///
    /// As for [`SlabPage::state`]; and `free_count` is not 0.
    pub(crate) unsafe fn take(self) -> Place<T> {
        // SAFETY: the caller's promise.
        let state = unsafe { self.state() };
        state.free_count -= 1;
        if let Some(place) = state.free {
            // SAFETY: it is free, and reached only under the lock.
            state.free = unsafe { place.links() }.next;
            return place;
        }
        let index = state.untouched;
        state.untouched += 1;
        let offset = offset_of!(Header<T>, places) + index * size_of::<Contents<T>>();
        debug_assert!(index < Self::CAPACITY);
        // SAFETY: within the page, since `free_count` was not 0.
        let place = Place(unsafe { self.0.cast::<Contents<T>>().byte_add(offset) });
        // SAFETY: nobody has had the place yet.
        unsafe { place.make_free() };
        place
    }

    /// Takes a place back.
    ///
    /// # Safety
    ///
    /// As for [`SlabPage::state`]; and the place is one of this page's, free, and nobody else's.
    pub(crate) unsafe fn put(self, place: Place<T>) {
        // SAFETY: the caller's promise.
        let state = unsafe { self.state() };
        // SAFETY: likewise.
        unsafe { place.links() }.next = state.free;
        state.free = Some(place);
        state.free_count += 1;
    }
}
