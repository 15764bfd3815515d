//! Copying and emptying frames with vector registers: AVX's where user mode has them, SSE's otherwise.
//!
//! The kernel's code is compiled without vector registers, so nothing but user mode's values is ever in them, except
//! between the first and the last instruction of these functions.

use super::features::Features;
use super::paging::physical;
use super::state::CpuState;
use crate::pil::Pil;
use crate::{Cpu, System};
use core::arch::asm;
use core::sync::atomic::AtomicU64;

/// Where a processor puts the first eight vector registers away.
#[repr(align(32))]
pub(crate) struct PutAway([AtomicU64; 32]);

impl PutAway {
    pub(crate) fn new() -> PutAway {
        PutAway([const { AtomicU64::new(0) }; 32])
    }

    fn place(&self) -> *mut u64 {
        self.0[0].as_ptr()
    }
}

/// Whether the running thread's vector registers go with it when it loses the processor: those of threads with a user
/// mode do. An interrupt thread runs on top of another one, whose they are.
pub(crate) fn are_saved_with_thread() -> bool {
    !CpuState::own_thread().is_null() && Pil::current() == Pil::NONE
}

fn has_avx(cpu: &Cpu) -> bool {
    cpu.system().backend.features.contains(Features::AVX)
}

/// Copies a frame.
///
/// # Safety
///
/// The vector unit of `cpu`, the current processor, is the caller's. The rest as for `copy_frame`.
pub(crate) unsafe fn copy(cpu: &Cpu, from: u64, to: u64) {
    let system: &System = cpu.system();
    let from = physical::<u8>(system, from);
    let to = physical::<u8>(system, to);
    let put_away = cpu.backend.put_away.place();
    if has_avx(cpu) {
        // SAFETY: 16 times 256 bytes, of two whole frames, says the caller; eight registers of 32 bytes are put away
        // and taken back.
        unsafe {
            asm!(
                "vmovdqa [{put_away}], ymm0",
                "vmovdqa [{put_away} + 32], ymm1",
                "vmovdqa [{put_away} + 64], ymm2",
                "vmovdqa [{put_away} + 96], ymm3",
                "vmovdqa [{put_away} + 128], ymm4",
                "vmovdqa [{put_away} + 160], ymm5",
                "vmovdqa [{put_away} + 192], ymm6",
                "vmovdqa [{put_away} + 224], ymm7",
                "2:",
                "vmovdqa ymm0, [{from} + {at}]",
                "vmovdqa ymm1, [{from} + {at} + 32]",
                "vmovdqa ymm2, [{from} + {at} + 64]",
                "vmovdqa ymm3, [{from} + {at} + 96]",
                "vmovdqa ymm4, [{from} + {at} + 128]",
                "vmovdqa ymm5, [{from} + {at} + 160]",
                "vmovdqa ymm6, [{from} + {at} + 192]",
                "vmovdqa ymm7, [{from} + {at} + 224]",
                "vmovdqa [{to} + {at}], ymm0",
                "vmovdqa [{to} + {at} + 32], ymm1",
                "vmovdqa [{to} + {at} + 64], ymm2",
                "vmovdqa [{to} + {at} + 96], ymm3",
                "vmovdqa [{to} + {at} + 128], ymm4",
                "vmovdqa [{to} + {at} + 160], ymm5",
                "vmovdqa [{to} + {at} + 192], ymm6",
                "vmovdqa [{to} + {at} + 224], ymm7",
                "add {at}, 256",
                "jne 2b",
                "vmovdqa ymm0, [{put_away}]",
                "vmovdqa ymm1, [{put_away} + 32]",
                "vmovdqa ymm2, [{put_away} + 64]",
                "vmovdqa ymm3, [{put_away} + 96]",
                "vmovdqa ymm4, [{put_away} + 128]",
                "vmovdqa ymm5, [{put_away} + 160]",
                "vmovdqa ymm6, [{put_away} + 192]",
                "vmovdqa ymm7, [{put_away} + 224]",
                put_away = in(reg) put_away,
                // From the ends of the frames: the count goes up to 0.
                from = in(reg) from.wrapping_add(4096),
                to = in(reg) to.wrapping_add(4096),
                at = inout(reg) -4096i64 => _,
                options(nostack),
            );
        }
    } else {
        // SAFETY: 32 times 128 bytes, likewise; eight registers of 16 bytes.
        unsafe {
            asm!(
                "movdqa [{put_away}], xmm0",
                "movdqa [{put_away} + 16], xmm1",
                "movdqa [{put_away} + 32], xmm2",
                "movdqa [{put_away} + 48], xmm3",
                "movdqa [{put_away} + 64], xmm4",
                "movdqa [{put_away} + 80], xmm5",
                "movdqa [{put_away} + 96], xmm6",
                "movdqa [{put_away} + 112], xmm7",
                "2:",
                "movdqa xmm0, [{from} + {at}]",
                "movdqa xmm1, [{from} + {at} + 16]",
                "movdqa xmm2, [{from} + {at} + 32]",
                "movdqa xmm3, [{from} + {at} + 48]",
                "movdqa xmm4, [{from} + {at} + 64]",
                "movdqa xmm5, [{from} + {at} + 80]",
                "movdqa xmm6, [{from} + {at} + 96]",
                "movdqa xmm7, [{from} + {at} + 112]",
                "movdqa [{to} + {at}], xmm0",
                "movdqa [{to} + {at} + 16], xmm1",
                "movdqa [{to} + {at} + 32], xmm2",
                "movdqa [{to} + {at} + 48], xmm3",
                "movdqa [{to} + {at} + 64], xmm4",
                "movdqa [{to} + {at} + 80], xmm5",
                "movdqa [{to} + {at} + 96], xmm6",
                "movdqa [{to} + {at} + 112], xmm7",
                "add {at}, 128",
                "jne 2b",
                "movdqa xmm0, [{put_away}]",
                "movdqa xmm1, [{put_away} + 16]",
                "movdqa xmm2, [{put_away} + 32]",
                "movdqa xmm3, [{put_away} + 48]",
                "movdqa xmm4, [{put_away} + 64]",
                "movdqa xmm5, [{put_away} + 80]",
                "movdqa xmm6, [{put_away} + 96]",
                "movdqa xmm7, [{put_away} + 112]",
                put_away = in(reg) put_away,
                from = in(reg) from.wrapping_add(4096),
                to = in(reg) to.wrapping_add(4096),
                at = inout(reg) -4096i64 => _,
                options(nostack),
            );
        }
    }
}

/// Fills a frame with zeros.
///
/// # Safety
///
/// As for [`copy`].
pub(crate) unsafe fn clear(cpu: &Cpu, frame: u64) {
    let frame = physical::<u8>(cpu.system(), frame);
    let put_away = cpu.backend.put_away.place();
    if has_avx(cpu) {
        // SAFETY: 16 times 256 bytes of a whole frame, says the caller; one register is put away and taken back.
        unsafe {
            asm!(
                "vmovdqa [{put_away}], ymm0",
                "vpxor xmm0, xmm0, xmm0",
                "2:",
                "vmovdqa [{frame} + {at}], ymm0",
                "vmovdqa [{frame} + {at} + 32], ymm0",
                "vmovdqa [{frame} + {at} + 64], ymm0",
                "vmovdqa [{frame} + {at} + 96], ymm0",
                "vmovdqa [{frame} + {at} + 128], ymm0",
                "vmovdqa [{frame} + {at} + 160], ymm0",
                "vmovdqa [{frame} + {at} + 192], ymm0",
                "vmovdqa [{frame} + {at} + 224], ymm0",
                "add {at}, 256",
                "jne 2b",
                "vmovdqa ymm0, [{put_away}]",
                put_away = in(reg) put_away,
                frame = in(reg) frame.wrapping_add(4096),
                at = inout(reg) -4096i64 => _,
                options(nostack),
            );
        }
    } else {
        // SAFETY: 32 times 128 bytes, likewise.
        unsafe {
            asm!(
                "movdqa [{put_away}], xmm0",
                "pxor xmm0, xmm0",
                "2:",
                "movdqa [{frame} + {at}], xmm0",
                "movdqa [{frame} + {at} + 16], xmm0",
                "movdqa [{frame} + {at} + 32], xmm0",
                "movdqa [{frame} + {at} + 48], xmm0",
                "movdqa [{frame} + {at} + 64], xmm0",
                "movdqa [{frame} + {at} + 80], xmm0",
                "movdqa [{frame} + {at} + 96], xmm0",
                "movdqa [{frame} + {at} + 112], xmm0",
                "add {at}, 128",
                "jne 2b",
                "movdqa xmm0, [{put_away}]",
                put_away = in(reg) put_away,
                frame = in(reg) frame.wrapping_add(4096),
                at = inout(reg) -4096i64 => _,
                options(nostack),
            );
        }
    }
}
