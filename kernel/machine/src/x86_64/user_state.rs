//! The registers of user mode that no trap frame holds: FPU, SSE, AVX, and the bases of `fs` and `gs`.
//!
//! The kernel uses none of the first three, so they stay in the processor while a thread is in the
//! kernel, and are saved only when another thread is to have the processor.
//!
//! Of what `xsave` can save, x87, SSE and AVX are turned on ([`super::features`]), and no more: with
//! AVX-512 a thread's image would be three times the size, and tile registers are eight KiB of their own.
//! A processor without `xsave` has neither, and saves the rest with `fxsave`.

use super::features::{Features, XSAVE_COMPONENTS};
use super::private::{MSR_KERNEL_GS_BASE, current_system, read_msr, write_msr};
use crate::Atomic;
use crate::pmap::USER_END;
use core::arch::asm;

/// Where the part that only `xsave` writes begins.
const LEGACY: usize = 512;
const HEADER: usize = 64;
/// Where the upper halves of the AVX registers lie, in bytes, and what they take: as in every processor
/// that has them ([`super::features`] asks).
pub(crate) const AVX_OFFSET: u32 = (LEGACY + HEADER) as u32;
/// See [`AVX_OFFSET`].
pub(crate) const AVX_SIZE: u32 = 256;

/// The floating-point and vector registers of a thread of user mode, as `xsave` or `fxsave` leaves them.
#[derive(Clone)]
#[repr(C, align(64))]
pub struct FpuState {
    control: u16,
    rest_of_x87: [u8; 22],
    sse_control: u32,
    rest_of_legacy: [u8; LEGACY - 28],
    /// The components of which the image says something; the others are as after a reset.
    components: u64,
    rest_of_header: [u8; HEADER - 8],
    avx: [u8; AVX_SIZE as usize],
}

const _: () = assert!(core::mem::offset_of!(FpuState, components) == LEGACY);
const _: () = assert!(size_of::<FpuState>() == LEGACY + HEADER + AVX_SIZE as usize);
const _: () = assert!(core::mem::offset_of!(FpuState, avx) == AVX_OFFSET as usize);

impl FpuState {
    /// The size of an image, in bytes.
    pub const SIZE: usize = size_of::<FpuState>();

    /// The image, for a program to look at.
    pub fn as_bytes(&self) -> &[u8; FpuState::SIZE] {
        let image: *const [u8; FpuState::SIZE] = core::ptr::from_ref(self).cast();
        // SAFETY: integers without gaps, as the sizes of the fields say.
        unsafe { &*image }
    }

    /// An image that a program has had its hands on. What a processor would refuse to load is put right: bits of the
    /// control register that do not exist, components that are not turned on, the reserved rest of the header.
    pub fn from_user(bytes: &[u8; FpuState::SIZE]) -> FpuState {
        const SSE_CONTROL_BITS: u32 = 0xffff;
        let mut state = FpuState::fresh();
        let image: *mut [u8; FpuState::SIZE] = core::ptr::from_mut(&mut state).cast();
        // SAFETY: as above; each byte may have any value.
        unsafe { image.write(*bytes) };
        state.sse_control &= SSE_CONTROL_BITS;
        state.components &= XSAVE_COMPONENTS;
        state.rest_of_header = [0; HEADER - 8];
        state
    }

    /// As a fresh program has it, and as on Linux: every exception masked, extended precision, all
    /// registers 0.
    pub const fn fresh() -> FpuState {
        FpuState {
            control: 0x37f,
            rest_of_x87: [0; 22],
            sse_control: 0x1f80,
            rest_of_legacy: [0; LEGACY - 28],
            // x87 and SSE, which the image holds; AVX is not among them, so it is cleared.
            components: 0b011,
            rest_of_header: [0; HEADER - 8],
            avx: [0; AVX_SIZE as usize],
        }
    }

    /// Saves the registers as the current thread's user mode has left them. They stay as they are.
    pub fn save(&mut self, _: &Atomic) {
        let image = core::ptr::from_mut(self);
        if has_xsave() {
            // SAFETY: an image that is large enough for what is turned on, aligned to 64.
            unsafe {
                asm!("xsave64 [{}]", in(reg) image, in("eax") XSAVE_COMPONENTS as u32, in("edx") 0,
                    options(nostack, preserves_flags));
            }
        } else {
            // SAFETY: an image of at least 512 bytes, aligned to 16.
            unsafe { asm!("fxsave64 [{}]", in(reg) image, options(nostack, preserves_flags)) };
        }
    }

    /// Gives the registers these values, for the thread that goes to user mode next.
    pub fn restore(&self, _: &Atomic) {
        self.load();
    }

    fn load(&self) {
        let image = core::ptr::from_ref(self);
        if has_xsave() {
            // SAFETY: an image that `save` or `fresh` has made, so it is a valid one. The kernel uses none
            // of these registers.
            unsafe {
                asm!("xrstor64 [{}]", in(reg) image, in("eax") XSAVE_COMPONENTS as u32, in("edx") 0,
                    options(nostack, readonly, preserves_flags));
            }
        } else {
            // SAFETY: as above; aligned to 16.
            unsafe { asm!("fxrstor64 [{}]", in(reg) image, options(nostack, readonly)) };
        }
    }
}

fn has_xsave() -> bool {
    current_system().backend.features.contains(Features::XSAVE)
}

const MSR_FS_BASE: u32 = 0xc000_0100;

/// The bases of `fs` and `gs` of a thread of user mode, which sets them itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentBases {
    fs: u64,
    gs: u64,
}

impl SegmentBases {
    /// These bases, which are user addresses.
    pub fn new(fs: u64, gs: u64) -> SegmentBases {
        debug_assert!(fs < USER_END && gs < USER_END, "a base that is no user address");
        SegmentBases { fs, gs }
    }

    /// The base of `fs`.
    pub fn fs(self) -> u64 {
        self.fs
    }

    /// The base of `gs`.
    pub fn gs(self) -> u64 {
        self.gs
    }

    /// As the current thread's user mode has left them.
    pub fn current(_: &Atomic) -> SegmentBases {
        // SAFETY: the register exists on every x86-64 processor.
        let fs = unsafe { read_msr(MSR_FS_BASE) };
        // SAFETY: as above; while the kernel runs, this is the base that user mode has.
        let gs = unsafe { read_msr(MSR_KERNEL_GS_BASE) };
        SegmentBases { fs, gs }
    }

    /// Sets them, for the thread that goes to user mode next.
    pub fn restore(self, _: &Atomic) {
        self.load();
    }

    fn load(self) {
        // SAFETY: the kernel does not use `fs`; the value was in the register before.
        unsafe { write_msr(MSR_FS_BASE, self.fs) };
        // SAFETY: while the kernel runs, this is the base that user mode will have; likewise.
        unsafe { write_msr(MSR_KERNEL_GS_BASE, self.gs) };
    }
}

/// What a fresh program has.
static FRESH: FpuState = FpuState::fresh();

/// Gives the thread that runs the registers of a fresh program; nothing of an earlier one is left. The
/// thread stays on its processor from here until it is in user mode, or its registers are saved.
pub fn reset() {
    FRESH.load();
    SegmentBases::default().load();
}
