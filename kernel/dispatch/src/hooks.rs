//! What the machine's hooks do for the dispatcher. The kernel's hooks call these; so do the tests'.

use crate::cpu::CpuDispatch;
use crate::{callout, lock_order, preempt, resched, swtch};
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

/// What must hold when a thread returns to user mode, in debug builds: its lock is its processor's, it holds
/// no dispatcher lock, and it is not weakly bound.
pub fn assert_may_return_to_user(atomic: &Atomic) {
    let Some(cpu) = CpuDispatch::find_current(atomic) else { return };
    let thread = cpu.thread();
    swtch::assert_own_lock(cpu, thread);
    lock_order::assert_none_held(cpu);
    debug_assert!(thread.binding.count() == 0, "{thread:?} is weakly bound in user mode");
}
