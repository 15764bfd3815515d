//! The heap, for odd sizes: the few things that are neither frames nor objects of one type.
//!
//! A first-fit list (`linked_list_allocator`): slow, and therefore on no hot path. Kernel objects
//! come from slabs, which are fast and fail with an error value. Whatever user space can cause goes
//! through `try_reserve`; the infallible methods are denied by a lint (`clippy.toml`).

use crate::kernel::Kernel;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use linked_list_allocator::Heap;
use machine::SpinLock;

/// The size of the heap, in bytes.
pub const SIZE: usize = 512 << 10;

/// The heap of the current system. Has no state of its own.
struct CurrentHeap;

#[global_allocator]
static HEAP: CurrentHeap = CurrentHeap;

/// An empty heap; [`start`] gives it memory.
pub fn new() -> SpinLock<Heap, 13> {
    SpinLock::new(Heap::empty())
}

/// Gives the heap its memory.
///
/// # Safety
///
/// `SIZE` bytes at `start` are mapped, writable and nobody else's; called once.
pub unsafe fn start(kernel: &Kernel, start: *mut u8) {
    let mut heap = kernel.heap.lock_anywhere();
    // SAFETY: the caller's promise.
    unsafe { heap.init(start, SIZE) };
}

// SAFETY: `linked_list_allocator` keeps the contract of an allocator; the lock makes it usable from
// anywhere below level 13.
unsafe impl GlobalAlloc for CurrentHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut heap = Kernel::current().heap.lock_anywhere();
        heap.allocate_first_fit(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(pointer) = NonNull::new(pointer) else { return };
        let mut heap = Kernel::current().heap.lock_anywhere();
        // SAFETY: the caller allocated it here with this layout.
        unsafe { heap.deallocate(pointer, layout) };
    }
}
