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

/// Bytes of a frame.
const FRAME: usize = 4096;

/// Copies a frame, eight registers at a time, which are put away before and taken back afterwards: `$register` and a
/// number names one, `$width` is its bytes, `$move` moves it.
macro_rules! copy_with {
    ($move:literal, $register:literal, $width:literal, $put_away:expr, $from:expr, $to:expr, [$($n:literal)*]) => {
        asm!(
            $(concat!($move, " [{put_away} + ", $n, "*{width}], ", $register, $n),)*
            "2:",
            $(concat!($move, " ", $register, $n, ", [{from} + {at} + ", $n, "*{width}]"),)*
            $(concat!($move, " [{to} + {at} + ", $n, "*{width}], ", $register, $n),)*
            "add {at}, 8*{width}",
            "jne 2b",
            $(concat!($move, " ", $register, $n, ", [{put_away} + ", $n, "*{width}]"),)*
            width = const $width,
            put_away = in(reg) $put_away,
            // From the ends of the frames: the count goes up to 0.
            from = in(reg) $from.wrapping_add(FRAME),
            to = in(reg) $to.wrapping_add(FRAME),
            at = inout(reg) -(FRAME as i64) => _,
            options(nostack),
        )
    };
}

/// Fills a frame with zeros from one register, which is put away before and taken back afterwards; `$clear` makes it
/// zero.
macro_rules! clear_with {
    ($move:literal, $register:literal, $clear:literal, $width:literal, $put_away:expr, $frame:expr, [$($n:literal)*]) => {
        asm!(
            concat!($move, " [{put_away}], ", $register),
            $clear,
            "2:",
            $(concat!($move, " [{frame} + {at} + ", $n, "*{width}], ", $register),)*
            "add {at}, 8*{width}",
            "jne 2b",
            concat!($move, " ", $register, ", [{put_away}]"),
            width = const $width,
            put_away = in(reg) $put_away,
            frame = in(reg) $frame.wrapping_add(FRAME),
            at = inout(reg) -(FRAME as i64) => _,
            options(nostack),
        )
    };
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
        unsafe { copy_with!("vmovdqa", "ymm", 32, put_away, from, to, [0 1 2 3 4 5 6 7]) };
    } else {
        // SAFETY: 32 times 128 bytes, likewise; eight registers of 16 bytes.
        unsafe { copy_with!("movdqa", "xmm", 16, put_away, from, to, [0 1 2 3 4 5 6 7]) };
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
            clear_with!("vmovdqa", "ymm0", "vpxor xmm0, xmm0, xmm0", 32, put_away, frame, [0 1 2 3 4 5 6 7]);
        }
    } else {
        // SAFETY: 32 times 128 bytes, likewise.
        unsafe {
            clear_with!("movdqa", "xmm0", "pxor xmm0, xmm0", 16, put_away, frame, [0 1 2 3 4 5 6 7]);
        }
    }
}
