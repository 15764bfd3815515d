//! The frame allocator for use by all processors: the buddy allocator behind its lock, and in front
//! of it a small cache of single frames per processor.
//!
//! Single frames are nearly all that is ever asked for. A processor takes them from its cache and
//! puts them there, without a shared lock; an empty cache is filled, and a full one emptied, by half,
//! so that the lock is taken once for many frames whichever way they flow.
//!
//! Invariants:
//! - a frame is in at most one cache, and then its descriptor says that it is cached;
//! - a cache is touched by its own processor only, at level 13 (`per_cpu`).
//!
//! A frame that is freed twice is found, whichever ways and whichever processors free it, also at the
//! same time; unless it has been given out again between the two, which nobody can know.
//!
//! What lies in the caches of other processors, at most [`CACHE_SIZE`] frames each, is not found by an
//! allocation that fails. While memory is short, frames that are freed go past the caches; the page daemon
//! goes round and empties them before somebody has to go, and when somebody has failed who will try again
//! ([`FramePool::empty_cache`]).
//!
//! # Reserves
//!
//! Who frees memory may need some to do it. So the last frames are not for everybody ([`Class`]): what a class must
//! leave is left in the allocator. At present nobody in the kernel asks as [`Class::Daemon`], as swapping out allocates
//! nothing; its frames are out of the programs' reach all the same. Caches know no classes; they are filled only from what the caller's class may
//! have, and while a reserve is being used, by single frames.
//!
//! Bonwick and Adams, *Magazines and Vmem*, 2001, with one array where they have two magazines: the
//! half that stays behind does what their second magazine does.

use crate::OutOfMemory;
use crate::frame::{Frame, FrameNumber, FrameState, Kind};
use crate::frames::{FrameAllocator, FrameCounts};
use crate::per_cpu::PerCpu;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use machine::pil::{self, PilGuard};
use machine::spin_lock::SpinGuard;
use machine::{Atomic, Pil, SpinLock};

/// Most frames in a processor's cache. Small under loom, so that models reach both ends.
pub const CACHE_SIZE: usize = if cfg!(feature = "loom") { 2 } else { 32 };

/// How many frames move between a cache and the allocator at a time.
const BATCH: usize = CACHE_SIZE / 2;

/// Who asks for memory: how far down the reserves it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Programs, and whatever else can wait.
    Ordinary,
    /// Who makes memory free and needs some for that. Nobody at present: see the module.
    Daemon,
    /// Who can neither wait nor do without.
    Interrupt,
}

/// A processor's free frames.
struct Cache {
    /// By number; small, as this is there once per processor.
    frames: [u32; CACHE_SIZE],
    count: usize,
}

/// All frames of a machine. See the module.
pub struct FramePool {
    descriptors: &'static [Frame],
    allocator: SpinLock<FrameAllocator, 13>,
    /// How often a processor that wanted to fill its cache, or to empty it, found the allocator's lock taken.
    waits: AtomicU64,
    /// The number is how many frames the caches hold.
    caches: PerCpu<Cache>,
    /// What the ordinary class must leave, and what the daemon's must.
    left: [AtomicU64; 2],
    /// Below so many free frames memory is short.
    low: AtomicU64,
    is_low: AtomicBool,
}

impl FramePool {
    /// A pool of the frames that `allocator` knows; more can be added later ([`FramePool::release`]).
    pub fn new(allocator: FrameAllocator) -> FramePool {
        FramePool {
            descriptors: allocator.descriptors(),
            allocator: SpinLock::new(allocator),
            waits: AtomicU64::new(0),
            caches: PerCpu::new(|| Cache { frames: [0; CACHE_SIZE], count: 0 }),
            left: [const { AtomicU64::new(0) }; 2],
            low: AtomicU64::new(0),
            is_low: AtomicBool::new(false),
        }
    }

    /// Sets how many frames the ordinary class leaves to the others, how many of these the daemon's class leaves
    /// to the last, and below how many memory is short.
    pub fn set_reserves(&self, ordinary: u64, daemon: u64, low: u64) {
        assert!(daemon <= ordinary && ordinary <= low, "a reserve lies within the one before");
        self.left[0].store(ordinary, Ordering::Relaxed);
        self.left[1].store(daemon, Ordering::Relaxed);
        self.low.store(low, Ordering::Relaxed);
    }

    /// How often a processor has had to wait for the frames that all share.
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// The allocator, for a cache that has run empty or full.
    fn shared(&self) -> SpinGuard<'_, FrameAllocator, 13> {
        self.allocator.lock_anywhere_noting(|| {
            self.waits.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// How many frames a class can have on this processor, at this moment.
    pub fn available(&self, class: Class) -> u64 {
        let level = pil::raise_anywhere(Pil::SPIN_MAX);
        let free = self.allocator.lock_within(level.atomic()).free_frames();
        // SAFETY: the only access in this section.
        let cached = unsafe { self.caches.access(&level) }.count as u64;
        free.saturating_sub(self.left_by(class)) + cached
    }

    /// Whether memory was short when a cache was last filled.
    #[inline]
    pub fn is_low(&self) -> bool {
        self.is_low.load(Ordering::Relaxed)
    }

    /// What a class leaves to others.
    fn left_by(&self, class: Class) -> u64 {
        match class {
            Class::Ordinary => self.left[0].load(Ordering::Relaxed),
            Class::Daemon => self.left[1].load(Ordering::Relaxed),
            Class::Interrupt => 0,
        }
    }

    /// Allocates a frame, within a critical section. Its contents are anything.
    #[inline]
    pub fn allocate(&self, atomic: &Atomic) -> Result<FrameNumber, OutOfMemory> {
        self.allocate_at_level(Class::Ordinary, &pil::raise_within(Pil::SPIN_MAX, atomic))
    }

    /// Allocates a frame, wherever the caller comes from. Its contents are anything.
    #[inline]
    pub fn allocate_anywhere(&self) -> Result<FrameNumber, OutOfMemory> {
        self.allocate_as(Class::Ordinary)
    }

    /// The same for a class.
    #[inline]
    pub fn allocate_as(&self, class: Class) -> Result<FrameNumber, OutOfMemory> {
        self.allocate_at_level(class, &pil::raise_anywhere(Pil::SPIN_MAX))
    }

    /// Frees a frame, within a critical section. Panics if it is not allocated at this moment.
    #[inline]
    pub fn free(&self, atomic: &Atomic, frame: FrameNumber) {
        self.free_at_level(&pil::raise_within(Pil::SPIN_MAX, atomic), frame);
    }

    /// Frees a frame, wherever the caller comes from. Panics if it is not allocated at this moment.
    #[inline]
    pub fn free_anywhere(&self, frame: FrameNumber) {
        self.free_at_level(&pil::raise_anywhere(Pil::SPIN_MAX), frame);
    }

    /// Allocates a block of 2^order frames and returns its first.
    pub fn allocate_block(&self, order: u8) -> Result<FrameNumber, OutOfMemory> {
        self.allocator.lock_anywhere().allocate(order)
    }

    /// Allocates a block of 2^order frames that ends at or below `limit`; slow.
    pub fn allocate_block_below(
        &self,
        order: u8,
        limit: FrameNumber,
    ) -> Result<FrameNumber, OutOfMemory> {
        self.allocator.lock_anywhere().allocate_below(order, limit)
    }

    /// Frees a block, or a frame without caching it.
    pub fn free_block(&self, first: FrameNumber) {
        self.allocator.lock_anywhere().free(first);
    }

    /// Gives reserved frames to the allocator.
    pub fn release(&self, range: Range<FrameNumber>) {
        self.allocator.lock_anywhere().release(range);
    }

    /// Gives the current processor's cached frames back to the allocator, so that they can be
    /// joined and other processors can have them.
    pub fn empty_cache(&self) {
        let level = pil::raise_anywhere(Pil::SPIN_MAX);
        // SAFETY: the only access in this section.
        let mut cache = unsafe { self.caches.access(&level) };
        let count = cache.count;
        self.spill(&mut cache, count, &level);
    }

    /// What a frame is.
    pub fn state(&self, frame: FrameNumber) -> FrameState {
        self.allocator.lock_anywhere().state(frame)
    }

    /// How many frames are in which state; exact while nobody allocates or frees.
    pub fn counts(&self) -> FrameCounts {
        let mut counts = self.allocator.lock_anywhere().counts();
        counts.cached = self.caches.sum();
        counts.used = counts.used.saturating_sub(counts.cached);
        counts
    }

    /// How many frames are free, those in caches included.
    pub fn free_frames(&self) -> u64 {
        let free = self.allocator.lock_anywhere().free_frames();
        free + self.caches.sum()
    }

    #[inline]
    fn allocate_at_level(
        &self,
        class: Class,
        level: &PilGuard<'_>,
    ) -> Result<FrameNumber, OutOfMemory> {
        // SAFETY: the only access in this section.
        let mut cache = unsafe { self.caches.access(level) };
        if cache.count == 0 {
            self.fill(&mut cache, class, level)?;
        }
        cache.count -= 1;
        let frame = FrameNumber::new(u64::from(cache.frames[cache.count]));
        self.descriptor(frame).set(Kind::Used, 0);
        self.caches.add(level, -1);
        Ok(frame)
    }

    #[inline]
    fn free_at_level(&self, level: &PilGuard<'_>, frame: FrameNumber) {
        let descriptor = self.descriptors.get(frame.number() as usize);
        if !descriptor.is_some_and(Frame::cache) {
            self.wrong_free(frame);
        }
        if self.is_low() {
            return self.free_past_cache(frame, level);
        }
        // SAFETY: the only access in this section.
        let mut cache = unsafe { self.caches.access(level) };
        if cache.count == CACHE_SIZE {
            self.spill(&mut cache, BATCH, level);
        }
        let place = cache.count;
        cache.frames[place] = frame.number() as u32;
        cache.count += 1;
        self.caches.add(level, 1);
    }

    /// Frees a frame while memory is short: other processors may wait for it.
    #[cold]
    fn free_past_cache(&self, frame: FrameNumber, level: &PilGuard<'_>) {
        let mut allocator = self.allocator.lock_within(level.atomic());
        allocator.free_cached(frame);
        self.note_free(allocator.free_frames());
    }

    /// Notes whether memory is short, with so many frames free.
    fn note_free(&self, free: u64) {
        self.is_low.store(free < self.low.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Moves frames from the allocator into an empty cache: at least one, or it has none.
    #[cold]
    fn fill(
        &self,
        cache: &mut Cache,
        class: Class,
        level: &PilGuard<'_>,
    ) -> Result<(), OutOfMemory> {
        let mut allocator = self.shared();
        let free = allocator.free_frames();
        self.note_free(free);
        let above_ordinary = free.saturating_sub(self.left_by(Class::Ordinary));
        let wanted = match free.saturating_sub(self.left_by(class)) {
            0 => 0,
            // From a reserve only what is needed now: the next one may be of another class.
            _ => above_ordinary.clamp(1, BATCH as u64) as usize,
        };
        while cache.count < wanted {
            let Ok(frame) = allocator.allocate_cached() else { break };
            cache.frames[cache.count] = frame.number() as u32;
            cache.count += 1;
        }
        self.caches.add(level, cache.count as i64);
        if cache.count == 0 { Err(OutOfMemory) } else { Ok(()) }
    }

    /// Moves frames from a cache to the allocator: those that have been there longest, since the
    /// others may still be in the processor's cache.
    #[cold]
    fn spill(&self, cache: &mut Cache, count: usize, level: &PilGuard<'_>) {
        let mut allocator = self.shared();
        for &number in &cache.frames[..count] {
            allocator.free_cached(FrameNumber::new(u64::from(number)));
        }
        let held = cache.count;
        cache.frames.copy_within(count..held, 0);
        cache.count -= count;
        self.caches.add(level, -(count as i64));
    }

    #[inline]
    fn descriptor(&self, frame: FrameNumber) -> &Frame {
        &self.descriptors[frame.number() as usize]
    }

    #[cold]
    fn wrong_free(&self, frame: FrameNumber) -> ! {
        panic!("wrong free of {frame}, which is {:?}", self.state(frame));
    }
}
