//! What the machine calls: traps of programs, interrupts, pokes, preemption.

use crate::checks;
use crate::kernel::{Kernel, PerCpu, count};
use crate::process::{self, Killed};
use crate::{console, disk, panic};
use dispatch::CpuDispatch;
use dispatch::interrupt_thread::{self, InterruptContext};
use machine::x86_64::frame::TrapFrame;
use machine::x86_64::trap::{Fatal, TrapHooks};
use machine::x86_64::user_copy;
use machine::{Atomic, Cpu, Hooks, MayFault, Pil, pil, preempt, time};

/// The kernel's side of the machine. Has no state.
pub struct KernelHooks;

impl Hooks for KernelHooks {
    fn interrupt(&self, cpu: &Cpu, atomic: &Atomic, level: Pil, line: u8) {
        if line == checks::LINE {
            Kernel::current().shared.handlers.call(cpu, atomic, level);
        } else if !deliver(cpu, atomic, level, line) {
            log::warn!("an interrupt that no driver asked for: level {level:?}, line {line}");
        }
    }

    fn poked(&self, cpu: &Cpu, atomic: &Atomic) {
        dispatch::hooks::poked(cpu, atomic);
    }

    fn timer(&self, cpu: &Cpu, atomic: &Atomic) {
        count(&PerCpu::of(cpu).timer_interrupts);
        Kernel::current().shared.handlers.call(cpu, atomic, time::TIMER_LEVEL);
        deliver(cpu, atomic, time::TIMER_LEVEL, time::TIMER_LINE);
    }

    fn preempt(&self) {
        let level = pil::raise_anywhere(Pil::DISP);
        let atomic = level.atomic();
        count(&PerCpu::current(atomic).preemptions);
        let too_early = CpuDispatch::find(Cpu::current(atomic))
            .is_none_or(|cpu| cpu.running_thread().is_none());
        if too_early {
            // There is nothing to choose from yet.
            preempt::clear(atomic);
        }
        level.restore_without_preemption();
        if !too_early {
            dispatch::hooks::preempt();
        }
    }
}

/// Hands an interrupt to its thread, if there is one.
fn deliver(cpu: &Cpu, atomic: &Atomic, level: Pil, line: u8) -> bool {
    CpuDispatch::find(cpu).is_some_and(|cpu| interrupt_thread::deliver(cpu, atomic, level, line))
}

/// Handles an interrupt up to `LOCK_LEVEL`, on its thread.
pub fn handle_interrupt(level: Pil, line: u8, context: &mut InterruptContext) {
    if (level, line) == (time::TIMER_LEVEL, time::TIMER_LINE) {
        // SAFETY: an interrupt thread stays on its processor, and at its level nobody preempts it.
        let atomic = unsafe { Atomic::assume() };
        dispatch::hooks::timer(Cpu::current(atomic), atomic);
    } else if (level, line) == (console::LEVEL, console::LINE) {
        console::interrupt(Kernel::current());
    } else if level == disk::LEVEL && usize::from(line) < disk::DISKS_MAX {
        disk::interrupt(Kernel::current(), line, context);
    } else if line == checks::THREAD_LINE {
        Kernel::current().shared.handlers.call_on_thread(level, context);
    }
}

/// Signals by Linux's numbers.
pub mod signal {
    /// Ctrl-C.
    pub const SIGINT: u8 = 2;
    /// An instruction that does not exist, or is not the program's to execute.
    pub const SIGILL: u8 = 4;
    /// A breakpoint or a step.
    pub const SIGTRAP: u8 = 5;
    /// An access that the memory behind it cannot serve.
    pub const SIGBUS: u8 = 7;
    /// A division by zero, or a floating-point error.
    pub const SIGFPE: u8 = 8;
    /// The end, whatever the program thinks of it.
    pub const SIGKILL: u8 = 9;
    /// An access to memory that is not the program's.
    pub const SIGSEGV: u8 = 11;

    /// A signal's name.
    pub fn name(signal: u8) -> &'static str {
        match signal {
            SIGINT => "SIGINT",
            SIGILL => "SIGILL",
            SIGTRAP => "SIGTRAP",
            SIGBUS => "SIGBUS",
            SIGFPE => "SIGFPE",
            SIGKILL => "SIGKILL",
            SIGSEGV => "SIGSEGV",
            _ => "a signal",
        }
    }
}

/// The signal of an exception, as on Linux.
fn signal_of(vector: u64) -> u8 {
    match vector {
        0 | 16 | 19 => signal::SIGFPE,
        1 | 3 => signal::SIGTRAP,
        6 => signal::SIGILL,
        11 | 12 | 17 => signal::SIGBUS,
        _ => signal::SIGSEGV,
    }
}

/// Whether an exception comes from a way into the kernel that is refused: `int 0x80` or `sysenter`. (A
/// `syscall` of 32-bit code there cannot be: there is no segment for such code.) The instruction tells;
/// error codes differ between processors.
fn is_refused_entry(frame: &TrapFrame, may_fault: &mut MayFault) -> bool {
    const INT_80: [u8; 2] = [0xcd, 0x80];
    const SYSENTER: [u8; 2] = [0x0f, 0x34];
    let mut instruction = [0; 2];
    matches!(frame.vector, 6 | 13)
        && user_copy::copy_in(&mut instruction, frame.rip, may_fault).is_ok()
        && [INT_80, SYSENTER].contains(&instruction)
}

impl TrapHooks for KernelHooks {
    fn user_exception(&self, frame: &mut TrapFrame, may_fault: &mut MayFault) {
        if is_refused_entry(frame, may_fault) {
            let guard = preempt::disable(may_fault);
            count(&PerCpu::current(guard.atomic()).refused_entries);
        }
        let signal = signal_of(frame.vector);
        process::kill(frame, Killed { signal, exception: true }, may_fault)
    }

    fn page_fault(&self, frame: &mut TrapFrame, may_fault: &mut MayFault) -> bool {
        process::page_fault(frame, may_fault)
    }

    fn asynchronous(&self, _: &mut TrapFrame, may_fault: &mut MayFault) {
        dispatch::preempt::asynchronous_work(may_fault);
    }

    fn returns_to_user(&self, atomic: &Atomic) {
        dispatch::hooks::assert_may_return_to_user(atomic);
    }

    fn fatal(&self, frame: &TrapFrame, cause: Fatal) -> ! {
        panic::fatal_trap(frame, cause)
    }
}
