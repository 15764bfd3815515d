//! One breakpoint in the kernel, and single steps from there on. For checks: nothing else in the kernel uses the debug
//! registers, and user mode cannot.
//!
//! What comes of both are debug exceptions, which go to [`super::trap::TrapHooks::kernel_step`]. They enter on a stack
//! of their own and find their processor without `gs`, so they may come at any instruction.

use crate::capability::Atomic;
use core::arch::asm;

/// In a frame's flags: one more instruction, and then a debug exception.
pub const TRAP_FLAG: u64 = 1 << 8;
/// In a frame's flags: the next instruction's breakpoint does not count.
pub const RESUME_FLAG: u64 = 1 << 16;

/// Sets the current processor's breakpoint: a debug exception before the instruction at this address; or takes it away.
///
/// # Safety
///
/// [`super::trap::TrapHooks::kernel_step`] sets [`RESUME_FLAG`] when it comes.
pub unsafe fn set(address: Option<u64>, _: &Atomic) {
    /// The bits of register 7 that are always 1.
    const ALWAYS: u64 = 1 << 10;
    const FIRST_ON: u64 = 1 << 0;
    let control = ALWAYS | if address.is_some() { FIRST_ON } else { 0 };
    // SAFETY: the breakpoint is off, or is about to be changed to what the caller answers for.
    unsafe { asm!("mov dr7, {}", in(reg) ALWAYS, options(nostack, preserves_flags)) };
    // SAFETY: an address of no consequence while the breakpoint is off.
    unsafe { asm!("mov dr0, {}", in(reg) address.unwrap_or(0), options(nostack, preserves_flags)) };
    // SAFETY: the caller's promise.
    unsafe { asm!("mov dr7, {}", in(reg) control, options(nostack, preserves_flags)) };
}
