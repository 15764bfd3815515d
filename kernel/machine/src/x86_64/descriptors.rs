//! Descriptor tables, and the stacks that traps enter on.
//!
//! Every vector has an IST stack; the list is [`EntryStack`]. The topmost word of each holds the
//! address of the processor that it belongs to, so that an entry finds its processor without
//! trusting `gs` ([`super::entry`]). An entry stack is not re-entered while it is in use: interrupts
//! are off on all of them, and what may fault or sleep is moved off first ([`super::trap`]).
//!
//! The order of the segments is dictated by `syscall` and `sysretq`. There is no segment for 32-bit
//! code and no local table, so user mode cannot enter compatibility mode, nor find a call gate.

use super::private::write_msr;
use super::{entry, stack::Stack};
use crate::Cpu;
use core::cell::UnsafeCell;
use core::sync::atomic::Ordering;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, FS, GS, SS, Segment};
use x86_64::instructions::tables::{lgdt, lidt, load_tss};
use x86_64::structures::DescriptorTablePointer;
use x86_64::structures::gdt::{Descriptor, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

/// Selector of the kernel's code segment.
pub const KERNEL_CODE: u16 = 0x08;
/// Selector of the kernel's data segment.
pub const KERNEL_DATA: u16 = 0x10;
/// Selector of the user's data segment.
pub const USER_DATA: u16 = 0x20 | 3;
/// Selector of the user's code segment.
pub const USER_CODE: u16 = 0x28 | 3;
/// What `sysretq` counts from: data at +8, 64-bit code at +16.
const SYSRET_BASE: u16 = 0x18 | 3;
const TASK: u16 = 0x30;

/// The stacks that traps enter on, by IST number minus 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EntryStack {
    /// #DF.
    DoubleFault,
    /// NMI.
    NonMaskable,
    /// #MC.
    MachineCheck,
    /// #DB, which can come on the first instruction of another entry.
    Debug,
    /// #PF.
    PageFault,
    /// Every external interrupt.
    Interrupt,
    /// All other exceptions.
    Exception,
}

impl EntryStack {
    /// How many there are.
    pub const COUNT: usize = 7;

    const fn of_vector(vector: u8) -> EntryStack {
        match vector {
            1 => EntryStack::Debug,
            2 => EntryStack::NonMaskable,
            8 => EntryStack::DoubleFault,
            14 => EntryStack::PageFault,
            18 => EntryStack::MachineCheck,
            0..32 => EntryStack::Exception,
            _ => EntryStack::Interrupt,
        }
    }

    const fn ist_number(self) -> u8 {
        self as u8 + 1
    }
}

/// One processor's entry stacks.
#[derive(Clone, Copy)]
pub struct EntryStacks(pub [Stack; EntryStack::COUNT]);

impl EntryStacks {
    /// Where the processor starts to push: below the processor's address and a word of padding.
    fn start(&self, number: usize) -> u64 {
        self.0[number].top - 16
    }
}

/// One gate of the IDT.
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    offset_low: u16,
    selector: u16,
    ist: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    zero: u32,
}

/// The interrupt descriptor table; one for all processors, never changed.
#[repr(C, align(16))]
pub struct InterruptTable([Gate; 256]);

impl InterruptTable {
    /// A table in which every vector enters through its stub, on its stack, interrupts off. Only
    /// the breakpoint and the overflow trap may be called for by user mode.
    #[expect(clippy::new_without_default, reason = "there is nothing default about it")]
    pub fn new() -> InterruptTable {
        InterruptTable(core::array::from_fn(|vector| {
            let vector = vector as u8;
            let offset = entry::stub(vector);
            const INTERRUPT_GATE: u8 = 0x8e;
            const FROM_USER: u8 = 3 << 5;
            Gate {
                offset_low: offset as u16,
                selector: KERNEL_CODE,
                ist: EntryStack::of_vector(vector).ist_number(),
                kind: INTERRUPT_GATE | if matches!(vector, 3 | 4) { FROM_USER } else { 0 },
                offset_middle: (offset >> 16) as u16,
                offset_high: (offset >> 32) as u32,
                zero: 0,
            }
        }))
    }
}

/// One processor's GDT and TSS.
pub(crate) struct Tables {
    /// Written by [`load`] and, in one bit, by the processor itself.
    segments: UnsafeCell<[u64; 8]>,
    task: UnsafeCell<TaskStateSegment>,
}

// SAFETY: written by their own processor only, in `load`, before it runs anything else.
unsafe impl Sync for Tables {}

impl Tables {
    pub(crate) fn new() -> Tables {
        Tables { segments: UnsafeCell::new([0; 8]), task: UnsafeCell::new(TaskStateSegment::new()) }
    }
}

/// Loads the descriptor tables of the current processor.
///
/// # Safety
///
/// Called once per processor, by that processor, after [`super::private::adopt`]; the stacks are
/// mapped and used by nothing else.
pub unsafe fn load(cpu: &'static Cpu, stacks: EntryStacks, interrupts: &'static InterruptTable) {
    let tables = &cpu.backend.tables;
    for number in 0..EntryStack::COUNT {
        let place = (stacks.start(number) + 8) as *mut *const Cpu;
        // SAFETY: the topmost word of a stack that is this processor's alone.
        unsafe { place.write(core::ptr::from_ref(cpu)) };
        let start = VirtAddr::new(stacks.start(number));
        // SAFETY: only this processor, and only here, writes its TSS.
        let task = unsafe { &mut *tables.task.get() };
        task.interrupt_stack_table[number] = start;
        // Never used, as every gate has an IST stack; valid all the same.
        task.privilege_stack_table[0] = start;
    }
    // SAFETY: the TSS lives as long as the processor.
    let task = unsafe { Descriptor::tss_segment_unchecked(tables.task.get()) };
    let Descriptor::SystemSegment(task_low, task_high) = task else {
        unreachable!("a TSS descriptor is a system segment");
    };
    let segments = [
        0,
        0x00af_9b00_0000_ffff, // 0x08: kernel code, 64-bit
        0x00cf_9300_0000_ffff, // 0x10: kernel data
        0,                     // 0x18: would be 32-bit user code
        0x00cf_f300_0000_ffff, // 0x20: user data
        0x00af_fb00_0000_ffff, // 0x28: user code, 64-bit
        task_low,
        task_high,
    ];
    // SAFETY: only this processor, and only here, writes its GDT.
    unsafe { *tables.segments.get() = segments };
    let pointer = |base: u64, size: usize| DescriptorTablePointer {
        limit: size as u16 - 1,
        base: VirtAddr::new(base),
    };
    // SAFETY: the table is complete and lives as long as the processor.
    unsafe { lgdt(&pointer(tables.segments.get() as u64, size_of_val(&segments))) };
    // SAFETY: the selectors are those of the table just loaded.
    unsafe { load_segments() };
    // After a reset the local table is present, at address 0, where a program could put one.
    // SAFETY: a null selector: there is no local table.
    unsafe { core::arch::asm!("lldt {:x}", in(reg) 0, options(nostack, preserves_flags)) };
    // SAFETY: the descriptor at `TASK` is a TSS that no processor has loaded.
    unsafe { load_tss(SegmentSelector(TASK)) };
    let table = core::ptr::from_ref(interrupts);
    // SAFETY: the table is complete, lives for ever, and its stacks are in the TSS.
    unsafe { lidt(&pointer(table as u64, size_of::<InterruptTable>())) };
}

/// Loads the segment registers; `gs` keeps its base.
///
/// # Safety
///
/// The GDT is the one of [`load`].
unsafe fn load_segments() {
    // Loading a null selector into `gs` would clear its base on some processors, so it is set
    // again afterwards.
    // SAFETY: the register exists on every x86-64 processor.
    let base = unsafe { super::private::read_msr(super::private::MSR_GS_BASE) };
    // SAFETY: a 64-bit code segment of privilege 0, says the caller.
    unsafe { CS::set_reg(SegmentSelector(KERNEL_CODE)) };
    // SAFETY: a data segment of privilege 0, says the caller.
    unsafe { SS::set_reg(SegmentSelector(KERNEL_DATA)) };
    // SAFETY: null selectors are always allowed in these registers.
    unsafe { DS::set_reg(SegmentSelector(0)) };
    // SAFETY: as above.
    unsafe { ES::set_reg(SegmentSelector(0)) };
    // SAFETY: as above.
    unsafe { FS::set_reg(SegmentSelector(0)) };
    // SAFETY: as above; nothing uses `gs` until its base is back.
    unsafe { GS::set_reg(SegmentSelector(0)) };
    // SAFETY: the value that it had before.
    unsafe { write_msr(super::private::MSR_GS_BASE, base) };
}

/// Flags that `syscall` clears: the kernel starts with interrupts and tracing off, the direction
/// flag clear, no access to user pages.
const SYSTEM_CALL_MASK: u64 = {
    const TRAP: u64 = 1 << 8;
    const INTERRUPT: u64 = 1 << 9;
    const DIRECTION: u64 = 1 << 10;
    const IO_PRIVILEGE: u64 = 3 << 12;
    const NESTED_TASK: u64 = 1 << 14;
    const RESUME: u64 = 1 << 16;
    const ALIGNMENT_CHECK: u64 = 1 << 18;
    TRAP | INTERRUPT | DIRECTION | IO_PRIVILEGE | NESTED_TASK | RESUME | ALIGNMENT_CHECK
};

/// Makes `syscall` enter at `entry`, and refuses its relatives.
///
/// # Safety
///
/// `entry` expects the state in which `syscall` leaves the processor. `EFER.SCE` is on.
pub unsafe fn set_system_call_entry(entry: u64) {
    const MSR_STAR: u32 = 0xc000_0081;
    const MSR_LSTAR: u32 = 0xc000_0082;
    const MSR_FMASK: u32 = 0xc000_0084;
    const MSR_SYSENTER_CS: u32 = 0x174;
    let selectors = u64::from(SYSRET_BASE) << 48 | u64::from(KERNEL_CODE) << 32;
    for (register, value) in [
        (MSR_STAR, selectors),
        (MSR_LSTAR, entry),
        (MSR_FMASK, SYSTEM_CALL_MASK),
        // A null selector makes `sysenter` fault.
        (MSR_SYSENTER_CS, 0),
    ] {
        // SAFETY: these registers exist wherever `syscall` does; the values fit the GDT and `entry`.
        unsafe { write_msr(register, value) };
    }
}

/// The processor whose entry stack holds this frame: the one thing in the machine that knows.
pub(crate) fn cpu_above_frame(frame: *const super::frame::TrapFrame) -> &'static Cpu {
    let place = (frame as u64 + entry::CPU_ABOVE_FRAME as u64) as *const *const Cpu;
    // SAFETY: every entry pushes its frame at the start of an entry stack, above which `load` has
    // left the processor's address.
    let cpu = unsafe { *place };
    // SAFETY: `load` stored a `&'static Cpu`.
    let cpu = unsafe { &*cpu };
    debug_assert_eq!(cpu.backend.this.load(Ordering::Relaxed).cast_const(), cpu as *const Cpu);
    cpu
}

/// Takes an entry stack of the current processor away: the next trap that wants to enter on it is a
/// double fault. To provoke one, and for nothing else.
///
/// # Safety
///
/// Nothing of the processor's goes on as if traps worked.
pub unsafe fn take_entry_stack_away(stack: EntryStack) {
    let cpu = super::private::current_cpu();
    // SAFETY: only this processor writes its TSS.
    let task = unsafe { &mut *cpu.backend.tables.task.get() };
    // Pushing below it touches a page of the lower half, which the kernel never has.
    task.interrupt_stack_table[stack as usize] = VirtAddr::new(4096);
}
