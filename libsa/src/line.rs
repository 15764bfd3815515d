//! A virtual processor's line: what a thread finds through `fs` of the virtual processor that it runs on.
//!
//! A thread may be on another virtual processor at its next instruction, unless it is in a critical section. So each
//! word is read and written by one instruction, and what is read is believed only in a critical section.
//!
//! A *critical section* is what an upcall may not interrupt for good: the upcall notes what it has to tell
//! ([`Word::Pending`]) and goes on with what it has interrupted; whoever leaves the section looks there.

use crate::control::ControlBlock;
use crate::pending;
use abi::activations::SaProcessor;
use core::arch::asm;
use core::mem::offset_of;

/// Where the words are.
pub const RUNNING: usize = offset_of!(SaProcessor, running);
/// How many critical sections the virtual processor is in, one within the other.
pub const MARK: usize = offset_of!(SaProcessor, mark);
/// The upcalls that were put off: the stack of the last one, plus 1.
pub const PENDING: usize = offset_of!(SaProcessor, own);
/// For [`crate::switch`]: where to, and with which stack.
pub const TARGET: usize = PENDING + 8;
/// See [`TARGET`].
pub const TARGET_STACK: usize = PENDING + 16;
/// The [`crate::processor::Processor`].
pub const PROCESSOR: usize = PENDING + 24;
/// The top of the stack that the virtual processor idles on.
pub const IDLE_STACK: usize = PENDING + 32;

/// Reads a word of the line.
#[inline(always)]
pub fn word<const AT: usize>() -> u64 {
    let value;
    // SAFETY: every thread of this library has a line behind `fs`.
    unsafe {
        asm!("mov {}, fs:[{}]", out(reg) value, const AT, options(nostack, preserves_flags, readonly));
    }
    value
}

/// Who runs here.
#[inline(always)]
pub fn running() -> *mut ControlBlock {
    word::<RUNNING>() as *mut ControlBlock
}

/// Enters a critical section.
#[inline(always)]
pub fn enter() {
    // SAFETY: as above. It is no `readonly`: what follows stays behind it.
    unsafe { asm!("inc qword ptr fs:[{}]", const MARK, options(nostack)) };
}

/// Leaves it. If that was the outermost one, what was put off is done.
#[inline(always)]
pub fn leave() {
    // SAFETY: as above; what precedes stays before it.
    unsafe { asm!("dec qword ptr fs:[{}]", const MARK, options(nostack)) };
    if word::<PENDING>() != 0 && word::<MARK>() == 0 {
        pending::after_a_section();
    }
}

/// Does something in a critical section.
#[inline(always)]
pub fn critical<R>(act: impl FnOnce() -> R) -> R {
    enter();
    let result = act();
    leave();
    result
}
