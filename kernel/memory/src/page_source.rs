//! What a slab asks of whoever gives it pages. The kernel implements it over the frame pool and the
//! mapping of physical memory, tests over the host's memory.

use crate::OutOfMemory;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// A page of memory, its contents anything.
#[repr(C, align(4096))]
pub struct Page(pub [MaybeUninit<u8>; PAGE_SIZE]);

/// Gives and takes pages. Called at level 13 with a slab's lock held: neither sleeps nor faults, nor
/// uses a slab.
///
/// # Safety
///
/// A page that [`PageSource::allocate_page`] has returned is mapped, can be read and written, and is
/// nobody else's until it comes back.
pub unsafe trait PageSource: Sync {
    /// A page.
    fn allocate_page(&self) -> Result<NonNull<Page>, OutOfMemory>;

    /// Takes a page back.
    ///
    /// # Safety
    ///
    /// The page is one of this source's, and nobody uses it any longer.
    unsafe fn free_page(&self, page: NonNull<Page>);
}
