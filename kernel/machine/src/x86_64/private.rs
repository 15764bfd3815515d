//! A processor's own data, reached through `gs` in one instruction each.
//!
//! `gs` holds the address of the processor's [`Cpu`] whenever the kernel runs. The operations here
//! that are a single instruction may be used by code that could move to another processor between
//! any two of them; each module that does so says why that is harmless.

use crate::capability::Atomic;
use crate::{Cpu, System};
use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::Ordering;

use super::state::CpuState;

pub(crate) const THIS: usize = offset_of!(Cpu, backend) + offset_of!(CpuState, this);
const PIL: usize = offset_of!(Cpu, pil);
const RUNNING: usize = offset_of!(Cpu, running);
const INDEX: usize = offset_of!(Cpu, index);
const PREEMPT_OFF: usize = offset_of!(Cpu, preempt_off);
const GROUPS: usize = offset_of!(Cpu, tracing) + offset_of!(crate::tracing::Tracing, groups);
const PENDING: usize = offset_of!(Cpu, pending) + offset_of!(crate::pil::Pending, levels);

/// MSR: the base of `gs` that is in use.
pub(crate) const MSR_GS_BASE: u32 = 0xc000_0101;
/// MSR: the base that `swapgs` exchanges it with.
pub(crate) const MSR_KERNEL_GS_BASE: u32 = 0xc000_0102;

/// Reads a model-specific register.
///
/// # Safety
///
/// The register exists on this processor.
#[inline]
pub unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: reading has no effect on memory; the register exists, says the caller.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
///
/// The register exists on this processor, and the value upsets nothing that Rust relies on.
#[inline]
pub unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") value as u32, in("edx") (value >> 32) as u32,
            options(nostack, preserves_flags));
    }
}

/// Makes `cpu` the current processor's data. From here on everything in this crate works.
///
/// # Safety
///
/// Called once per processor, by that processor, before anything else of this crate.
pub unsafe fn adopt(cpu: &'static Cpu) {
    cpu.backend.this.store(core::ptr::from_ref(cpu).cast_mut(), Ordering::Relaxed);
    // SAFETY: both registers exist on every x86-64 processor; the kernel uses `gs` for this alone.
    unsafe { write_msr(MSR_GS_BASE, core::ptr::from_ref(cpu) as u64) };
    // SAFETY: as above; user mode starts with a base of 0.
    unsafe { write_msr(MSR_KERNEL_GS_BASE, 0) };
}

/// Whether [`adopt`] has been called on this processor; for the panic path.
pub fn is_adopted() -> bool {
    // SAFETY: the register exists on every x86-64 processor.
    unsafe { read_msr(MSR_GS_BASE) != 0 }
}

#[inline]
pub(crate) fn current_cpu() -> &'static Cpu {
    let cpu: *const Cpu;
    // SAFETY: `gs` holds the address of the current `Cpu`, whose field `this` never changes.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) cpu, const THIS,
            options(pure, readonly, nostack, preserves_flags));
    }
    // SAFETY: `adopt` stored a `&'static Cpu`.
    unsafe { &*cpu }
}

#[inline]
pub(crate) fn current_index() -> usize {
    let index: usize;
    // SAFETY: one read of a word of the current processor's that never changes.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) index, const INDEX,
            options(readonly, nostack, preserves_flags));
    }
    index
}

#[inline]
pub(crate) fn running() -> *mut () {
    let running: *mut ();
    // SAFETY: one read of a word of the current processor's.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) running, const RUNNING,
            options(readonly, nostack, preserves_flags));
    }
    running
}

#[inline]
pub(crate) fn current_system() -> &'static System {
    current_cpu().system()
}

#[inline]
pub(crate) fn pil() -> u8 {
    let level: u32;
    // SAFETY: one read of the current processor's private byte.
    unsafe {
        asm!("movzx {:e}, byte ptr gs:[{}]", out(reg) level, const PIL,
            options(readonly, nostack, preserves_flags));
    }
    level as u8
}

#[inline]
pub(crate) fn set_pil(level: u8) {
    // SAFETY: one write of the current processor's private byte.
    unsafe {
        asm!("mov byte ptr gs:[{}], {}", const PIL, in(reg_byte) level,
            options(nostack, preserves_flags));
    }
}

#[inline]
pub(crate) fn pending_levels() -> u32 {
    let levels: u32;
    // SAFETY: one read of the current processor's private word.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) levels, const PENDING,
            options(readonly, nostack, preserves_flags));
    }
    levels
}

/// The groups of events that are on.
#[inline]
pub(crate) fn trace_groups() -> u32 {
    let groups: u32;
    // SAFETY: one read of a word of the current processor's.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) groups, const GROUPS,
            options(readonly, nostack, preserves_flags));
    }
    groups
}

/// Sets bits among the pending levels, in one instruction: an interrupt may set others.
#[inline]
pub(crate) fn set_pending(bits: u32) {
    // SAFETY: one read-modify-write of the current processor's private word.
    unsafe { asm!("or dword ptr gs:[{}], {:e}", const PENDING, in(reg) bits, options(nostack)) };
}

/// Clears bits among the pending levels, likewise.
#[inline]
pub(crate) fn clear_pending(bits: u32) {
    // SAFETY: one read-modify-write of the current processor's private word.
    unsafe { asm!("and dword ptr gs:[{}], {:e}", const PENDING, in(reg) !bits, options(nostack)) };
}

#[inline]
pub(crate) fn add_preempt_off(difference: i32) {
    // SAFETY: one read-modify-write of the current processor's private word; a single instruction,
    // so no interrupt comes between its halves.
    unsafe {
        asm!("add dword ptr gs:[{}], {:e}", const PREEMPT_OFF, in(reg) difference,
            options(nostack));
    }
}

#[inline]
pub(crate) fn preempt_off() -> u32 {
    let count: u32;
    // SAFETY: one read of the current processor's private word.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) count, const PREEMPT_OFF,
            options(readonly, nostack, preserves_flags));
    }
    count
}

/// Keeps the compiler from moving accesses over the edge of a critical section. The processor needs
/// nothing: its own interrupts see its own stores in order.
#[inline]
pub(crate) fn compiler_barrier() {
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
}

const INTERRUPT_FLAG: u64 = 1 << 9;

pub(crate) fn interrupts_are_on() -> bool {
    let flags: u64;
    // SAFETY: reads the flags through the stack.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags)) };
    flags & INTERRUPT_FLAG != 0
}

/// Turns hardware interrupts off. They do not nest; most code raises the interrupt level instead.
#[inline]
pub fn interrupts_off() {
    // SAFETY: delays interrupts and nothing else. Orders memory for the compiler.
    unsafe { asm!("cli", options(nostack)) };
}

/// Turns hardware interrupts on.
///
/// # Safety
///
/// The processor's descriptor tables and its [`Cpu`] are in place, and the caller runs neither on an
/// entry stack nor inside a section that relies on their being off.
#[inline]
pub unsafe fn interrupts_on() {
    // SAFETY: the caller's promise. Orders memory for the compiler.
    unsafe { asm!("sti", options(nostack)) };
}

pub(crate) fn without_interrupts<R>(section: impl FnOnce(&Atomic) -> R) -> R {
    let were_on = interrupts_are_on();
    interrupts_off();
    // SAFETY: no interrupt, so nobody preempts or moves this thread until they are on again.
    let result = section(unsafe { Atomic::assume() });
    if were_on {
        // SAFETY: they were on before, and the section is over.
        unsafe { interrupts_on() };
    }
    result
}

pub(crate) fn halt_unless(is_there_work: impl FnOnce(&Atomic) -> bool) {
    interrupts_off();
    // SAFETY: no interrupt, so nobody preempts or moves this thread.
    if is_there_work(unsafe { Atomic::assume() }) {
        // SAFETY: the caller holds a `MayFault`, so they were on.
        unsafe { interrupts_on() };
    } else {
        // SAFETY: as above. `sti` takes effect after the next instruction, so no interrupt comes
        // between the look and the halt.
        unsafe { asm!("sti", "hlt", options(nostack)) };
    }
}

/// Halts for good, deaf to everything but NMI.
pub fn stop() -> ! {
    loop {
        // SAFETY: nothing runs here any more.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
