//! The kernel's page tables, while they are being filled.
//!
//! They are not in force yet: the loader runs on its own identity map, through which it reaches
//! every frame by its physical address. Entries of upper levels allow everything; what a page may
//! is decided by its own entry alone.

use abi::ending::Ending;
use loader::PAGE;
use loader::failure::Failure;
use loader::frames::Frames;
use loader::physical_map::{HUGE_PAGE, WindowPage};
use x86_64::structures::paging::mapper::MapToError;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame,
    Size1GiB, Size2MiB, Size4KiB, Translate,
};
use x86_64::{PhysAddr, VirtAddr};

/// What may be done with a page. Nothing is ever both writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Read,
    ReadWrite,
    ReadExecute,
}

impl Access {
    fn flags(self) -> PageTableFlags {
        PageTableFlags::PRESENT
            | match self {
                Access::Read => PageTableFlags::NO_EXECUTE,
                Access::ReadWrite => PageTableFlags::WRITABLE | PageTableFlags::NO_EXECUTE,
                Access::ReadExecute => PageTableFlags::empty(),
            }
    }
}

/// A set of page tables and the frames that it grows from.
pub struct AddressSpace {
    tables: OffsetPageTable<'static>,
    root: u64,
    /// Physical memory for whatever the kernel gets.
    pub frames: Frames,
}

impl AddressSpace {
    /// Without any mapping.
    pub fn new(mut frames: Frames) -> Result<Self, Failure> {
        let root = zeroed_frames(&mut frames, 1)?;
        // SAFETY: the frame is zeroed, which is a valid table, and belongs to this value alone.
        let table = unsafe { &mut *(root as *mut PageTable) };
        // SAFETY: physical memory is mapped at offset 0 for all frames that `Frames` hands out, and
        // every table below this one comes from there.
        let tables = unsafe { OffsetPageTable::new(table, VirtAddr::zero()) };
        Ok(AddressSpace { tables, root, frames })
    }

    /// Physical address of the top-level table.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// `count` new frames of zeros, one behind the other.
    pub fn zeroed_frames(&mut self, count: u64) -> Result<u64, Failure> {
        zeroed_frames(&mut self.frames, count)
    }

    /// Maps `length` bytes from a page at `virtual_start` to those from a frame at `physical_start`.
    pub fn map(
        &mut self,
        virtual_start: u64,
        physical_start: u64,
        length: u64,
        access: Access,
    ) -> Result<(), Failure> {
        for offset in (0..length).step_by(PAGE as usize) {
            let (virtual_address, physical) = (virtual_start + offset, physical_start + offset);
            self.map_page::<Size4KiB>(virtual_address, physical, access)?;
        }
        Ok(())
    }

    /// Maps one page of the window onto physical memory, whose address 0 is at `window`.
    pub fn map_window_page(&mut self, window: u64, page: WindowPage) -> Result<(), Failure> {
        let virtual_address = window + page.address;
        if page.size == HUGE_PAGE {
            self.map_page::<Size1GiB>(virtual_address, page.address, Access::ReadWrite)
        } else {
            self.map_page::<Size2MiB>(virtual_address, page.address, Access::ReadWrite)
        }
    }

    /// Makes the top-level table's entry `slot` refer to the table itself.
    pub fn map_tables_recursively(&mut self, slot: u16) {
        let flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE | PageTableFlags::NO_EXECUTE;
        let root = PhysAddr::new(self.root);
        self.tables.level_4_table_mut()[usize::from(slot)].set_addr(root, flags);
    }

    /// Physical address behind `virtual_address`, if it is mapped.
    pub fn translate(&self, virtual_address: u64) -> Option<u64> {
        self.tables.translate_addr(VirtAddr::new(virtual_address)).map(PhysAddr::as_u64)
    }

    fn map_page<S: PageSize + core::fmt::Debug>(
        &mut self,
        virtual_address: u64,
        physical: u64,
        access: Access,
    ) -> Result<(), Failure>
    where
        OffsetPageTable<'static>: Mapper<S>,
    {
        let page = Page::<S>::containing_address(VirtAddr::new(virtual_address));
        let frame = PhysFrame::containing_address(PhysAddr::new(physical));
        let upper_levels = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
        let mut source = TableFrames(&mut self.frames);
        // SAFETY: these tables are not in force, so nothing that runs can see the change. The kernel
        // gets what its file and its configuration ask for.
        let mapped = unsafe {
            self.tables.map_to_with_table_flags(
                page,
                frame,
                access.flags(),
                upper_levels,
                &mut source,
            )
        };
        match mapped {
            Ok(flush) => {
                // The tables are not in force: no processor has cached anything of them.
                flush.ignore();
                Ok(())
            }
            Err(MapToError::FrameAllocationFailed) => Err(Failure::new(
                Ending::TooLittleMemory,
                "no frames left for the kernel's page tables",
            )),
            Err(_) => Err(Failure::new(Ending::BadKernel, "two mappings share a page")),
        }
    }
}

fn zeroed_frames(frames: &mut Frames, count: u64) -> Result<u64, Failure> {
    let address = frames.take(count)?;
    // SAFETY: the frames are usable memory below 4 GiB, mapped at its own address, that nobody uses.
    unsafe { core::ptr::write_bytes(address as *mut u8, 0, (count * PAGE) as usize) };
    Ok(address)
}

/// [`Frames`] as the page tables want them.
struct TableFrames<'a>(&'a mut Frames);

// SAFETY: `Frames` never hands out a frame twice.
unsafe impl FrameAllocator<Size4KiB> for TableFrames<'_> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let address = self.0.take(1).ok()?;
        Some(PhysFrame::containing_address(PhysAddr::new(address)))
    }
}
