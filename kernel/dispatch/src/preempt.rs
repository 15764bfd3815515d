//! Taking the processor away from the running thread.
//!
//! *User preemption* (`RUNRUN`) happens when the thread is about to return to user mode. *Kernel
//! preemption* (`kprunrun`) happens as soon as the interrupt level is 0, preemption is on and
//! interrupts are on: when a dispatcher lock is released, when preemption is turned on again, on
//! the return from an interrupt.
//!
//! Solaris: `preempt`, `kpreempt`.

use crate::cpu::{CpuDispatch, count};
use crate::enqueue;
use crate::run_queue::End;
use crate::swtch::{count_here, swtch};
use crate::thread::{State, Thread, asynchronous};
use crate::thread_lock;
use crate::{class, stop};
use atomics::Ordering;
use machine::pil;
use machine::tracing::emit;
use machine::{Atomic, MayFault, Pil, preempt};
use trace::{EventId, Kind};

/// Kernel preemption: the machine's hook. At level 0, interrupts and preemption on.
pub fn kernel_preempt() {
    preempt_running();
}

/// Gives up the processor if something better waits for it. Called at level 0 by who is about to
/// return to user mode, and by the hook of kernel preemption.
pub(crate) fn preempt_running() {
    let level = pil::raise_anywhere(Pil::DISP);
    let cpu = CpuDispatch::current(level.atomic());
    let thread = cpu.thread();
    if cpu.is_idle_thread(thread) {
        // It gives way by itself, as soon as it looks.
        clear_wishes(cpu, thread, level.atomic());
        return;
    }
    let guard = thread_lock::lock(thread, level.atomic());
    if guard.state() != State::OnProcessor || !is_queue_of(thread, cpu) {
        // On its way to sleep, or already chosen to run elsewhere: it is about to
        // call `swtch` anyway.
        count(&cpu.counts.preemptions_too_late);
        clear_wishes(cpu, thread, level.atomic());
        drop(guard);
        level.restore_without_preemption();
        return;
    }
    count(&cpu.counts.preemptions);
    count_here(&thread.involuntary);
    emit(Kind::Preempt, thread.id(), EventId::NONE);
    let end = class::preempted(&guard);
    enqueue::enqueue(guard.transition(), end);
    swtch(level);
}

fn is_queue_of(thread: &Thread, cpu: &CpuDispatch) -> bool {
    thread.dispatch_queue.load(Ordering::Relaxed).is_some_and(|queue| queue.is_of(cpu))
}

fn clear_wishes(cpu: &CpuDispatch, thread: &Thread, atomic: &Atomic) {
    cpu.kprunrun.store(false, Ordering::Relaxed);
    thread.asynchronous.fetch_and(!asynchronous::RUNRUN, Ordering::Relaxed);
    preempt::clear(atomic);
}

/// Gives others of the same priority a turn. Only where the caller could be preempted: at level 0, with
/// preemption on. That is asked at run time, as critical sections can be entered without a token to lend.
pub fn yield_now() {
    assert!(preempt::is_possible(), "rule D5: nobody gives up the processor in a critical section");
    let level = pil::raise_anywhere(Pil::DISP);
    let thread = Thread::current(level.atomic());
    let guard = thread_lock::lock(thread, level.atomic());
    enqueue::enqueue(guard.transition(), End::Back);
    swtch(level);
}

/// What the running thread was asked to do before it returns to user mode. At level 0, on
/// its own stack.
pub fn asynchronous_work(may_fault: &mut MayFault) {
    let thread = Thread::running();
    let what = thread.asynchronous.load(Ordering::Acquire);
    if what & asynchronous::OWNER != 0 {
        // Before the owner looks: what comes later is asked for again.
        thread.asynchronous.fetch_and(!asynchronous::OWNER, Ordering::AcqRel);
        if let Some(owner) = thread.owner() {
            owner.asynchronous(thread, may_fault);
        }
    }
    if what & asynchronous::STOP != 0 {
        stop::stop_as_asked();
    }
    if what & (asynchronous::RUNRUN | asynchronous::CHANGE_BINDING) != 0 {
        thread.asynchronous.fetch_and(!asynchronous::CHANGE_BINDING, Ordering::Relaxed);
        preempt_running();
    }
}
