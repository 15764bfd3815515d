//! The kernel's half of the address space: what is mapped where.
//!
//! | from | what |
//! |---|---|
//! | `0xffff_8000_0000_0000` | all physical memory, never executable; the kernel's text read-only |
//! | `0xffff_e000_0000_0000` | device registers, not cached |
//! | `0xffff_e100_0000_0000` | the heap |
//! | `0xffff_e200_0000_0000` | kernel stacks, each above an unmapped guard page |
//! | `0xffff_f000_0000_0000` | what the loader places: boot information, ramdisk |
//! | `0xffff_fe00_0000_0000` | the boot stack |
//! | `0xffff_ffff_8000_0000` | the kernel itself |
//!
//! Each of the regions that change lies within one top-level entry, made at boot ([`KernelSpace::new`]),
//! so that address spaces, which copy these entries, never miss a later one.

use crate::kernel::Kernel;
use core::ptr::NonNull;
use machine::System;
use machine::pmap::TableMemory;
use machine::x86_64::paging::{self, Flags, MapError, Tables};
use machine::x86_64::stack::{PAGE, Stack};
use memory::{Class, FrameNumber, Memory, OutOfMemory, Page, PageSource};
use x86_64::PhysAddr;
use x86_64::structures::paging::{FrameAllocator, PhysFrame, Size4KiB};

/// Where physical memory is mapped.
pub const PHYSICAL: u64 = 0xffff_8000_0000_0000;
const DEVICES: u64 = 0xffff_e000_0000_0000;
/// A page of the second-lowest level of tables.
const LARGE_PAGE: u64 = 2 << 20;
/// How device registers are mapped.
const DEVICE_FLAGS: Flags =
    Flags::WRITABLE.union(Flags::NO_EXECUTE).union(Flags::NO_CACHE).union(Flags::WRITE_THROUGH);
const HEAP: u64 = 0xffff_e100_0000_0000;
const STACKS: core::ops::Range<u64> = 0xffff_e200_0000_0000..0xffff_e280_0000_0000;
/// Where the loader places what has no fixed address.
pub const DYNAMIC: core::ops::Range<u64> = 0xffff_f000_0000_0000..0xffff_f080_0000_0000;
/// The boot stack's first page.
pub const BOOT_STACK: u64 = 0xffff_fe00_0000_0000;
/// The boot stack's size. The kernel's own data is made on it before it is moved to its place, and
/// holds arrays with a part for each of 64 processors.
pub const BOOT_STACK_SIZE: u64 = 512 << 10;

/// The addresses set aside for a stack: a power of two, more than the largest stack and its guard.
const STACK_STRIDE: u64 = 128 << 10;
/// Pages of a kernel thread's stack.
pub const THREAD_STACK_PAGES: u64 = 8;

/// Frames for page tables, in the forms that `x86_64` and the machine's pmaps want.
pub struct TableFrames;

// SAFETY: the frames come from the frame pool, which gives each to one caller.
unsafe impl FrameAllocator<Size4KiB> for TableFrames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let frame = Memory::current().frames.allocate_anywhere().ok()?;
        Some(PhysFrame::containing_address(PhysAddr::new(frame.address())))
    }
}

// SAFETY: as above.
unsafe impl TableMemory for TableFrames {
    fn allocate_table(&self) -> Option<u64> {
        zeroed_frame().ok()
    }

    fn free_table(&self, frame: u64) {
        free_frame(frame);
    }
}

/// Pages for slabs: frames, through the mapping of physical memory.
pub struct SlabPages;

// SAFETY: physical memory is mapped, and the frame pool gives each frame to one caller.
unsafe impl PageSource for SlabPages {
    fn allocate_page(&self) -> Result<NonNull<Page>, OutOfMemory> {
        let frame = Memory::current().frames.allocate_anywhere()?;
        let page = paging::physical::<Page>(System::current(), frame.address());
        Ok(NonNull::new(page).expect("physical memory is not mapped at 0"))
    }

    unsafe fn free_page(&self, page: NonNull<Page>) {
        let address = page.as_ptr() as u64 - System::current().backend.physical_offset;
        Memory::current().frames.free_anywhere(FrameNumber::containing(address));
    }
}

/// A zeroed frame's physical address.
pub fn zeroed_frame() -> Result<u64, OutOfMemory> {
    zeroed_frame_as(Class::Ordinary)
}

/// The same for a class.
pub fn zeroed_frame_as(class: Class) -> Result<u64, OutOfMemory> {
    let address = Memory::current().frames.allocate_as(class)?.address();
    // SAFETY: fresh from the pool.
    unsafe { paging::clear_frame(System::current(), address) };
    Ok(address)
}

/// Gives a frame back.
pub fn free_frame(address: u64) {
    Memory::current().frames.free_anywhere(FrameNumber::containing(address));
}

/// The allocation state of the regions that change.
pub struct KernelSpace {
    next_device: u64,
    next_stack: u64,
    /// The top of the thread stack that was being made when memory ran out. The next try goes on
    /// there, and no stack of another size, for which a page of this one may be the guard page.
    unfinished: Option<u64>,
    free: FreeStacks,
    counts: StackCounts,
}

/// Stacks of threads that are over, as a list through the stacks themselves: they stay mapped, so that
/// no other processor has to forget anything. The top of the first one; 0 for none.
struct FreeStacks(u64);

impl FreeStacks {
    /// Where a free stack has the top of the next one: in its uppermost word.
    fn link(top: u64) -> *mut u64 {
        (top - size_of::<u64>() as u64) as *mut u64
    }

    /// # Safety
    ///
    /// It is the top of a thread stack, whose uppermost page is there and which nobody uses.
    unsafe fn push(&mut self, top: u64) {
        // SAFETY: the caller's promise.
        unsafe { FreeStacks::link(top).write(self.0) };
        self.0 = top;
    }

    fn pop(&mut self) -> Option<u64> {
        let top = self.0;
        if top == 0 {
            return None;
        }
        // SAFETY: `push` left the next one there.
        self.0 = unsafe { FreeStacks::link(top).read() };
        Some(top)
    }
}

/// How many stacks of kernel threads there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackCounts {
    /// Made so far; they are never taken apart.
    pub made: u64,
    /// Of these, given back and not taken again.
    pub free: u64,
}

impl From<MapError> for NoSpace {
    fn from(_: MapError) -> NoSpace {
        NoSpace
    }
}

/// No frame for a page or a page table, or no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSpace;

impl KernelSpace {
    /// The regions, empty, in the address space in use, which must be the only one.
    pub fn new() -> KernelSpace {
        KernelSpace {
            next_device: DEVICES,
            next_stack: STACKS.start,
            unfinished: None,
            free: FreeStacks(0),
            counts: StackCounts::default(),
        }
    }

    /// Makes the top-level entries of the regions. Once, before there is a second address space.
    pub fn prepare(&mut self, system: &System) -> Result<(), NoSpace> {
        for region in [DEVICES, HEAP, STACKS.start] {
            // SAFETY: `&mut self` is the lock on the kernel's half.
            unsafe { paging::reserve(system, region, &mut TableFrames) }?;
        }
        Ok(())
    }

    fn map(
        &mut self,
        kernel: &Kernel,
        address: u64,
        frame: u64,
        flags: Flags,
    ) -> Result<(), NoSpace> {
        // SAFETY: whoever has `self` mutably holds the lock on the kernel's half.
        let mut tables = unsafe { Tables::at(kernel.system, kernel.root) };
        let flags = flags | Flags::WRITABLE | Flags::NO_EXECUTE;
        // SAFETY: the callers below map fresh frames or device registers at fresh addresses.
        Ok(unsafe { tables.map(address, frame, flags, &mut TableFrames) }?)
    }

    fn map_fresh(&mut self, kernel: &Kernel, address: u64) -> Result<(), NoSpace> {
        let frame = zeroed_frame().map_err(|_| NoSpace)?;
        self.map(kernel, address, frame, Flags::empty()).inspect_err(|_| free_frame(frame))
    }

    /// Maps the page of device registers that an address lies in.
    pub fn map_device(&mut self, kernel: &Kernel, physical: u64) -> Result<u64, NoSpace> {
        self.map_device_range(kernel, physical, 1)
    }

    /// Maps `length` bytes of device registers, at addresses that follow one another; by pages of 2 MiB where
    /// the range begins with such a page. What has been mapped stays so, also when memory runs out.
    pub fn map_device_range(
        &mut self,
        kernel: &Kernel,
        physical: u64,
        length: u64,
    ) -> Result<u64, NoSpace> {
        let large = physical.is_multiple_of(LARGE_PAGE) && length >= LARGE_PAGE;
        let size = if large { LARGE_PAGE } else { PAGE };
        let first = physical & !(size - 1);
        let end = (physical + length).next_multiple_of(size);
        let start = self.next_device.next_multiple_of(size);
        for page in (first..end).step_by(size as usize) {
            let address = start + (page - first);
            self.next_device = address + size;
            if large {
                // SAFETY: `&mut self` is the lock on the kernel's half.
                let mut tables = unsafe { Tables::at(kernel.system, kernel.root) };
                // SAFETY: device registers at a fresh address.
                unsafe { tables.map_large(address, page, DEVICE_FLAGS, &mut TableFrames) }?;
            } else {
                self.map(kernel, address, page, DEVICE_FLAGS)?;
            }
        }
        Ok(start + (physical - first))
    }

    /// Maps the heap's memory.
    pub fn map_heap(&mut self, kernel: &Kernel) -> Result<*mut u8, NoSpace> {
        for offset in (0..crate::heap::SIZE as u64).step_by(PAGE as usize) {
            self.map_fresh(kernel, HEAP + offset)?;
        }
        Ok(HEAP as *mut u8)
    }

    /// A stack of `pages` pages, of which the uppermost `populated` are there; the others are holes,
    /// filled on the first touch.
    pub fn make_stack(
        &mut self,
        kernel: &Kernel,
        pages: u64,
        populated: u64,
    ) -> Result<Stack, NoSpace> {
        let top = self.next_stack_top()?;
        let stack = self.make_stack_below(kernel, top, pages, populated)?;
        self.next_stack = top;
        Ok(stack)
    }

    /// The top of the stack that lies at the next addresses.
    fn next_stack_top(&self) -> Result<u64, NoSpace> {
        let top = self.next_stack + STACK_STRIDE;
        if STACKS.contains(&top) { Ok(top) } else { Err(NoSpace) }
    }

    fn make_stack_below(
        &mut self,
        kernel: &Kernel,
        top: u64,
        pages: u64,
        populated: u64,
    ) -> Result<Stack, NoSpace> {
        assert!((pages + 1) * PAGE <= STACK_STRIDE && (1..=pages).contains(&populated));
        for page in 1..=pages {
            let address = top - page * PAGE;
            // SAFETY: `&mut self` is the lock on the kernel's half.
            unsafe { paging::reserve(kernel.system, address, &mut TableFrames) }?;
            // Of an earlier try that ran out of memory, pages may be there already.
            if page <= populated && !paging::is_present(kernel.system, address) {
                self.map_fresh(kernel, address)?;
            }
        }
        Ok(Stack { bottom: top - pages * PAGE, top })
    }

    fn take_thread_stack(&mut self, kernel: &Kernel) -> Result<Stack, NoSpace> {
        if let Some(top) = self.free.pop() {
            self.counts.free -= 1;
            return Ok(thread_stack(top));
        }
        let top = match self.unfinished {
            Some(top) => top,
            None => self.next_stack_top()?,
        };
        self.next_stack = self.next_stack.max(top);
        self.unfinished = Some(top);
        let stack = self.make_stack_below(kernel, top, THREAD_STACK_PAGES, THREAD_STACK_PAGES)?;
        self.unfinished = None;
        self.counts.made += 1;
        Ok(stack)
    }
}

/// The thread stack with this top.
fn thread_stack(top: u64) -> Stack {
    Stack { bottom: top - THREAD_STACK_PAGES * PAGE, top }
}

impl Kernel {
    /// A stack for a kernel thread, from any context: of [`THREAD_STACK_PAGES`] pages, all there.
    pub fn take_thread_stack(&self) -> Result<Stack, NoSpace> {
        self.space.lock_anywhere().take_thread_stack(self)
    }

    /// Takes back the stack of a kernel thread that is over, from any context.
    ///
    /// # Safety
    ///
    /// It comes from [`Kernel::take_thread_stack`], is given back once, and nobody uses it any longer:
    /// neither a thread, the last switch included, nor whoever looks at what a thread has left.
    pub unsafe fn give_thread_stack(&self, stack: Stack) {
        assert!(stack == thread_stack(stack.top), "a stack that is no thread's is given back");
        let mut space = self.space.lock_anywhere();
        // SAFETY: the caller's promise; thread stacks are populated.
        unsafe { space.free.push(stack.top) };
        space.counts.free += 1;
    }

    /// How many stacks of kernel threads there are.
    pub fn thread_stacks(&self) -> StackCounts {
        self.space.lock_anywhere().counts
    }
}

/// The addresses of the kernel's text and constants.
pub fn read_only_image() -> core::ops::Range<u64> {
    unsafe extern "C" {
        static kernel_read_only_start: u8;
        static kernel_read_only_end: u8;
    }
    (&raw const kernel_read_only_start as u64)..(&raw const kernel_read_only_end as u64)
}

/// Makes the kernel's text and constants read-only in the mapping of physical memory too: there is no
/// other name under which they could be written.
pub fn protect_image(kernel: &Kernel) -> Result<(), NoSpace> {
    let _lock = kernel.space.lock_anywhere();
    for address in read_only_image().step_by(PAGE as usize) {
        let frame = paging::translate(kernel.system, address).expect("the kernel is mapped");
        // SAFETY: the first processor is alone, and nobody writes to the kernel's text.
        unsafe { paging::make_physical_read_only(kernel.system, frame, &mut TableFrames) }?;
    }
    paging::flush_all();
    Ok(())
}

/// The bounds of the boot stack, as the loader reports them.
pub fn boot_stack(info: &bootloader_api::BootInfo) -> Stack {
    Stack {
        bottom: info.kernel_stack_bottom,
        top: info.kernel_stack_bottom + info.kernel_stack_len,
    }
}
