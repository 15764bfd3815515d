//! A page: what virtual memory knows of a frame.
//!
//! There is one [`Page`] per frame, in one array that lives as long as the system, so a `&'static Page` is
//! never wrong; only what was read through it may be old. A page that is in use is in exactly one object at
//! one index, its *identity*.
//!
//! | field | changed by |
//! |---|---|
//! | `busy` | see [`crate::busy`] |
//! | identity | who has the page exclusively busy and the object's lock |
//! | `VALID` | who has it exclusively busy: its contents are the object's |
//! | `DIRTY` | set by anybody who has it busy or has just unmapped it; cleared by page-out, exclusively busy |
//! | `REFERENCED` | anybody, as a hint to the page daemon |
//! | `wired` | who changes its mappings: how many of them are wired. While above 0 the page is in no queue and stays |
//! | `mappings` | its own spin lock ([`crate::reverse_map`]) |
//! | `queue` | the queues' lock ([`crate::page_queue`]) |
//!
//! A page that is freed while it is mapped would give its next owner's memory to strangers: the fault of
//! all the `bug-cow-…` histories. So freeing looks, always, and stops the kernel with both facts
//! ([`Exclusive::free`]).
//!
//! Mach: `vm_page`.

use crate::Vm;
use crate::busy::Busy;
use crate::object::Object;
use crate::page_queue::{Queue, QueueLink};
use crate::reverse_map::ReverseMap;
use atomics::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr;
use dispatch::MayBlock;
use memory::{FrameNumber, Memory};

/// Bytes in a page, as a power of two.
pub const PAGE_SHIFT: u32 = 12;
/// Bytes in a page.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

/// Its contents are the object's.
const VALID: u8 = 1 << 0;
/// Its contents differ from what the backing store has.
const DIRTY: u8 = 1 << 1;
/// Used not long ago.
const REFERENCED: u8 = 1 << 2;

/// A page. See the module.
pub struct Page {
    busy: Busy,
    flags: AtomicU8,
    wired: AtomicU32,
    object: AtomicPtr<Object>,
    index: AtomicU64,
    pub(crate) mappings: ReverseMap,
    pub(crate) queue: QueueLink,
}

impl Page {
    /// Of a frame that is not in use.
    pub fn new() -> Page {
        Page {
            busy: Busy::new(),
            flags: AtomicU8::new(0),
            wired: AtomicU32::new(0),
            object: AtomicPtr::new(ptr::null_mut()),
            index: AtomicU64::new(0),
            mappings: ReverseMap::new(),
            queue: QueueLink::new(),
        }
    }

    /// Its frame.
    #[inline]
    pub fn frame(&'static self) -> FrameNumber {
        Vm::current().pages.frame_of(self)
    }

    /// The physical address of its frame.
    #[inline]
    pub fn address(&'static self) -> u64 {
        self.frame().address()
    }

    /// Its busy state.
    #[inline]
    pub fn busy(&self) -> &Busy {
        &self.busy
    }

    /// Takes the page exclusively, if nobody has it.
    #[inline]
    pub(crate) fn try_exclusive(&'static self) -> Option<Exclusive> {
        self.busy.try_exclusive().then(|| Exclusive { page: self })
    }

    /// Shares the page, if nobody has it exclusively.
    #[inline]
    pub(crate) fn try_share(&'static self) -> Option<Shared> {
        self.busy.try_share().then(|| Shared { page: self })
    }

    /// Whether its contents are the object's.
    #[inline]
    pub fn is_valid(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & VALID != 0
    }

    /// Whether its contents differ from the backing store's, as far as is known here: processors that
    /// write through a mapping leave the fact in the page tables.
    #[inline]
    pub fn is_dirty(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & DIRTY != 0
    }

    /// Its contents differ from the backing store's.
    #[inline]
    pub(crate) fn note_dirty(&self) {
        if !self.is_dirty() {
            self.flags.fetch_or(DIRTY, Ordering::Relaxed);
        }
    }

    /// It has been used.
    #[inline]
    pub(crate) fn note_reference(&self) {
        if self.flags.load(Ordering::Relaxed) & REFERENCED == 0 {
            self.flags.fetch_or(REFERENCED, Ordering::Relaxed);
        }
    }

    /// Whether it has been used since the last call.
    pub(crate) fn take_reference(&self) -> bool {
        self.flags.load(Ordering::Relaxed) & REFERENCED != 0
            && self.flags.fetch_and(!REFERENCED, Ordering::Relaxed) & REFERENCED != 0
    }

    /// How often it is wired.
    #[inline]
    pub fn wired(&self) -> u32 {
        self.wired.load(Ordering::Relaxed)
    }

    /// Wires it once more: it stays in memory.
    pub(crate) fn wire(&'static self) {
        if self.wired.fetch_add(1, Ordering::Relaxed) == 0 {
            Vm::current().queues.remove(self);
        }
    }

    /// Takes one wiring back; the last puts it into a queue again.
    pub(crate) fn unwire(&'static self) {
        let before = self.wired.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before != 0, "a page is unwired more often than wired: {self:?}");
        if before == 1 {
            Vm::current().queues.put(self, Queue::Active);
        }
    }

    /// The object that it is in, for comparison; null if in none. Stays while the page is busy.
    #[inline]
    pub(crate) fn object(&self) -> *const Object {
        self.object.load(Ordering::Relaxed)
    }

    /// Its place in the object, in pages.
    #[inline]
    pub fn index(&self) -> u64 {
        self.index.load(Ordering::Relaxed)
    }
}

impl Default for Page {
    fn default() -> Page {
        Page::new()
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = self.flags.load(Ordering::Relaxed);
        let word = |bit, word| if flags & bit != 0 { word } else { "" };
        write!(
            to,
            "page {} of object {:p}{}{}{}{}, wired {}, mapped {}",
            self.index(),
            self.object(),
            word(VALID, ", valid"),
            word(DIRTY, ", dirty"),
            word(REFERENCED, ", referenced"),
            if self.busy.is_exclusive() { ", exclusively busy" } else { "" },
            self.wired(),
            self.mappings.count(),
        )
    }
}

/// A page that the caller has exclusively busy. Dropping it lets go.
#[must_use = "the page is let go of when this is dropped"]
pub struct Exclusive {
    page: &'static Page,
}

impl Exclusive {
    /// A frame fresh from the allocator, exclusively busy, not valid, in no object.
    pub(crate) fn fresh(frame: FrameNumber) -> Exclusive {
        let page = Vm::current().pages.page_of(frame);
        let is_free = page.busy.try_exclusive();
        debug_assert!(is_free, "a fresh frame's page is busy: {page:?}");
        debug_assert!(page.object().is_null(), "a fresh frame's page is in use: {page:?}");
        page.flags.store(0, Ordering::Relaxed);
        Exclusive { page }
    }

    /// The page.
    #[inline]
    pub fn page(&self) -> &'static Page {
        self.page
    }

    /// Its contents are the object's from now on.
    #[inline]
    pub(crate) fn set_valid(&self) {
        self.page.flags.fetch_or(VALID, Ordering::Release);
    }

    /// Its contents are what the backing store has.
    pub(crate) fn set_clean(&self) {
        self.page.flags.fetch_and(!DIRTY, Ordering::Relaxed);
    }

    /// It has been used by the kernel: it is in a queue, or gets into one.
    pub(crate) fn note_use(&self) {
        self.page.note_reference();
        Vm::current().queues.note_use(self.page);
    }

    /// Says which page of which object it is. The caller holds the object's lock in a way that lets it put
    /// pages there.
    #[inline]
    pub(crate) fn set_identity(&self, object: *const Object, index: u64) {
        self.page.object.store(object.cast_mut(), Ordering::Relaxed);
        self.page.index.store(index, Ordering::Relaxed);
    }

    /// Frees the page, which is in no object any more.
    ///
    /// Panics if it is mapped: then its frame would be given to somebody else while a program can still
    /// reach it.
    pub(crate) fn free(self) {
        let page = self.page;
        if let Some(mapping) = page.mappings.any() {
            panic!("a page is freed while it is mapped at {mapping}: {page:?}");
        }
        assert!(page.wired() == 0, "a page is freed while it is wired: {page:?}");
        Vm::current().queues.remove(page);
        page.object.store(ptr::null_mut(), Ordering::Relaxed);
        page.flags.store(0, Ordering::Relaxed);
        let frame = page.frame();
        // The next owner finds it free.
        drop(self);
        Memory::current().frames.free_anywhere(frame);
        Vm::current().shortage.note_free();
    }

    /// Hands the busy state to somebody who will make it an [`Exclusive`] again: a transfer under way.
    pub(crate) fn hand_over(self) -> &'static Page {
        ManuallyDrop::new(self).page
    }

    /// Takes over what [`Exclusive::hand_over`] gave. Once.
    pub(crate) fn take_over(page: &'static Page) -> Exclusive {
        debug_assert!(page.busy.is_exclusive(), "nobody has handed this page over: {page:?}");
        Exclusive { page }
    }
}

impl Deref for Exclusive {
    type Target = Page;

    #[inline]
    fn deref(&self) -> &Page {
        self.page
    }
}

impl Drop for Exclusive {
    #[inline]
    fn drop(&mut self) {
        self.page.busy.release_exclusive();
    }
}

/// A page that the caller shares. Dropping it lets go.
#[must_use = "the page is let go of when this is dropped"]
pub struct Shared {
    page: &'static Page,
}

impl Shared {
    /// The page.
    #[inline]
    pub fn page(&self) -> &'static Page {
        self.page
    }
}

impl Drop for Shared {
    #[inline]
    fn drop(&mut self) {
        self.page.busy.release_shared();
    }
}

/// A page that the caller has busy in one way or the other: what it takes to map it.
pub(crate) enum Held {
    Exclusive(Exclusive),
    Shared(Shared),
}

impl Held {
    #[inline]
    pub(crate) fn page(&self) -> &'static Page {
        match self {
            Held::Exclusive(page) => page.page(),
            Held::Shared(page) => page.page(),
        }
    }
}

/// Waits until a page is less busy than it was, with nothing held.
pub(crate) fn wait(page: &'static Page, may_block: &mut impl MayBlock) {
    page.busy.wait(may_block);
}

/// The pages of all frames from one up.
pub struct Pages {
    first: u64,
    pages: &'static [Page],
}

impl Pages {
    /// Pages for the frames from `first` up.
    pub fn new(first: FrameNumber, pages: &'static [Page]) -> Pages {
        Pages { first: first.number(), pages }
    }

    /// A frame's page. Panics if the frame has none.
    #[inline]
    pub fn page_of(&self, frame: FrameNumber) -> &'static Page {
        &self.pages[(frame.number() - self.first) as usize]
    }

    /// Whether a frame has a page.
    #[inline]
    pub fn is_managed(&self, frame: FrameNumber) -> bool {
        frame.number().checked_sub(self.first).is_some_and(|place| place < self.pages.len() as u64)
    }

    /// The page of a number as the indices of objects keep it.
    #[inline]
    pub(crate) fn at(&self, place: u32) -> &'static Page {
        &self.pages[place as usize]
    }

    /// The number by which the indices of objects keep a page.
    #[inline]
    pub(crate) fn place_of(&self, page: &'static Page) -> u32 {
        let offset = ptr::from_ref(page).addr() - self.pages.as_ptr().addr();
        (offset / size_of::<Page>()) as u32
    }

    #[inline]
    fn frame_of(&self, page: &'static Page) -> FrameNumber {
        FrameNumber::new(self.first + u64::from(self.place_of(page)))
    }

    /// All of them.
    pub fn iter(&self) -> core::slice::Iter<'static, Page> {
        self.pages.iter()
    }
}
