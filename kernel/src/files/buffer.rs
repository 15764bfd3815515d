//! Pages of kernel memory for bytes on their way: what pipes hold, and what a call copies through.

use crate::kernel_space::SlabPages;
use core::ptr::NonNull;
use memory::{OutOfMemory, PageSource};

/// Bytes in a page.
pub const SIZE: usize = 4096;

/// A page. Dropping it gives it back.
pub struct Page(NonNull<[u8; SIZE]>);

// SAFETY: it owns its page, as a box does.
unsafe impl Send for Page {}
// SAFETY: likewise.
unsafe impl Sync for Page {}

impl Page {
    /// A page of zeros.
    pub fn new() -> Result<Page, OutOfMemory> {
        let place = SlabPages.allocate_page()?.cast::<[u8; SIZE]>();
        // SAFETY: the page is ours, and as long.
        unsafe { place.write_bytes(0, 1) };
        Ok(Page(place))
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8; SIZE] {
        // SAFETY: the page is ours, and was filled by `new`.
        unsafe { self.0.as_ref() }
    }

    /// Its bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8; SIZE] {
        // SAFETY: as above, and nobody else looks.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: from `new`, and nobody uses it any longer.
        unsafe { SlabPages.free_page(self.0.cast()) };
    }
}
