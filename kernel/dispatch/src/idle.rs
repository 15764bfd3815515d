//! The idle loop: a processor without threads looks for work, then halts.
//!
//! Halting loses no wake-up. The processor sets its halted bit, *fence*, and looks at all queues;
//! who enqueues does so, *fence*, and looks at the bit ([`crate::resched`]). The last look before
//! the halt is at the bit itself, with interrupts off: the waker has cleared it before it poked,
//! and a poke that comes after the look ends the halt.

use crate::Dispatch;
use crate::cpu::{CpuDispatch, count};
use crate::select;
use crate::swtch::swtch;
use atomics::{Ordering, fence};
use machine::pil;
use machine::{Atomic, MayFault, Pil, idle};

/// Runs the threads of the current processor, whose idle thread the caller is, until `is_over` says
/// so. `is_over` is asked when there is nothing to run, and may use the time for what the processor
/// has to do for itself.
pub fn idle_loop(may_fault: &mut MayFault, mut is_over: impl FnMut(&mut MayFault) -> bool) {
    let cpu = {
        let level = pil::raise(Pil::DISP, may_fault);
        let cpu = CpuDispatch::current(level.atomic());
        debug_assert!(cpu.is_idle_thread(cpu.thread()), "only the idle thread idles");
        cpu
    };
    loop {
        if look_for_work(cpu, may_fault) {
            continue;
        }
        let halted = &cpu.partition().halted;
        halted.fetch_or(cpu.bit(), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        // Both questions come after the bit: whoever changes the answers clears it afterwards.
        let over = is_over(may_fault);
        if !over && !is_work_there(cpu, may_fault) {
            count(&cpu.counts.halts);
            idle::halt_unless(may_fault, |_: &Atomic| {
                halted.load(Ordering::Acquire) & cpu.bit() == 0
            });
        }
        halted.fetch_and(!cpu.bit(), Ordering::Relaxed);
        if over {
            return;
        }
    }
}

fn is_work_there(cpu: &'static CpuDispatch, may_fault: &mut MayFault) -> bool {
    let level = pil::raise(Pil::DISP, may_fault);
    select::is_any_work(cpu, level.atomic())
}

/// Runs threads while there are any. Says whether there were.
fn look_for_work(cpu: &'static CpuDispatch, may_fault: &mut MayFault) -> bool {
    let level = pil::raise(Pil::DISP, may_fault);
    if !select::is_any_work(cpu, level.atomic()) {
        return false;
    }
    swtch(level);
    true
}

/// Wakes every processor that has halted, so that it asks its `is_over` again.
pub fn wake_all(dispatch: &'static Dispatch) {
    let guard = machine::preempt::disable_anywhere();
    fence(Ordering::SeqCst);
    for cpu in dispatch.cpus() {
        cpu.partition().halted.fetch_and(!cpu.bit(), Ordering::AcqRel);
        if !cpu.is_here(guard.atomic()) {
            machine::poke::poke(cpu.cpu());
        }
    }
}
