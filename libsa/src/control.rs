//! What the library knows of a thread: its control block. They lie in one array, at an address of their own; the thread
//! of number `n` has the `n`th, and the `n`th stack.

use abi::activations::SA_FPU_SIZE;
use core::cell::Cell;
use core::sync::atomic::{AtomicU32, AtomicU64};
use scheduler::{Table, Thread, ThreadId};

/// Where the array is.
pub const TABLE: usize = 0x1a00_0000_0000;

/// How many threads there can be: their numbers are less.
pub const THREADS_MAX: usize = 1 << 20;

/// A thread.
#[repr(C, align(128))]
pub struct ControlBlock {
    /// The scheduler's part.
    pub scheduler: Thread,
    /// Its stack pointer, where it has left its processor by [`crate::switch::switch`].
    pub stack_pointer: Cell<u64>,
    /// The context that it is gone on with, if it has not left by itself; or null.
    pub context: Cell<*mut Context>,
    /// What it does: a function of [`ControlBlock::data`].
    pub entry: Cell<Option<unsafe fn(*mut u8)>>,
    /// For that.
    pub data: Cell<*mut u8>,
    /// What drops the result, if nobody has taken it.
    pub drop_result: Cell<Option<unsafe fn(*mut u8)>>,
    /// Who uses it: the thread itself, and its handles.
    pub references: AtomicU32,
    /// Whether it is over.
    pub is_over: AtomicU32,
    /// Who waits for that, or 0.
    pub joiner: AtomicU64,
    /// It has been made ready since it left: for its LWP, where each thread is one.
    pub is_woken: AtomicU32,
    /// What it waits for, for whom that concerns.
    pub wish: AtomicU32,
    /// The LWP that it is, where each thread is one.
    pub lwp: AtomicU64,
    /// Its thread-local values.
    pub locals: Cell<*mut u8>,
    /// Its name: where, and how long.
    pub name: Cell<(*const u8, usize)>,
}

const _: () = assert!(size_of::<ControlBlock>() == 128);

/// All registers of a thread; the layout is a save slot's ([`abi::activations::SaSlot`]).
#[repr(C, align(64))]
pub struct Context {
    /// The kernel's words in a slot. Elsewhere: the next one of the free ones.
    pub head: [u64; 8],
    /// As in a slot.
    pub registers: [u64; 18],
    /// As in a slot.
    pub unused: [u64; 6],
    /// As in a slot.
    pub fpu: [u8; SA_FPU_SIZE],
}

/// Places in [`Context::registers`].
pub const RDI: usize = 8;
/// See [`RDI`].
pub const RSP: usize = 15;
/// See [`RDI`].
pub const RIP: usize = 16;
/// See [`RDI`].
pub const RFLAGS: usize = 17;

/// All threads.
#[derive(Clone, Copy)]
pub struct Threads;

impl Table for Threads {
    #[inline(always)]
    fn thread(&self, id: ThreadId) -> &Thread {
        &block(id).scheduler
    }
}

/// The control block of a thread.
#[inline(always)]
pub fn block(id: ThreadId) -> &'static ControlBlock {
    let address = TABLE + id.number() as usize * size_of::<ControlBlock>();
    // SAFETY: the array is mapped for good, and all zeros are a control block.
    unsafe { &*(address as *const ControlBlock) }
}

/// The number of a thread.
#[inline(always)]
pub fn id_of(block: *const ControlBlock) -> ThreadId {
    let number = (block as usize - TABLE) / size_of::<ControlBlock>();
    ThreadId::new(number as u32).expect("thread 0 is nobody")
}
