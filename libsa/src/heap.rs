//! Memory for `alloc`: boxes, vectors and so on.
//!
//! Blocks of powers of two, in free lists: one for each size and virtual processor, which needs no lock as it is used in
//! a critical section; behind those one for each size that all share, in which goes what one virtual processor has too
//! much of. What is longer is mapped by itself. Memory of short blocks is never unmapped.

use crate::line;
use crate::processor::{Processor, here};
use crate::runtime::{self, Mode};
use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;
use scheduler::spin::SpinLock;

/// Bytes of the shortest blocks.
const SHORTEST: usize = 16;
/// How many sizes there are.
pub const SIZES: usize = 12;
const LONGEST: usize = SHORTEST << (SIZES - 1);
/// Blocks begin at multiples of their size, but not of more than a page.
const PAGE: usize = 4096;
/// So much is mapped at a time.
const MAPPED: usize = 256 * 1024;
/// So many bytes of free blocks are moved at a time.
const MOVED: usize = 8 * 1024;

/// Free blocks of a size.
pub struct FreeBlocks {
    first: Cell<*mut u8>,
    count: Cell<usize>,
}

impl FreeBlocks {
    /// None.
    pub const fn new() -> FreeBlocks {
        FreeBlocks { first: Cell::new(ptr::null_mut()), count: Cell::new(0) }
    }

    fn push(&self, block: *mut u8) {
        // SAFETY: it is free, and long enough for an address.
        unsafe { block.cast::<*mut u8>().write(self.first.get()) };
        self.first.set(block);
        self.count.set(self.count.get() + 1);
    }

    fn pop(&self) -> Option<*mut u8> {
        let first = self.first.get();
        if first.is_null() {
            return None;
        }
        // SAFETY: it is free, and `push` has written this.
        self.first.set(unsafe { first.cast::<*mut u8>().read() });
        self.count.set(self.count.get() - 1);
        Some(first)
    }

    fn move_to(&self, other: &FreeBlocks, count: usize) {
        for block in core::iter::from_fn(|| self.pop()).take(count) {
            other.push(block);
        }
    }
}

impl Default for FreeBlocks {
    fn default() -> FreeBlocks {
        FreeBlocks::new()
    }
}

struct Shared {
    lock: SpinLock,
    blocks: FreeBlocks,
}

// SAFETY: the blocks are used with the lock held.
unsafe impl Sync for Shared {}

static SHARED: [Shared; SIZES] =
    [const { Shared { lock: SpinLock::new(), blocks: FreeBlocks::new() } }; SIZES];

/// The allocator of programs of many threads.
pub struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

/// Which size serves a layout, if one does.
fn size_for(layout: &Layout) -> Option<usize> {
    let length = layout.size().max(layout.align()).max(SHORTEST).next_power_of_two();
    (length <= LONGEST && layout.align() <= PAGE)
        .then(|| (length.trailing_zeros() - SHORTEST.trailing_zeros()) as usize)
}

// SAFETY: blocks are somebody's or free, and as long and as aligned as their size says.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match size_for(&layout) {
            Some(size) => line::critical(|| take(size)).unwrap_or(ptr::null_mut()),
            None if layout.align() <= PAGE => {
                runtime::map(0, layout.size()).map_or(ptr::null_mut(), |address| address as *mut u8)
            }
            None => ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match size_for(&layout) {
            Some(size) => line::critical(|| give(size, block)),
            None => runtime::unmap(block as usize, layout.size()),
        }
    }
}

/// The free blocks of this virtual processor; where each thread is an LWP it has none of its own.
fn own(processor: &Processor, size: usize) -> Option<&FreeBlocks> {
    (runtime::mode() != Mode::Lwp).then(|| &processor.blocks[size])
}

fn take(size: usize) -> Option<*mut u8> {
    let Some(own) = own(here(), size) else {
        return take_shared(size).or_else(|| map(size, None));
    };
    own.pop().or_else(|| fill(own, size))
}

#[cold]
fn fill(own: &FreeBlocks, size: usize) -> Option<*mut u8> {
    let shared = &SHARED[size];
    {
        let _guard = shared.lock.lock();
        shared.blocks.move_to(own, moved(size));
    }
    own.pop().or_else(|| map(size, Some(own)))
}

fn take_shared(size: usize) -> Option<*mut u8> {
    let shared = &SHARED[size];
    let _guard = shared.lock.lock();
    shared.blocks.pop()
}

/// How many blocks are moved at a time.
fn moved(size: usize) -> usize {
    (MOVED / (SHORTEST << size)).max(1)
}

/// Maps memory for blocks: one is returned, the others are free.
fn map(size: usize, own: Option<&FreeBlocks>) -> Option<*mut u8> {
    let first = runtime::map(0, MAPPED)?;
    let length = SHORTEST << size;
    // Nobody waits for the lock while this sleeps for memory: it is taken afterwards.
    let shared = &SHARED[size];
    let _guard = own.is_none().then(|| shared.lock.lock());
    let free = own.unwrap_or(&shared.blocks);
    for offset in (length..MAPPED).step_by(length) {
        free.push((first + offset) as *mut u8);
    }
    Some(first as *mut u8)
}

fn give(size: usize, block: *mut u8) {
    let shared = &SHARED[size];
    let Some(own) = own(here(), size) else {
        let _guard = shared.lock.lock();
        return shared.blocks.push(block);
    };
    own.push(block);
    if own.count.get() > MAPPED / (SHORTEST << size) + 2 * moved(size) {
        let _guard = shared.lock.lock();
        own.move_to(&shared.blocks, moved(size));
    }
}
