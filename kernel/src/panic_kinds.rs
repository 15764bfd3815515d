//! Ways to panic on purpose (`panic=KIND`), to see and to test each kind of report.

use crate::kernel::Kernel;
use crate::threads;
use core::hint::black_box;
use dispatch::DispLock;
use machine::x86_64::descriptors::{EntryStack, take_entry_stack_away};
use machine::{Pil, pil};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A way to panic.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum PanicKind {
            $($(#[$doc])* $name,)*
        }

        impl PanicKind {
            /// What can be written after `panic=`.
            pub const EXPECTED: &'static str = concat!("panic= one of:" $(, " ", $text)*);

            /// The way with this name.
            pub fn parse(text: &str) -> Option<PanicKind> {
                match text {
                    $($text => Some(PanicKind::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// `panic!`.
    Plain = "plain",
    /// A failed assertion.
    Assertion = "assertion",
    /// A panic inside the report of a panic.
    Double = "double",
    /// A panic on a processor other than the first.
    OtherCpu = "other-cpu",
    /// Every processor panics at once.
    EveryCpu = "every-cpu",
    /// Endless recursion.
    StackOverflow = "stack-overflow",
    /// A read through a null pointer.
    Null = "null",
    /// A write to the kernel's text.
    WriteText = "write-text",
    /// A jump into data.
    ExecuteData = "execute-data",
    /// A read of user memory outside the copy routine.
    ReadUser = "read-user",
    /// An instruction that does not exist.
    UndefinedInstruction = "undefined-instruction",
    /// A division by zero.
    Divide = "divide",
    /// A breakpoint.
    Breakpoint = "breakpoint",
    /// A general-protection fault.
    GeneralProtection = "general-protection",
    /// A non-maskable interrupt that nobody expects.
    NonMaskable = "nmi",
    /// A double fault.
    DoubleFault = "double-fault",
    /// A fault that cannot be delivered at all: the processor resets.
    TripleFault = "triple-fault",
    /// A panic in the kernel on behalf of a program: in its call of `uname`.
    SystemCall = "system-call",
    /// A spin lock taken twice (checked builds).
    LockTwice = "lock-twice",
    /// A processor loops with interrupts held back.
    Deaf = "deaf",
    /// Two processors take two dispatcher locks in opposite orders, and wait for ever.
    LockCycle = "lock-cycle",
}

/// Panics in this way. Each is a function of its own, so that the backtrace has something to name.
/// Returns for the one kind that waits for a program.
pub fn provoke(kernel: &'static Kernel, kind: PanicKind) {
    log::warn!("provoking a panic: {kind:?}");
    match kind {
        PanicKind::Plain => provoke_plain(),
        PanicKind::Assertion => provoke_assertion(),
        PanicKind::Double => {
            crate::panic::panic_inside_next_report(kernel);
            provoke_plain()
        }
        PanicKind::OtherCpu => provoke_on_other(kernel),
        PanicKind::EveryCpu => provoke_everywhere(kernel),
        PanicKind::StackOverflow => {
            provoke_stack_overflow(1);
        }
        PanicKind::Null => provoke_access(0x10),
        PanicKind::WriteText => provoke_write_text(),
        PanicKind::ExecuteData => provoke_execute_data(),
        PanicKind::ReadUser => provoke_access(0x40_0000),
        PanicKind::UndefinedInstruction => provoke_undefined_instruction(),
        PanicKind::Divide => provoke_divide(),
        PanicKind::Breakpoint => provoke_breakpoint(),
        PanicKind::GeneralProtection => provoke_access(0x8000_0000_0000_0000),
        PanicKind::NonMaskable => provoke_non_maskable(kernel),
        PanicKind::DoubleFault => provoke_double_fault(),
        PanicKind::TripleFault => provoke_triple_fault(),
        PanicKind::SystemCall => return,
        PanicKind::LockTwice => provoke_lock_twice(kernel),
        PanicKind::Deaf => provoke_deaf(kernel),
        PanicKind::LockCycle => provoke_lock_cycle(kernel),
    }
    panic!("'{kind:?}' did not panic")
}

/// Called by `uname`.
#[inline(never)]
pub fn provoke_in_system_call(kernel: &Kernel) {
    assert!(kernel.options.panic != Some(PanicKind::SystemCall), "in a system call, as asked for");
}

#[inline(never)]
fn provoke_plain() {
    panic!("asked for");
}

#[inline(never)]
fn provoke_assertion() {
    assert_eq!(black_box(1) + 1, 3, "arithmetic");
}

#[inline(never)]
fn provoke_on_other(kernel: &'static Kernel) {
    let Some(cpu) = kernel.system.cpus().last().filter(|cpu| cpu.index() != 0) else {
        panic!("there is no other processor");
    };
    threads::run_on(cpu, provoke_plain);
    loop {
        core::hint::spin_loop();
    }
}

#[inline(never)]
fn provoke_everywhere(kernel: &'static Kernel) {
    for cpu in kernel.system.cpus().skip(1) {
        threads::run_on(cpu, provoke_plain);
    }
    provoke_plain();
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is the point")]
fn provoke_stack_overflow(depth: u64) -> u64 {
    let room = black_box([depth; 32]);
    provoke_stack_overflow(depth + 1) + room[black_box(0)]
}

#[inline(never)]
fn provoke_access(address: u64) {
    // SAFETY: none: this faults, and the fault is what is wanted.
    black_box(unsafe { (black_box(address) as *const u8).read_volatile() });
}

#[inline(never)]
fn provoke_write_text() {
    let text = provoke_write_text as *const () as u64 as *mut u8;
    // SAFETY: none: this faults, and the fault is what is wanted.
    unsafe { black_box(text).write_volatile(0xcc) };
}

#[inline(never)]
fn provoke_execute_data() {
    let data = [0xc3u8; 16];
    let address = black_box(&raw const data);
    // SAFETY: none: this faults, and the fault is what is wanted.
    unsafe { core::arch::asm!("call {}", in(reg) address, clobber_abi("C")) };
}

#[inline(never)]
fn provoke_undefined_instruction() {
    // SAFETY: none: this faults, and the fault is what is wanted.
    unsafe { core::arch::asm!("ud2") };
}

#[inline(never)]
fn provoke_divide() {
    // SAFETY: none: this faults, and the fault is what is wanted.
    unsafe { core::arch::asm!("div {0:e}", in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _) };
}

#[inline(never)]
fn provoke_breakpoint() {
    // SAFETY: none: this traps, and the trap is what is wanted.
    unsafe { core::arch::asm!("int3") };
}

#[inline(never)]
fn provoke_non_maskable(kernel: &Kernel) {
    let apic = &kernel.system.backend.local_apic;
    apic.send_non_maskable(apic.id());
    loop {
        core::hint::spin_loop();
    }
}

#[inline(never)]
fn provoke_double_fault() {
    // A page fault whose entry stack is not there: delivering it faults again. Interrupts are off, so
    // nothing else happens meanwhile.
    machine::x86_64::private::interrupts_off();
    // SAFETY: the next line ends everything.
    unsafe { take_entry_stack_away(EntryStack::PageFault) };
    provoke_access(0x10);
}

#[inline(never)]
fn provoke_triple_fault() {
    machine::x86_64::private::interrupts_off();
    for stack in [EntryStack::PageFault, EntryStack::DoubleFault] {
        // SAFETY: the next line ends everything.
        unsafe { take_entry_stack_away(stack) };
    }
    provoke_access(0x10);
}

#[inline(never)]
fn provoke_lock_twice(kernel: &Kernel) {
    let _first = kernel.report_lock.lock_anywhere();
    let _second = kernel.report_lock.lock_anywhere();
}

/// How long the watchdog waits here, in nanoseconds.
const SHORT_LIMIT: u64 = 50_000_000;

#[inline(never)]
fn provoke_lock_cycle(kernel: &'static Kernel) {
    fn other() {
        take_both(1);
    }
    let Some(cpu) = kernel.system.cpus().last().filter(|cpu| cpu.index() != 0) else {
        panic!("there is no other processor");
    };
    threads::set_watchdog(kernel, SHORT_LIMIT);
    threads::run_on(cpu, other);
    take_both(0);
}

/// Takes both of the locks, this one first, the second when both are taken.
#[inline(never)]
fn take_both(first: usize) {
    let locks: &'static [DispLock; 2] = &Kernel::current().bench_locks;
    let mut guard = locks[first].enter_anywhere();
    while !locks[1 - first].is_held() {
        core::hint::spin_loop();
    }
    let _second = locks[1 - first].enter_high(guard.held().atomic());
}

#[inline(never)]
fn provoke_deaf(kernel: &'static Kernel) {
    #[inline(never)]
    fn loop_at_a_raised_level() {
        let _raised = pil::raise_anywhere(Pil::DISP);
        loop {
            core::hint::spin_loop();
        }
    }
    fn compute() {
        loop {
            core::hint::spin_loop();
        }
    }
    let mut others = kernel.system.cpus().skip(1);
    let (Some(watcher), Some(cpu)) = (others.next(), others.last()) else {
        panic!("it takes three processors");
    };
    threads::set_watchdog(kernel, SHORT_LIMIT);
    threads::run_on(cpu, loop_at_a_raised_level);
    // A processor with something to do has ticks.
    threads::run_on(watcher, compute);
    compute();
}
