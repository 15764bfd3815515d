//! What the machine's hooks do for the dispatcher. The kernel's hooks call these; so do the tests'.

use crate::cpu::CpuDispatch;
use crate::{callout, preempt, resched};
use machine::{Atomic, Cpu};

/// [`machine::Hooks::poked`].
pub fn poked(cpu: &Cpu, atomic: &Atomic) {
    if let Some(cpu) = CpuDispatch::find(cpu) {
        cpu.in_high_level_interrupt(|| {
            resched::poked(cpu, atomic);
            cpu.callouts.poked(atomic);
        });
    }
}

/// [`machine::Hooks::timer`]; or what an interrupt thread of the clock's level calls for it.
pub fn timer(cpu: &Cpu, atomic: &Atomic) {
    if let Some(cpu) = CpuDispatch::find(cpu) {
        callout::run_due(cpu, atomic);
    }
}

/// [`machine::Hooks::preempt`].
pub fn preempt() {
    preempt::kernel_preempt();
}
