//! Memory before there is a frame allocator: pieces cut off the largest usable region.
//!
//! What is made here lives for ever: the first processor, the system, the kernel's data, the frame
//! descriptors. Everything later comes from frames and slabs.

use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use core::alloc::Layout;
use core::mem::MaybeUninit;
use memory::{Frame, FrameAllocator, FrameNumber, Memory};
use vm::{Page, Pages};

/// The loader's memory map, and what has been cut off.
pub struct BootMemory<'a> {
    regions: &'a [MemoryRegion],
    /// Where physical memory is mapped.
    offset: u64,
    /// The rest of the region that is being cut.
    next: u64,
    end: u64,
    /// Where cutting started.
    start: u64,
}

/// Frames below 1 MiB are left alone but for those that the map calls usable: processors start there.
const FIRST_MEGABYTE: u64 = 1 << 20;

impl<'a> BootMemory<'a> {
    /// Starts with a memory map; `None` if it has no usable memory.
    pub fn new(regions: &'a [MemoryRegion], offset: u64) -> Option<BootMemory<'a>> {
        let largest = usable(regions)
            .filter(|region| region.start >= FIRST_MEGABYTE)
            .max_by_key(|region| region.end - region.start)?;
        Some(BootMemory {
            regions,
            offset,
            next: largest.start,
            end: largest.end,
            start: largest.start,
        })
    }

    /// How many bytes of usable memory there are.
    pub fn usable_bytes(&self) -> u64 {
        usable(self.regions).map(|region| region.end - region.start).sum()
    }

    fn cut(&mut self, layout: Layout) -> *mut u8 {
        let start = self.next.next_multiple_of(layout.align() as u64);
        let end = start + layout.size() as u64;
        assert!(end <= self.end, "the largest region is too small for the kernel's own data");
        self.next = end;
        (self.offset + start) as *mut u8
    }

    /// Keeps a value for ever.
    pub fn keep<T>(&mut self, value: T) -> &'static mut T {
        let place = self.cut(Layout::new::<T>()).cast::<T>();
        // SAFETY: a fresh piece of usable memory of the right size and alignment.
        unsafe { place.write(value) };
        // SAFETY: initialised above, and nobody else's for ever.
        unsafe { &mut *place }
    }

    /// Keeps a copy of some bytes for ever.
    pub fn keep_bytes(&mut self, bytes: &[u8]) -> &'static [u8] {
        let layout = Layout::for_value(bytes);
        let place = self.cut(layout);
        // SAFETY: a fresh piece of usable memory of this size.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        // SAFETY: initialised above, and nobody else's for ever.
        unsafe { core::slice::from_raw_parts(place, bytes.len()) }
    }

    /// How many frames there are, from 0 up to the last that is memory.
    fn frame_count(&self) -> u64 {
        usable(self.regions).map(|region| region.end).max().unwrap_or(0) >> 12
    }

    /// Ends this: the frame allocator gets everything else.
    pub fn into_frames(mut self) -> &'static Memory {
        let memory = self.cut(Layout::new::<Memory>()).cast::<Memory>();
        let count = self.frame_count();
        let layout = Layout::array::<MaybeUninit<Frame>>(count as usize)
            .expect("a descriptor for every frame is less than memory");
        let place = self.cut(layout).cast::<MaybeUninit<Frame>>();
        // SAFETY: a fresh piece of usable memory of this size, nobody else's for ever.
        let descriptors = unsafe { core::slice::from_raw_parts_mut(place, count as usize) };
        let mut frames = FrameAllocator::new(descriptors);
        let kept_until = FrameNumber::at_or_above(self.next);
        for region in self.regions {
            // Whole frames only, and never the first: a null physical address stays nobody's.
            let start = FrameNumber::at_or_above(region.start.max(4096));
            let end = FrameNumber::containing(region.end.min(count << 12));
            if start >= end {
                continue;
            }
            match region.kind {
                MemoryRegionKind::Usable if region.start == self.start => {
                    frames.reserve(start..kept_until);
                    frames.add(kept_until..end);
                }
                MemoryRegionKind::Usable => frames.add(start..end),
                MemoryRegionKind::UnknownBios(abi::boot::COMMAND_LINE_REGION) => {}
                _ => frames.reserve(start..end),
            }
        }
        // SAFETY: a fresh piece of usable memory of the right size and alignment.
        unsafe { memory.write(Memory::new(frames)) };
        // SAFETY: initialised above, and nobody else's for ever.
        unsafe { &*memory }
    }

    /// A page for each frame.
    pub fn make_pages(&mut self) -> Pages {
        let count = self.frame_count() as usize;
        let layout =
            Layout::array::<Page>(count).expect("a page for every frame is less than memory");
        let place = self.cut(layout).cast::<MaybeUninit<Page>>();
        // SAFETY: a fresh piece of usable memory of this size, nobody else's for ever.
        let pages = unsafe { core::slice::from_raw_parts_mut(place, count) };
        for page in &mut *pages {
            page.write(Page::new());
        }
        // SAFETY: initialised above.
        Pages::new(FrameNumber::new(0), unsafe { pages.assume_init_ref() })
    }
}

fn usable(regions: &[MemoryRegion]) -> impl Iterator<Item = &MemoryRegion> {
    regions.iter().filter(|region| region.kind == MemoryRegionKind::Usable)
}
