//! A virtual processor, as the library sees it: what of it nobody else touches.
//!
//! Everything here is used in a critical section, and by the virtual processor itself; so it needs no lock. (The kernel
//! never moves a thread that is in a critical section to another virtual processor.)

use crate::control::Context;
use crate::heap::{FreeBlocks, SIZES};
use abi::activations::{SA_BLOCKED, SA_FAULT, SaEvent, SaProcessor, SaStack};
use core::cell::{Cell, UnsafeCell};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use scheduler::idle::PROCESSORS_MAX;

/// Bytes of a stack for idling, and of one for upcalls.
pub const STACK: usize = 16 * 1024;

/// A stack of the library's own.
#[repr(C, align(4096))]
pub struct Stack(UnsafeCell<[u8; STACK]>);

// SAFETY: whoever stands on it touches it, and nobody else.
unsafe impl Sync for Stack {}

impl Stack {
    /// One that nobody stands on.
    #[expect(clippy::new_without_default, reason = "it is made where it stays")]
    pub const fn new() -> Stack {
        Stack(UnsafeCell::new([0; STACK]))
    }

    /// The address behind it.
    pub fn top(&self) -> u64 {
        self.0.get() as u64 + STACK as u64
    }

    /// As the kernel wants to hear of it.
    pub fn lent(&self) -> SaStack {
        SaStack { base: self.0.get() as u64, size: STACK as u64 }
    }
}

/// What is counted: see [`crate::runtime::Counts`].
pub const COUNTS: usize = 12;

/// A virtual processor.
#[repr(C, align(64))]
pub struct Processor {
    /// Its number.
    pub number: Cell<usize>,
    /// The line.
    pub line: Cell<*const SaProcessor>,
    /// The LWP that it is, where the kernel tells nothing.
    pub lwp: AtomicU64,
    /// Numbers of threads that are over, linked through their control blocks, and how many.
    pub free: Cell<u32>,
    /// See [`Processor::free`].
    pub free_count: Cell<u32>,
    /// Contexts that are free, linked likewise.
    pub contexts: Cell<*mut Context>,
    /// Free memory, by its size.
    pub blocks: [FreeBlocks; SIZES],
    /// The running thread's time is over: it lets others run when it leaves its critical section.
    pub wants_to_yield: Cell<bool>,
    /// It is about to be given back to the kernel, although there may be something to do.
    pub gives_back: Cell<bool>,
    /// What has happened.
    pub counts: [AtomicU64; COUNTS],
}

// SAFETY: see the module; what others read is atomic.
unsafe impl Sync for Processor {}

/// All of them.
pub static PROCESSORS: [Processor; PROCESSORS_MAX] = [const {
    Processor {
        number: Cell::new(0),
        line: Cell::new(core::ptr::null()),
        lwp: AtomicU64::new(0),
        free: Cell::new(0),
        free_count: Cell::new(0),
        contexts: Cell::new(core::ptr::null_mut()),
        blocks: [const { FreeBlocks::new() }; SIZES],
        wants_to_yield: Cell::new(false),
        gives_back: Cell::new(false),
        counts: [const { AtomicU64::new(0) }; COUNTS],
    }
}; PROCESSORS_MAX];

/// The stacks that they idle on.
pub static IDLE_STACKS: [Stack; PROCESSORS_MAX] = [const { Stack::new() }; PROCESSORS_MAX];

/// The virtual processor that this runs on. In a critical section.
#[inline(always)]
pub fn here() -> &'static Processor {
    let address = crate::line::word::<{ crate::line::PROCESSOR }>() as *const Processor;
    // SAFETY: every line has it, from before the first thread runs there.
    unsafe { &*address }
}

impl Processor {
    /// Counts something.
    #[inline(always)]
    pub fn count(&self, which: usize) {
        let count = &self.counts[which];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    /// Counts an event.
    pub fn count_event(&self, event: &SaEvent) {
        self.count(event.kind as usize);
        if event.kind == SA_BLOCKED && event.flags & SA_FAULT != 0 {
            self.count(crate::runtime::FAULTS);
        }
    }
}
