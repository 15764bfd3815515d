//! Shortage: getting memory, and waiting for it.
//!
//! Nobody waits for memory with anything held. A fault that gets none lets go of all that it has and sleeps here
//! until somebody frees a page, then begins again. The page daemon is told that it is needed: before that, when
//! memory gets short, and again by everybody who waits.
//!
//! A few cannot wait like that: who makes a process, an entry of a map, a table. They fail, and can be tried again
//! ([`crate::Vm::ask_for_memory`]).

use atomics::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
use dispatch::{WaitChannel, Woken};
use machine::{MayFault, time};
use memory::{Class, FrameNumber, Memory, OutOfMemory};

/// Free frames above which nobody need be modest.
const PLENTY: u64 = 64;

/// What a fault may need at most, in frames: its page, the source, tables, slabs. With less, faults would wake up
/// only to find that again.
const ENOUGH: u64 = 8;

/// Whether the running thread could get as much as a fault may need.
fn is_enough() -> bool {
    Memory::current().frames.available(Class::Ordinary) >= ENOUGH
}

/// Who waits for memory. See the module.
pub(crate) struct Shortage {
    /// Threads that wait, or are about to.
    waiting: AtomicU32,
    /// Counts what has been freed while somebody waited.
    freed: AtomicU64,
    channel: WaitChannel,
    /// Somebody has begun to wait since the last frame was freed.
    acute: AtomicBool,
    /// Somebody needs memory at once who cannot wait as a fault does, and the daemon has not heard of it.
    scattered: AtomicBool,
    /// The daemon is wanted.
    wanted: AtomicBool,
    daemon: WaitChannel,
}

impl Shortage {
    pub(crate) fn new() -> Shortage {
        Shortage {
            waiting: AtomicU32::new(0),
            freed: AtomicU64::new(0),
            channel: WaitChannel::new(),
            acute: AtomicBool::new(false),
            scattered: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            daemon: WaitChannel::new(),
        }
    }

    /// A frame for a program's page.
    #[inline]
    pub(crate) fn allocate(&self) -> Result<FrameNumber, OutOfMemory> {
        let frames = &Memory::current().frames;
        let frame = frames.allocate_as(Class::Ordinary);
        if frames.is_low() {
            self.call_daemon();
        }
        frame
    }

    /// Whether there is so much that reading ahead does no harm.
    pub(crate) fn is_plentiful(&self) -> bool {
        let frames = &Memory::current().frames;
        !frames.is_low() && frames.free_frames() > PLENTY
    }

    /// How many threads wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether somebody waits, and nothing has been freed since: who has been woken may not have run yet.
    pub(crate) fn is_acute(&self) -> bool {
        self.acute.load(Ordering::Acquire) && self.waiting() != 0
    }

    /// Sleeps until there may be memory, or the thread is interrupted. Nothing is held.
    pub(crate) fn wait(&self, may_fault: &mut MayFault) -> Woken {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // First the count, then the look; who frees: first the frame, then the count.
        fence(Ordering::SeqCst);
        let before = self.freed.load(Ordering::Acquire);
        let woken = if is_enough() {
            Woken::ByEvent
        } else {
            self.acute.store(true, Ordering::Release);
            self.wanted.swap(true, Ordering::AcqRel);
            // Even if it has been called: it may be resting.
            self.daemon.wake_all();
            let none_freed = || self.freed.load(Ordering::Relaxed) == before;
            self.channel.sleep_while_interruptible(none_freed, may_fault)
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        woken
    }

    /// A page has been freed.
    #[inline]
    pub(crate) fn note_free(&self) {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.wake_all();
        }
    }

    /// Wakes those who wait if there is memory by now: page tables and slabs free frames too, and do not say so.
    ///
    /// What this processor keeps for itself is given back first. Who waits runs on another one, and would only wake up
    /// to find that it cannot have it.
    pub(crate) fn relieve(&self) {
        if self.is_acute() {
            Memory::current().frames.empty_cache();
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(&self) {
        if is_enough() {
            self.acute.store(false, Ordering::Relaxed);
            // After that: who has seen this count, and waits, is acute anew.
            self.freed.fetch_add(1, Ordering::Release);
            self.channel.wake_all();
        }
    }

    /// The daemon is to look for memory.
    pub(crate) fn call_daemon(&self) {
        if !self.wanted.swap(true, Ordering::AcqRel) {
            self.daemon.wake_all();
        }
    }

    /// Somebody has got no memory who will ask again soon: the daemon is to look for some, also where it lies scattered
    /// over the processors' caches, of which a count of what is free says nothing.
    pub(crate) fn ask(&self) {
        self.scattered.store(true, Ordering::Release);
        self.wanted.swap(true, Ordering::AcqRel);
        // Even if it has been called: it may be resting.
        self.daemon.wake_all();
    }

    /// Whether somebody has asked since the last time.
    pub(crate) fn take_request(&self) -> bool {
        self.scattered.swap(false, Ordering::AcqRel)
    }

    /// The daemon sleeps until it is wanted.
    pub(crate) fn wait_for_call(&self, may_fault: &mut MayFault) {
        while !self.wanted.swap(false, Ordering::AcqRel) {
            self.daemon.sleep_while(|| !self.wanted.load(Ordering::Acquire), may_fault);
        }
    }

    /// The daemon sleeps so many ticks, or until somebody waits for memory: for programs to use what they have just
    /// brought in. If every fault called it at once it would take a page away before its program had run.
    pub(crate) fn rest(&self, ticks: u64, may_fault: &mut MayFault) {
        self.daemon.sleep_while_until(|| !self.is_acute(), time::now() + ticks, may_fault);
    }

    /// The daemon sleeps until it is wanted again, or so many ticks. (It works, so it has been wanted: that does not
    /// count, or it would never let anybody run who has memory to give.)
    pub(crate) fn pause(&self, ticks: u64, may_fault: &mut MayFault) {
        // Read, too: what was done before a call that is taken back here is seen from now on.
        self.wanted.swap(false, Ordering::AcqRel);
        let not_wanted = || !self.wanted.load(Ordering::Acquire);
        self.daemon.sleep_while_until(not_wanted, time::now() + ticks, may_fault);
    }
}

#[cfg(test)]
#[path = "tests/shortage.rs"]
mod tests;
