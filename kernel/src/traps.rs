//! What the machine calls: traps of programs, interrupts, pokes, preemption.

use crate::checks;
use crate::kernel::{Kernel, PerCpu, count};
use crate::{console, disk, lwp, panic, trap_trace};
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
        let per_cpu = PerCpu::of(cpu);
        count(&per_cpu.timer_interrupts);
        per_cpu.user_time.count_interrupted(cpu, atomic);
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
        console::interrupt(Kernel::current(), context);
    } else if level == disk::LEVEL && usize::from(line) < disk::DISKS_MAX {
        disk::interrupt(Kernel::current(), line, context);
    } else if line == checks::THREAD_LINE {
        Kernel::current().shared.handlers.call_on_thread(level, context);
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
    fn trap(&self, cpu: &Cpu, frame: &TrapFrame) {
        trap_trace::note(cpu, frame);
    }

    fn user_exception(&self, frame: &mut TrapFrame, may_fault: &mut MayFault) {
        if is_refused_entry(frame, may_fault) {
            let guard = preempt::disable(may_fault);
            count(&PerCpu::current(guard.atomic()).refused_entries);
        }
        lwp::faults::user_exception(frame, may_fault);
    }

    fn page_fault(&self, frame: &mut TrapFrame, may_fault: &mut MayFault) -> bool {
        lwp::faults::page_fault(frame, may_fault)
    }

    fn asynchronous(&self, _: &mut TrapFrame, may_fault: &mut MayFault) {
        dispatch::preempt::asynchronous_work(may_fault);
    }

    fn returns_to_user(&self, atomic: &Atomic) {
        dispatch::hooks::assert_may_return_to_user(atomic);
    }

    fn kernel_step(&self, cpu: &Cpu, frame: &mut TrapFrame) -> bool {
        Kernel::find().is_some_and(|kernel| kernel.shared.sweep.debug_exception(cpu, frame))
    }

    fn fatal(&self, frame: &TrapFrame, cause: Fatal) -> ! {
        panic::fatal_trap(frame, cause)
    }
}
