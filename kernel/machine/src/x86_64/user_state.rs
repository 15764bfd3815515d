//! The registers of user mode that no trap frame holds: FPU, SSE, and the bases of `fs` and `gs`.

use super::private::{MSR_KERNEL_GS_BASE, write_msr};
use core::arch::asm;

/// The image that `fxrstor` loads; the rest of the 512 bytes is zero.
#[repr(C, align(16))]
struct FpuImage {
    control: u16,
    skipped: [u8; 22],
    sse_control: u32,
    rest: [u8; 484],
}

/// As a fresh process has it on Linux: every exception masked, extended precision.
static INITIAL: FpuImage =
    FpuImage { control: 0x37f, skipped: [0; 22], sse_control: 0x1f80, rest: [0; 484] };

/// Gives the thread that runs the registers of a fresh program; nothing of an earlier one is left.
pub fn reset() {
    // SAFETY: a valid image of 512 bytes, aligned to 16. The kernel uses none of these registers.
    unsafe { asm!("fxrstor64 [{}]", in(reg) &raw const INITIAL, options(nostack, readonly)) };
    const MSR_FS_BASE: u32 = 0xc000_0100;
    // SAFETY: the kernel does not use `fs`.
    unsafe { write_msr(MSR_FS_BASE, 0) };
    // SAFETY: while the kernel runs, this is the base that user mode will have.
    unsafe { write_msr(MSR_KERNEL_GS_BASE, 0) };
}
