//! Frames and pages of the host's, for the tests.

#![allow(dead_code, reason = "not every test uses everything")]

use machine::sim::Machine;
use memory::{Frame, FrameAllocator, FrameNumber, OutOfMemory, Page, PageSource};
use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Mutex;

/// The frame with this number.
pub fn frame(number: u64) -> FrameNumber {
    FrameNumber::new(number)
}

/// The frames from one number up to another.
pub fn frames(numbers: Range<u64>) -> Range<FrameNumber> {
    frame(numbers.start)..frame(numbers.end)
}

/// Descriptors, freed with the machine. They are filled with garbage, as fresh memory is.
pub struct Descriptors(*mut [MaybeUninit<Frame>]);

// SAFETY: the memory is this value's own.
unsafe impl Send for Descriptors {}
// SAFETY: likewise.
unsafe impl Sync for Descriptors {}

impl Descriptors {
    /// Descriptors for `count` frames.
    pub fn new(count: usize) -> Descriptors {
        let garbage = std::iter::repeat_with(|| {
            let mut frame = MaybeUninit::<Frame>::uninit();
            // SAFETY: the frame is ours; any bytes do.
            unsafe { frame.as_mut_ptr().write_bytes(0xa5, 1) };
            frame
        });
        Descriptors(Box::into_raw(garbage.take(count).collect()))
    }

    /// An allocator that uses them.
    ///
    /// # Safety
    ///
    /// Called once; `self` outlives the result.
    pub unsafe fn allocator(&self) -> FrameAllocator {
        // SAFETY: the caller's promise; nobody else uses them.
        FrameAllocator::new(unsafe { &mut *self.0 })
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // SAFETY: made by `new` from a box; the allocator is gone.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// An allocator for `count` frames that lives no longer than `act`.
pub fn with_allocator<R>(count: usize, act: impl FnOnce(&mut FrameAllocator) -> R) -> R {
    let descriptors = Descriptors::new(count);
    // SAFETY: once, and the allocator is gone before the descriptors.
    let mut allocator = unsafe { descriptors.allocator() };
    act(&mut allocator)
}

/// An allocator for `count` frames, for use on a simulated machine.
pub fn allocator(machine: &Machine, count: usize) -> FrameAllocator {
    let descriptors = machine.keep(Descriptors::new(count));
    // SAFETY: once; what is kept first is freed last.
    unsafe { descriptors.allocator() }
}

/// Pages of the host's memory, at most so many at a time. Knows which it has given out, and checks
/// that it gets back those.
pub struct HostPages {
    pages: Mutex<HashSet<usize>>,
    most: usize,
}

impl HostPages {
    /// A source that gives at most `most` pages.
    pub fn new(most: usize) -> HostPages {
        HostPages { pages: Mutex::new(HashSet::new()), most }
    }

    /// How many pages are given out.
    pub fn given(&self) -> usize {
        self.pages.lock().unwrap().len()
    }
}

// SAFETY: the host's allocator gives memory that nobody else has.
unsafe impl PageSource for HostPages {
    fn allocate_page(&self) -> Result<NonNull<Page>, OutOfMemory> {
        let mut pages = self.pages.lock().unwrap();
        if pages.len() == self.most {
            return Err(OutOfMemory);
        }
        // SAFETY: a page has a size.
        let page = NonNull::new(unsafe { alloc(Layout::new::<Page>()) }).expect("host memory");
        // SAFETY: just allocated.
        unsafe { page.write_bytes(0x5a, size_of::<Page>()) };
        pages.insert(page.as_ptr() as usize);
        Ok(page.cast())
    }

    unsafe fn free_page(&self, page: NonNull<Page>) {
        let was_given = self.pages.lock().unwrap().remove(&(page.as_ptr() as usize));
        assert!(was_given, "a page comes back that was not given out");
        // SAFETY: allocated above, and given back by the caller.
        unsafe { dealloc(page.as_ptr().cast(), Layout::new::<Page>()) };
    }
}

impl Drop for HostPages {
    fn drop(&mut self) {
        let pages = self.pages.get_mut().unwrap();
        if !std::thread::panicking() {
            assert_eq!(pages.len(), 0, "pages that never came back");
        }
    }
}
