//! The check of what user mode leaves in the processor: saved on one processor, restored on all.

use super::dispatcher::{run_threads, system};
use super::{Outcome, Run, ensure};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::CpuDispatch;
use machine::x86_64::features::Features;
use machine::x86_64::user_state::{FpuState, SegmentBases};
use machine::{MayFault, System, preempt};

/// Some of the registers, as instructions see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
struct Registers {
    /// The vector registers 0, 7, 8 and 15; without AVX only their lower halves.
    vectors: [[u64; 4]; 4],
    /// The top of the x87 stack.
    x87: u64,
    sse_control: u32,
}

fn has_avx() -> bool {
    System::current().backend.features.contains(Features::AVX)
}

impl Registers {
    /// Different in every register, and for every seed.
    fn pattern(seed: u64) -> Registers {
        let words = if has_avx() { 4 } else { 2 };
        let mut vectors = [[0; 4]; 4];
        for (number, vector) in vectors.iter_mut().enumerate() {
            for (part, word) in vector[..words].iter_mut().enumerate() {
                *word = 1 << 63 | seed << 32 | (number * 4 + part) as u64;
            }
        }
        const ONE: u64 = 0x3ff0_0000_0000_0000;
        // Rounding towards zero, every exception masked.
        Registers { vectors, x87: ONE | seed << 20, sse_control: 0x7f80 }
    }

    /// The processor's.
    fn read() -> Registers {
        let mut registers = Registers { vectors: [[0; 4]; 4], x87: 0, sse_control: 0 };
        let vectors = registers.vectors.as_mut_ptr();
        if has_avx() {
            // SAFETY: writes 4 times 32 bytes, which is what is there.
            unsafe {
                asm!("vmovups [{0}], ymm0", "vmovups [{0} + 32], ymm7",
                    "vmovups [{0} + 64], ymm8", "vmovups [{0} + 96], ymm15",
                    in(reg) vectors, options(nostack, preserves_flags));
            }
        } else {
            // SAFETY: as above, and less.
            unsafe {
                asm!("movups [{0}], xmm0", "movups [{0} + 32], xmm7",
                    "movups [{0} + 64], xmm8", "movups [{0} + 96], xmm15",
                    in(reg) vectors, options(nostack, preserves_flags));
            }
        }
        // SAFETY: writes one word; the x87 stack is as it was.
        unsafe { asm!("fst qword ptr [{}]", in(reg) &raw mut registers.x87, options(nostack)) };
        // SAFETY: writes half a word.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut registers.sse_control, options(nostack)) };
        registers
    }

    /// Makes the processor's the same.
    fn write(&self) {
        let vectors = self.vectors.as_ptr();
        if has_avx() {
            // SAFETY: reads 4 times 32 bytes; the kernel does not use the registers.
            unsafe {
                asm!("vmovups ymm0, [{0}]", "vmovups ymm7, [{0} + 32]",
                    "vmovups ymm8, [{0} + 64]", "vmovups ymm15, [{0} + 96]",
                    in(reg) vectors, options(nostack, preserves_flags));
            }
        } else {
            // SAFETY: as above, and less.
            unsafe {
                asm!("movups xmm0, [{0}]", "movups xmm7, [{0} + 32]",
                    "movups xmm8, [{0} + 64]", "movups xmm15, [{0} + 96]",
                    in(reg) vectors, options(nostack, preserves_flags));
            }
        }
        let x87 = &raw const self.x87;
        // SAFETY: reads one word; the kernel does not use the x87 stack.
        unsafe { asm!("fninit", "fld qword ptr [{}]", in(reg) x87, options(nostack)) };
        // SAFETY: a valid value; the kernel does no floating-point arithmetic.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const self.sse_control, options(nostack)) };
    }
}

/// What the threads of the check share.
struct Shared {
    saved: FpuState,
    bases: SegmentBases,
    expected: Registers,
    /// Bit `n` set: processor `n` had the registers after it restored them, and fresh ones after that.
    right: AtomicU64,
}

pub fn registers_of_user_mode_move(run: &mut Run<'_>) -> Outcome {
    /// On every processor: clobbers, restores, looks; and again with what a fresh program has.
    fn body(shared: &Shared, number: usize, may_fault: &mut MayFault) {
        let guard = preempt::disable(may_fault);
        Registers::pattern(number as u64 + 100).write();
        SegmentBases::default().restore(guard.atomic());
        shared.saved.restore(guard.atomic());
        shared.bases.restore(guard.atomic());
        let moved = Registers::read() == shared.expected
            && SegmentBases::current(guard.atomic()) == shared.bases;
        FpuState::fresh().restore(guard.atomic());
        SegmentBases::default().restore(guard.atomic());
        let fresh = Registers::read();
        if moved && fresh.vectors == [[0; 4]; 4] && fresh.sse_control == 0x1f80 {
            shared.right.fetch_or(1 << number, Ordering::AcqRel);
        }
    }
    let guard = preempt::disable(run.may_fault);
    let expected = Registers::pattern(1);
    expected.write();
    SegmentBases::new(0x1234_5000, 0x5678_9000).restore(guard.atomic());
    let mut saved = FpuState::fresh();
    saved.save(guard.atomic());
    let bases = SegmentBases::current(guard.atomic());
    let kept = Registers::read() == expected;
    drop(guard);
    ensure!(kept, "saving the registers changed them");
    ensure!(bases == SegmentBases::new(0x1234_5000, 0x5678_9000), "the bases are {bases:?}");
    let shared = Shared { saved, bases, expected, right: AtomicU64::new(0) };
    let everywhere = run.kernel.system.cpus().map(|cpu| system().bound(CpuDispatch::of(cpu)));
    run_threads(&shared, everywhere, body, run.may_fault)?;
    let right = shared.right.load(Ordering::Acquire);
    let count = run.kernel.system.cpu_count();
    ensure!(right.count_ones() as usize == count, "right on {right:#b} of {count} processors");
    Ok(())
}
