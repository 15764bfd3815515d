//! The buddy allocator: every frame of the machine, in blocks of 2^order frames.
//!
//! A block of 2^k frames begins at a multiple of 2^k. Its *buddy* is the other half of the block of
//! 2^(k+1) that contains it. Allocation takes the smallest block that is large enough and splits off
//! what it does not need; freeing joins a block with its buddy as long as that is free.
//!
//! Invariants:
//! - blocks do not overlap, and every frame that is not absent is in exactly one;
//! - a free block is in the free list of its order, and its buddy is not free with the same order:
//!   what can be joined is;
//! - a descriptor that heads no block says so (see [`crate::frame`]).
//!
//! Every operation but [`FrameAllocator::reserve`], [`FrameAllocator::release`] and
//! [`FrameAllocator::allocate_below`] touches at most a few descriptors per order, however large the
//! machine is.
//!
//! Knuth, *The Art of Computer Programming* 1, 2.5; Knowlton 1965.

use crate::OutOfMemory;
use crate::frame::{Frame, FrameNumber, FrameState, Kind};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::sync::atomic::Ordering;

/// The largest block has 2^18 frames: 1 GiB.
pub const ORDER_MAX: u8 = 18;

/// The end of a free list.
const NIL: u32 = u32::MAX;

/// How many frames are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// In free blocks of the allocator.
    pub free: u64,
    /// In some processor's cache: free too, for that processor.
    pub cached: u64,
    /// Allocated.
    pub used: u64,
    /// Not for the allocator.
    pub reserved: u64,
    /// No memory.
    pub absent: u64,
}

/// A block: where it begins, and what its head says.
#[derive(Clone, Copy)]
struct Block {
    head: u32,
    order: u8,
    kind: Kind,
}

/// The allocator. See the module; for use by several processors, [`crate::FramePool`].
pub struct FrameAllocator {
    frames: &'static [Frame],
    /// Per order, the head of the first free block.
    lists: [u32; ORDER_MAX as usize + 1],
    /// Bit `n` set: the free list of order `n` is not empty.
    orders: u32,
    /// Frames from here on have been named neither to `add` nor to `reserve`.
    known_until: u32,
    free: u64,
    used: u64,
    reserved: u64,
}

impl FrameAllocator {
    /// An allocator for frames 0 to the number of `descriptors`, all absent.
    pub fn new(descriptors: &'static mut [MaybeUninit<Frame>]) -> FrameAllocator {
        assert!(descriptors.len() < NIL as usize, "more frames than links can name");
        let count = descriptors.len();
        let first = descriptors.as_mut_ptr();
        // SAFETY: the slice is ours, and zeros are a valid descriptor.
        unsafe { core::ptr::write_bytes(first, 0, count) };
        // SAFETY: initialised above, and borrowed for ever.
        let frames = unsafe { core::slice::from_raw_parts(first.cast::<Frame>(), count) };
        FrameAllocator {
            frames,
            lists: [NIL; ORDER_MAX as usize + 1],
            orders: 0,
            known_until: 0,
            free: 0,
            used: 0,
            reserved: 0,
        }
    }

    /// The descriptors, for whoever caches frames.
    pub(crate) fn descriptors(&self) -> &'static [Frame] {
        self.frames
    }

    /// Gives the frames of a range, memory that nobody uses, to the allocator.
    ///
    /// Ranges come in ascending order, each above all that were added or reserved before: so that
    /// no frame is given twice, whatever the firmware's memory map says.
    pub fn add(&mut self, range: Range<FrameNumber>) {
        let range = self.indices(range);
        assert!(
            range.start >= self.known_until,
            "memory is added in ascending order: {:?} is below {:?}",
            number(range.start),
            number(self.known_until)
        );
        self.known_until = range.end;
        self.free += u64::from(range.end - range.start);
        for (head, order) in blocks(range) {
            self.give(head, order);
        }
    }

    /// Takes the frames of a range out of the allocator. They are free, absent or already reserved.
    pub fn reserve(&mut self, range: Range<FrameNumber>) {
        let range = self.indices(range);
        self.known_until = self.known_until.max(range.end);
        let mut index = range.start;
        while index < range.end {
            index = match self.block_of(index) {
                None => {
                    self.frame(index).set(Kind::Reserved, 0);
                    self.reserved += 1;
                    index + 1
                }
                Some(block) => {
                    match block.kind {
                        Kind::Reserved => {}
                        Kind::Free => {
                            self.unlink(block.head, block.order);
                            self.reserve_part(block.head, block.order, &range);
                        }
                        _ => self.wrong("reservation", index),
                    }
                    block.head + (1 << block.order)
                }
            };
        }
    }

    /// Reserves what of a block, which is free but in no list, lies in the range.
    fn reserve_part(&mut self, head: u32, order: u8, range: &Range<u32>) {
        match part(head, order, range) {
            Part::Whole => {
                self.frame(head).set(Kind::Reserved, order);
                self.free -= 1 << order;
                self.reserved += 1 << order;
            }
            Part::None => self.link(head, order),
            Part::Some => {
                let half = 1 << (order - 1);
                self.reserve_part(head, order - 1, range);
                self.reserve_part(head + half, order - 1, range);
            }
        }
    }

    /// Gives reserved frames to the allocator: what was needed until now, such as the loader's
    /// memory.
    pub fn release(&mut self, range: Range<FrameNumber>) {
        let range = self.indices(range);
        let mut index = range.start;
        while index < range.end {
            match self.block_of(index) {
                Some(block) if block.kind == Kind::Reserved => {
                    self.frame(block.head).set(Kind::Tail, 0);
                    self.release_part(block.head, block.order, &range);
                    index = block.head + (1 << block.order);
                }
                _ => self.wrong("release", index),
            }
        }
    }

    /// Frees what of a block, which is reserved but whose head no longer says so, lies in the range.
    fn release_part(&mut self, head: u32, order: u8, range: &Range<u32>) {
        match part(head, order, range) {
            Part::Whole => {
                self.reserved -= 1 << order;
                self.free += 1 << order;
                self.give(head, order);
            }
            Part::None => self.frame(head).set(Kind::Reserved, order),
            Part::Some => {
                let half = 1 << (order - 1);
                self.release_part(head, order - 1, range);
                self.release_part(head + half, order - 1, range);
            }
        }
    }

    /// Allocates a block of 2^order frames and returns its first.
    pub fn allocate(&mut self, order: u8) -> Result<FrameNumber, OutOfMemory> {
        self.allocate_as(Kind::Used, order)
    }

    /// Allocates a frame for a processor's cache. It never says that it is used, so that a stray free
    /// from elsewhere finds nothing to claim.
    pub(crate) fn allocate_cached(&mut self) -> Result<FrameNumber, OutOfMemory> {
        self.allocate_as(Kind::Cached, 0)
    }

    fn allocate_as(&mut self, kind: Kind, order: u8) -> Result<FrameNumber, OutOfMemory> {
        if order > ORDER_MAX {
            return Err(OutOfMemory);
        }
        let large_enough = self.orders & (u32::MAX << order);
        if large_enough == 0 {
            return Err(OutOfMemory);
        }
        let found = large_enough.trailing_zeros() as u8;
        let head = self.lists[usize::from(found)];
        self.unlink(head, found);
        Ok(self.take(head, found, head, order, kind))
    }

    /// Allocates a block of 2^order frames that ends at or below `limit`. Looks through all blocks
    /// from frame 0 up: for start-up code, and for devices that reach only part of the memory.
    pub fn allocate_below(
        &mut self,
        order: u8,
        limit: FrameNumber,
    ) -> Result<FrameNumber, OutOfMemory> {
        if order > ORDER_MAX {
            return Err(OutOfMemory);
        }
        let size = 1u64 << order;
        let limit = limit.number().min(self.frames.len() as u64);
        let mut index = 0u64;
        while index + size <= limit {
            let wanted = index as u32;
            let passed = match self.block_of(wanted) {
                Some(block) if block.kind == Kind::Free && block.order >= order => {
                    self.unlink(block.head, block.order);
                    return Ok(self.take(block.head, block.order, wanted, order, Kind::Used));
                }
                Some(block) => u64::from(block.head) + (1 << block.order),
                None => index + 1,
            };
            index = passed.next_multiple_of(size);
        }
        Err(OutOfMemory)
    }

    /// Splits a block, which is in no list, down to the one of 2^order frames at `wanted`, and
    /// allocates that, as used or as cached.
    fn take(
        &mut self,
        mut head: u32,
        mut found: u8,
        wanted: u32,
        order: u8,
        kind: Kind,
    ) -> FrameNumber {
        while found > order {
            found -= 1;
            let upper = head + (1 << found);
            if wanted >= upper {
                self.link(head, found);
                head = upper;
            } else {
                self.link(upper, found);
            }
        }
        self.frame(head).set(kind, order);
        self.free -= 1 << order;
        self.used += 1 << order;
        number(head)
    }

    /// Frees a block; `first` is what `allocate` returned. Anything else is a bug of the caller's
    /// and ends in a panic; except that nobody can know a second free of a block that has been given
    /// out again meanwhile, which frees it under its new owner.
    pub fn free(&mut self, first: FrameNumber) {
        self.free_from(Kind::Used, first);
    }

    /// Takes a frame back from a processor's cache.
    pub(crate) fn free_cached(&mut self, frame: FrameNumber) {
        self.free_from(Kind::Cached, frame);
    }

    fn free_from(&mut self, kind: Kind, first: FrameNumber) {
        let Some(frame) = self.frames.get(first.number() as usize) else {
            panic!("wrong free of {first}, which the machine does not have");
        };
        let head = first.number() as u32;
        let (says, order) = frame.says();
        // The lock keeps the allocator's other users out, but not those who free into a cache.
        if says != kind || !frame.claim(kind, order, Kind::Tail) {
            self.wrong("free", head);
        }
        self.used -= 1 << order;
        self.free += 1 << order;
        self.give(head, order);
    }

    /// What a frame is.
    pub fn state(&self, frame: FrameNumber) -> FrameState {
        let index = frame.number();
        if index >= self.frames.len() as u64 {
            return FrameState::Absent;
        }
        let Some(block) = self.block_of(index as u32) else {
            return FrameState::Absent;
        };
        let head = number(block.head);
        match block.kind {
            Kind::Reserved => FrameState::Reserved,
            Kind::Cached => FrameState::Cached,
            Kind::Free if head == frame => FrameState::Free { order: block.order },
            Kind::Free => FrameState::InsideFree { head },
            _ if head == frame => FrameState::Used { order: block.order },
            _ => FrameState::InsideUsed { head },
        }
    }

    /// How many frames are in which state. Cached frames count as used here; the pool knows them.
    pub fn counts(&self) -> FrameCounts {
        let FrameAllocator { free, used, reserved, .. } = *self;
        let absent = self.frames.len() as u64 - free - used - reserved;
        FrameCounts { free, cached: 0, used, reserved, absent }
    }

    /// How many frames are free.
    pub fn free_frames(&self) -> u64 {
        self.free
    }

    /// How many free blocks of 2^order frames there are. Walks the list: for tests and statistics.
    pub fn free_blocks(&self, order: u8) -> usize {
        let first = self.lists[usize::from(order)];
        core::iter::successors((first != NIL).then_some(first), |&index| {
            let next = self.frame(index).next.load(Ordering::Relaxed);
            (next != NIL).then_some(next)
        })
        .count()
    }

    /// Makes a block free, joined with its buddies as far as they are free.
    fn give(&mut self, mut head: u32, mut order: u8) {
        while order < ORDER_MAX {
            let buddy = head ^ (1 << order);
            let Some(frame) = self.frames.get(buddy as usize) else { break };
            if frame.says() != (Kind::Free, order) {
                break;
            }
            self.unlink(buddy, order);
            self.frame(head.max(buddy)).set(Kind::Tail, 0);
            head = head.min(buddy);
            order += 1;
        }
        self.link(head, order);
    }

    /// Puts a block into the free list of its order.
    fn link(&mut self, head: u32, order: u8) {
        let first = &mut self.lists[usize::from(order)];
        let next = core::mem::replace(first, head);
        self.orders |= 1 << order;
        let frame = self.frame(head);
        frame.set(Kind::Free, order);
        frame.next.store(next, Ordering::Relaxed);
        frame.previous.store(NIL, Ordering::Relaxed);
        if next != NIL {
            self.frame(next).previous.store(head, Ordering::Relaxed);
        }
    }

    /// Takes a block out of the free list of its order. Its head still says that it is free.
    fn unlink(&mut self, head: u32, order: u8) {
        let frame = self.frame(head);
        let next = frame.next.load(Ordering::Relaxed);
        let previous = frame.previous.load(Ordering::Relaxed);
        if next != NIL {
            self.frame(next).previous.store(previous, Ordering::Relaxed);
        }
        if previous != NIL {
            self.frame(previous).next.store(next, Ordering::Relaxed);
        } else {
            self.lists[usize::from(order)] = next;
            if next == NIL {
                self.orders &= !(1 << order);
            }
        }
    }

    /// The block that contains a frame: the first, looking at ever more aligned places at or below
    /// it, whose head says that it reaches that far.
    fn block_of(&self, index: u32) -> Option<Block> {
        (0..=ORDER_MAX).find_map(|alignment| {
            let head = index >> alignment << alignment;
            let (kind, order) = self.frame(head).says();
            (kind.is_head() && order >= alignment).then_some(Block { head, order, kind })
        })
    }

    #[inline]
    fn frame(&self, index: u32) -> &'static Frame {
        &self.frames[index as usize]
    }

    fn indices(&self, range: Range<FrameNumber>) -> Range<u32> {
        let (start, end) = (range.start.number(), range.end.number());
        assert!(
            start <= end && end <= self.frames.len() as u64,
            "no descriptors for {range:?}: there are {}",
            self.frames.len()
        );
        start as u32..end as u32
    }

    #[cold]
    fn wrong(&self, what: &str, index: u32) -> ! {
        let frame = number(index);
        panic!("wrong {what} of {frame}, which is {:?}", self.state(frame));
    }
}

fn number(index: u32) -> FrameNumber {
    FrameNumber::new(u64::from(index))
}

/// Cuts a range into the fewest blocks.
fn blocks(range: Range<u32>) -> impl Iterator<Item = (u32, u8)> {
    let mut at = range.start;
    core::iter::from_fn(move || {
        let left = range.end - at;
        let order = left.checked_ilog2()?.min(at.trailing_zeros()).min(u32::from(ORDER_MAX));
        let head = at;
        at += 1 << order;
        Some((head, order as u8))
    })
}

/// How much of a block lies in a range.
enum Part {
    None,
    Some,
    Whole,
}

fn part(head: u32, order: u8, range: &Range<u32>) -> Part {
    let end = head + (1 << order);
    if head >= range.start && end <= range.end {
        Part::Whole
    } else if end <= range.start || head >= range.end {
        Part::None
    } else {
        Part::Some
    }
}
