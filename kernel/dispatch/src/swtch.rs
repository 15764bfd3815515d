//! Leaving one thread for another.
//!
//! # One stack, one processor
//!
//! A thread that is put into a queue can be chosen by another processor while this one still stands
//! on its stack. So each thread has a flag, `on_cpu`: set by who switches to it, cleared by the
//! *next* thread on the processor, as soon as that stands on its own stack. Who wants to switch to
//! a thread waits for the flag.
//!
//! Waiting on one's own stack could be for ever: two processors that exchange their threads would
//! wait for each other. So a processor that has to wait first goes to its idle thread's stack,
//! which nobody waits for; there the old thread is released, and there it waits.
//!
//! Solaris: `swtch`, `resume`, `t_lock`.

use crate::cpu::{CpuDispatch, count};
use crate::idle_time;
use crate::interrupt_thread;
use crate::lock_order;
use crate::owner::{Microstate, ThreadOwner};
use crate::select;
use crate::thread::{State, Thread};
use crate::thread_lock::Committed;
use crate::tick;
use atomics::Ordering;
use machine::pil::PilGuard;
use machine::tracing::emit_with;
use machine::{Atomic, Context, Pil, time};
use trace::{EventId, Kind};

/// Gives up the processor. The running thread has been put where it belongs: into a queue, to
/// sleep. Returns when the thread has a processor again, at the level from before the guard.
pub(crate) fn swtch(level: PilGuard<'_>) {
    let previous = level.previous();
    debug_assert!(
        previous <= Pil::LOCK,
        "rule D5: nobody gives up the processor at a raised level"
    );
    {
        let atomic = level.atomic();
        let cpu = CpuDispatch::current(atomic);
        let thread = cpu.thread();
        if !interrupt_thread::unpin(cpu, thread, atomic) {
            count_voluntary(thread);
            if thread.state() == State::Sleep
                && let Some(owner) = thread.owner()
            {
                owner.sleeps(thread, atomic);
            }
            let next = select::select(cpu, atomic);
            switch_to(cpu, thread, next);
        }
    }
    come_back(level, previous);
}

/// Gives up the processor to whom `choose` says, which also puts the running thread where it
/// belongs. Not for interrupt threads: what they have pinned goes nowhere. Otherwise as [`swtch`].
pub(crate) fn hand_over(
    level: PilGuard<'_>,
    choose: impl for<'c> FnOnce(&'static CpuDispatch, &'c Atomic) -> Committed<'c>,
) {
    let previous = level.previous();
    {
        let atomic = level.atomic();
        let cpu = CpuDispatch::current(atomic);
        let thread = cpu.thread();
        count_voluntary(thread);
        let next = choose(cpu, atomic);
        switch_to(cpu, thread, next);
    }
    come_back(level, previous);
}

/// The running thread has been switched to again: restores its level, which was `previous`.
fn come_back(level: PilGuard<'_>, previous: Pil) {
    // The level was kept by whoever switched back here, perhaps on another processor.
    let _ = level.leave_raised();
    // SAFETY: the level is `DISP` still, and this thread's to restore.
    drop(unsafe { PilGuard::adopt(previous) });
}

fn count_voluntary(thread: &Thread) {
    count_here(&thread.voluntary);
}

/// Adds 1 to a count of the running thread's own.
pub(crate) fn count_here(counter: &atomics::AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Leaves the running thread for one that has been published. Returns when the running thread is
/// switched to.
#[inline(always)]
pub(crate) fn switch_to(cpu: &'static CpuDispatch, from: &'static Thread, next: Committed<'_>) {
    let (to, atomic) = (next.thread(), next.atomic());
    lock_order::assert_none_held(cpu);
    let now = time::now();
    if core::ptr::eq(from, to) {
        // It never leaves the processor: its owner hears of a change of state and of nothing else.
        account_state(from, now);
        return;
    }
    account(from, to, now, atomic);
    count(&cpu.counts.switches);
    tick::note_switch(cpu, to);
    idle_time::note_switch(cpu, to, now);
    let context = leave(cpu, from, to);
    // SAFETY: `from` runs here; `to` has been published by this processor alone, and nobody stands
    // on its stack. We are at `DISP_LEVEL`, and threads live for ever.
    unsafe { machine::switch(atomic, &from.context, context) };
    arrive();
    if cpu.is_idle_thread(from) {
        finish_deferred(cpu, atomic);
    }
}

/// A thread arrives for the first time. An idle one goes on to whom the processor has chosen, if it came here
/// for that.
pub(crate) fn arrive_first() {
    arrive();
    // SAFETY: at `DISP_LEVEL`, until the caller restores the level.
    let atomic: &Atomic = unsafe { Atomic::assume() };
    let cpu = CpuDispatch::current(atomic);
    if cpu.is_idle_thread(cpu.thread()) {
        finish_deferred(cpu, atomic);
    }
}

/// The thread leaves its processor, for who keeps accounts; the event for the timeline.
#[inline]
fn account(from: &'static Thread, to: &'static Thread, now: u64, atomic: &Atomic) {
    account_state(from, now);
    if let Some(owner) = from.owner() {
        owner.leaves_processor(from, atomic);
    }
    emit_with(Kind::Dispatch, || {
        (to.id(), EventId::from_bits(to.woken_by.load(Ordering::Relaxed)))
    });
}

/// The thread goes from one state to another, for who keeps accounts.
#[inline]
fn account_state(from: &'static Thread, now: u64) {
    from.ran_at.store(now, Ordering::Relaxed);
    if let Some(owner) = from.owner() {
        tell_state(from, owner, now);
    }
}

#[inline(never)]
fn tell_state(from: &'static Thread, owner: &dyn ThreadOwner, now: u64) {
    let state = match from.state() {
        State::Run => Microstate::WaitCpu,
        State::Stopped => Microstate::Stopped,
        State::OnProcessor => Microstate::Running,
        _ => Microstate::Sleep,
    };
    owner.microstate(from, state, now);
}

/// Prepares for leaving `from`: says which context to go to, `to`'s or the idle thread's.
#[inline]
pub(crate) fn leave(
    cpu: &'static CpuDispatch,
    from: &'static Thread,
    to: &'static Thread,
) -> &'static Context {
    cpu.previous.store(Some(from), Ordering::Relaxed);
    let to = if cpu.is_idle_thread(from) {
        // Nobody waits for the idle thread's stack.
        wait_until_left(to);
        to
    } else if is_being_left(to) {
        count(&cpu.counts.deferred_switches);
        cpu.deferred.store(Some(to), Ordering::Relaxed);
        cpu.idle_thread()
    } else {
        to
    };
    to.on_cpu.store(true, Ordering::Relaxed);
    cpu.set_thread(to);
    &to.context
}

/// Whether some processor still stands on the thread's stack.
#[inline]
fn is_being_left(thread: &Thread) -> bool {
    thread.on_cpu.load(Ordering::Acquire)
}

/// Waits until nobody stands on the thread's stack.
pub(crate) fn wait_until_left(thread: &Thread) {
    while is_being_left(thread) {
        machine::spin();
    }
}

/// The first thing that a thread does when it has been switched to: it releases the one before it, and its
/// owner loads what it needs.
#[inline(always)]
pub(crate) fn arrive() {
    // SAFETY: at `DISP_LEVEL`, until the caller restores the level.
    let atomic: &Atomic = unsafe { Atomic::assume() };
    let cpu = CpuDispatch::current(atomic);
    release_previous(cpu, atomic);
    let thread = cpu.thread();
    assert_own_lock(cpu, thread);
    if let Some(owner) = thread.owner() {
        enters(thread, owner, atomic);
    }
}

#[inline(never)]
fn enters(thread: &'static Thread, owner: &dyn ThreadOwner, atomic: &Atomic) {
    owner.microstate(thread, Microstate::Running, time::now());
    owner.enters_processor(thread, atomic);
}

/// Lets go of the thread whose stack the processor has just left.
#[inline]
pub(crate) fn release_previous(cpu: &'static CpuDispatch, atomic: &Atomic) {
    debug_assert!(Pil::current() == Pil::DISP);
    if let Some(previous) = cpu.previous.load(Ordering::Relaxed) {
        cpu.previous.store(None, Ordering::Relaxed);
        // Before the flag is cleared: then the object may be used for another thread at once.
        let over = previous.state() == State::Zombie && previous.life.is_detached();
        previous.on_cpu.store(false, Ordering::Release);
        if over {
            crate::kernel_thread::recycle(previous, atomic);
        }
    }
}

/// The running thread's lock is that of its own processor. What bug 5017148 broke.
pub(crate) fn assert_own_lock(cpu: &'static CpuDispatch, thread: &Thread) {
    if cfg!(debug_assertions) && !cpu.is_idle_thread(thread) && thread.state() == State::OnProcessor
    {
        assert!(
            thread.is_locked_by(&cpu.thread_lock),
            "{thread:?} runs on processor {} and its lock is that of processor {:?}",
            cpu.index(),
            thread.lock_pointer().and_then(|lock| lock.processor()),
        );
    }
}

/// On the idle thread's stack: switches to the thread for whose sake this processor came
/// here, if any.
pub(crate) fn finish_deferred(cpu: &'static CpuDispatch, atomic: &Atomic) {
    while let Some(to) = cpu.deferred.load(Ordering::Relaxed) {
        cpu.deferred.store(None, Ordering::Relaxed);
        let idle = cpu.idle_thread();
        let context = leave(cpu, idle, to);
        // SAFETY: the idle thread runs here; `to` was published by this processor and has been left
        // by the one where it stood. At `DISP_LEVEL`.
        unsafe { machine::switch(atomic, &idle.context, context) };
        arrive();
    }
}

/// Says to which context the processor goes from a thread that is over.
pub(crate) fn leave_for_ever(
    cpu: &'static CpuDispatch,
    from: &'static Thread,
    next: Committed<'_>,
) -> &'static Context {
    let to = next.thread();
    lock_order::assert_none_held(cpu);
    let now = time::now();
    account(from, to, now, next.atomic());
    count(&cpu.counts.switches);
    tick::note_switch(cpu, to);
    idle_time::note_switch(cpu, to, now);
    leave(cpu, from, to)
}
