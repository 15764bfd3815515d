//! Memory that a device reads and writes: physical addresses, through the mapping of physical memory.

use crate::ending::refuse;
use crate::kernel::Kernel;
use crate::kernel_space::{NoSpace, PHYSICAL};
use abi::ending::Ending;
use core::ptr::NonNull;
use memory::{FrameNumber, Memory, OutOfMemory};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

/// Length of a frame, in bytes.
pub const FRAME: usize = 4096;

/// A place in the mapping of physical memory.
pub fn pointer<T>(physical: u64) -> *mut T {
    (PHYSICAL + physical) as *mut T
}

/// A block of frames, all zero, that nobody gives back unless by [`free`]: its physical address.
pub fn allocate(frames: usize) -> Result<u64, OutOfMemory> {
    let order = frames.next_power_of_two().trailing_zeros() as u8;
    let address = Memory::current().frames.allocate_block(order)?.address();
    // SAFETY: fresh frames, which are mapped there.
    unsafe { core::ptr::write_bytes(pointer::<u8>(address), 0, FRAME << order) };
    Ok(address)
}

/// Gives a block back that [`allocate`] gave and no device knows any longer.
pub fn free(address: u64) {
    Memory::current().frames.free_block(FrameNumber::containing(address));
}

/// What `virtio-drivers` asks of the kernel. Has no state.
pub struct Dma;

// SAFETY: blocks of frames are nobody else's until they are given back, are zeroed, begin on a page and
// are mapped at `PHYSICAL`; device registers get a mapping of their own.
unsafe impl Hal for Dma {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        // No frame is at 0, which stands for "none".
        let address = allocate(pages).unwrap_or(0);
        let place = NonNull::new(pointer(address)).expect("physical memory is not mapped at 0");
        (address, place)
    }

    unsafe fn dma_dealloc(address: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        free(address);
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, size: usize) -> NonNull<u8> {
        let kernel = Kernel::current();
        let mapped =
            kernel.space.lock_anywhere().map_device_range(kernel, address, size.max(1) as u64);
        let mapped = mapped.unwrap_or_else(|NoSpace| {
            refuse(Ending::TooLittleMemory, format_args!("no room for a disk's registers"))
        });
        NonNull::new(mapped as *mut u8).expect("device registers are not mapped at 0")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        // Every buffer that the driver hands over was made by `pointer`.
        buffer.addr().get() as u64 - PHYSICAL
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}
