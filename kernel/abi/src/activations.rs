//! Scheduler activations: what the kernel and a thread library share.
//!
//! The library registers (`sa_register`), lends the kernel stacks for upcalls (`sa_stacks`) and lets it begin
//! (`sa_enable`). From then on the kernel starts it at its entry whenever there is something to tell:
//!
//! ```text
//! rdi = the upcall, a [`SaUpcall`]     rsi = the virtual processor, a [`SaProcessor`]; also the base of fs
//! rsp = the top of the upcall's stack, as after a call
//! ```
//!
//! Upcalls, virtual processors and save slots lie in memory of the kernel's that never goes away; the program reads and
//! writes it like its own. What it writes there is believed only as far as it harms nobody else.
//!
//! A stack, with its upcall, is given back by storing [`SaTold::used`] to [`SaUpcall::returned`]; a slot likewise. If
//! `calls` is not 0 after that, `sa_stacks` is called with no stacks.

use core::sync::atomic::{AtomicU32, AtomicU64};

/// A virtual processor has a processor, which it had not before.
pub const SA_NEWPROC: u32 = 0;
/// A virtual processor has lost its processor; what ran there is in the event's slot.
pub const SA_PREEMPTED: u32 = 1;
/// The thread that ran on a virtual processor has blocked in the kernel.
pub const SA_BLOCKED: u32 = 2;
/// That is over; the thread is in the event's slot.
pub const SA_UNBLOCKED: u32 = 3;
/// A signal.
pub const SA_SIGNAL: u32 = 4;
/// A timer.
pub const SA_SIGEV: u32 = 5;
/// `sa_preempt`.
pub const SA_USER: u32 = 6;

/// [`sa_yield`](crate::system_calls): there is something to do all the same; the processor is given back, as the header
/// asks for.
pub const SA_GIVES_BACK: u32 = 1;

/// In place of a slot's, a stack's or another number: none.
pub const SA_NONE: u32 = u32::MAX;

/// [`SaEvent::flags`]: the thread waits for a page, at [`SaEvent::address`].
pub const SA_FAULT: u32 = 1;
/// It wanted to write.
pub const SA_FAULT_WRITE: u32 = 2;

/// For `timer_create`: the end of the timer is an event, SIGEV; its value says whose: of the virtual processor of this
/// number, or of any ([`SA_NONE`]).
pub const SIGEV_SA: u32 = 3;
/// In a virtual processor's number there: if the program runs on it, and else not.
pub const SA_WHILE_IT_RUNS: u32 = 1 << 31;

/// Most events of an upcall.
pub const SA_EVENTS_MAX: usize = 30;

/// What a library is, for `sa_register`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SaLibrary {
    /// Where upcalls begin.
    pub entry: u64,
    /// The text of its scheduler: a page fault there raises no upcall.
    pub scheduler_start: u64,
    /// The address behind that.
    pub scheduler_end: u64,
    /// How many virtual processors it may ask for.
    pub processors: u32,
    /// How many upcall stacks it may lend.
    pub stacks: u32,
    /// How many save slots it wants.
    pub slots: u32,
    /// 0.
    pub flags: u32,
}

/// Where the shared memory is, from `sa_register`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SaAreas {
    /// The [`SaHeader`].
    pub header: u64,
    /// An array of [`SaProcessor`].
    pub processors: u64,
    /// An array of [`SaUpcall`], one for each stack.
    pub upcalls: u64,
    /// An array of [`SaSlot`].
    pub slots: u64,
}

/// An upcall stack, for `sa_stacks`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SaStack {
    /// Its lowest address; a multiple of 16.
    pub base: u64,
    /// Its length in bytes; a multiple of 16.
    pub size: u64,
}

/// How many processors the process has. The kernel writes it, the program reads it.
///
/// If `sequence` has changed, `owed` is how many processors are to be given back, until `deadline`: the library chooses
/// virtual processors, and calls `sa_yield` with [`SA_GIVES_BACK`] there. It hears of that by a USER event.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct SaHeader {
    /// Which notice this is.
    pub sequence: AtomicU32,
    /// How many processors are to be given back, when the notice was given.
    pub owed: AtomicU32,
    /// Until when, in nanoseconds since boot.
    pub deadline: AtomicU64,
    /// How many processors it has.
    pub granted: AtomicU32,
    /// How many it could use.
    pub wanted: AtomicU32,
    /// How many are its share, of what it wants.
    pub entitled: AtomicU32,
    /// How many there are.
    pub on_line: AtomicU32,
    /// How many were taken from it while they idled.
    pub taken_idle: AtomicU64,
    /// It has given back.
    pub given_back: AtomicU64,
    /// Were taken by force.
    pub taken: AtomicU64,
    /// Times that one was not taken, as it was in the library.
    pub spared: AtomicU64,
    /// Of all processes together: processors granted, notices given, times that processors were to be taken by force, times
    /// that they were shared in time as they did not come back, and turns of the one that cannot be divided.
    pub of_all: [AtomicU64; 5],
}

/// A virtual processor's line. The library writes it; BLOCKED and PREEMPTED carry its first two words.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct SaProcessor {
    /// What runs there, as the library calls it.
    pub running: AtomicU64,
    /// What state the library is in there, as the library means it. 0 when an upcall begins that interrupts nothing.
    pub mark: AtomicU64,
    /// For the library.
    pub own: [AtomicU64; 6],
}

/// An event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SaEvent {
    /// Which of the seven.
    pub kind: u32,
    /// Of BLOCKED, UNBLOCKED and PREEMPTED: whose. Together with `block` this is the same in a BLOCKED and its UNBLOCKED.
    pub activation: u32,
    /// Which block of the activation.
    pub block: u32,
    /// Of UNBLOCKED and PREEMPTED: where the registers are.
    pub slot: u32,
    /// Of BLOCKED, UNBLOCKED and PREEMPTED: [`SaProcessor::running`] of where it was, at that time.
    pub thread: u64,
    /// Of a page fault: what could not be accessed.
    pub address: u64,
    /// Of a page fault: the instruction.
    pub program_counter: u64,
    /// Of a page fault: the stack pointer.
    pub stack_pointer: u64,
    /// Likewise: [`SaProcessor::mark`].
    pub mark: u64,
    /// [`SA_FAULT`] and so on.
    pub flags: u32,
    /// Likewise: which virtual processor it was.
    pub processor: u32,
}

/// An upcall, and how its stack is given back.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct SaUpcall {
    /// The use of the stack that the program is done with.
    pub returned: AtomicU32,
    /// Whether the program is to call when it gives the stack back.
    pub calls: AtomicU32,
    /// 0.
    pub reserved: [u32; 14],
    /// What the kernel tells of the upcall.
    pub told: SaTold,
    /// The events.
    pub events: [SaEvent; SA_EVENTS_MAX],
}

/// What the kernel tells of an upcall, besides the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SaTold {
    /// Which use of the stack this is.
    pub used: u32,
    /// Which stack.
    pub stack: u32,
    /// The virtual processor.
    pub processor: u32,
    /// The activation that runs it.
    pub activation: u32,
    /// Which upcall of the virtual processor it is.
    pub number: u32,
    /// The slot of what it has interrupted, or [`SA_NONE`].
    pub interrupted: u32,
    /// How many events there are.
    pub count: u32,
    /// 0.
    pub reserved: [u32; 9],
}

/// Bytes of floating point and vector state in a slot, as `xsave` leaves it.
pub const SA_FPU_SIZE: usize = 832;

/// A save slot.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct SaSlot {
    /// The use of the slot that the program is done with.
    pub returned: AtomicU32,
    /// Whether the program is to call when it gives the slot back.
    pub calls: AtomicU32,
    /// Which use of the slot this is.
    pub used: u32,
    /// 0.
    pub reserved: [u32; 13],
    /// The thread's.
    pub saved: SaSaved,
    /// For the library.
    pub own: [u64; 120],
}

/// All registers of a thread.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct SaSaved {
    /// r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags: as in a signal's context.
    pub registers: [u64; 18],
    /// 0.
    pub reserved: [u64; 6],
    /// Floating point and vectors.
    pub fpu: [u8; SA_FPU_SIZE],
}

const _: () = {
    assert!(size_of::<SaProcessor>() == 64);
    assert!(size_of::<SaEvent>() == 64);
    assert!(size_of::<SaUpcall>() == 2048);
    assert!(size_of::<SaSlot>() == 2048);
};
