//! Telling processors that there is something to run: an idle one is woken, a busy one is asked to
//! choose anew, and a poke is sent only if it would not notice by itself.
//!
//! # No wake-up is lost
//!
//! Two sides each write one thing and then read what the other writes:
//!
//! | who makes a thread runnable | the processor |
//! |---|---|
//! | puts the thread into a queue | publishes what it runs, or sets its halted bit |
//! | *fence* | *fence* |
//! | reads its priority and halted bit | looks at the queues again ([`crate::select`]) |
//!
//! With both fences at least one side sees the other: the thread is found by the look, or the
//! processor is told. Without either, both may read the old value, and a thread waits beside a
//! processor that sleeps.
//!
//! Whoever wakes a halted processor clears its halted bit *before* the poke. So each thread wakes
//! one processor, and the bit is what the halting processor looks at with interrupts off.
//!
//! Solaris: `cpu_resched`, `cpu_wakeup`, `cpu_surrender`, `poke_cpu`.

use crate::Dispatch;
use crate::binding;
use crate::cpu::{CpuDispatch, count};
use crate::partition::Partition;
use crate::priority::Priority;
use crate::thread::{Thread, asynchronous};
use crate::thread_lock::ThreadGuard;
use atomics::{Ordering, fence};
use machine::{Atomic, poke, preempt};

/// A thread of this priority has been put into the queue of `cpu`; `unbound` if others may take it.
#[inline]
pub(crate) fn tell(cpu: &'static CpuDispatch, priority: Priority, unbound: bool, atomic: &Atomic) {
    fence(Ordering::SeqCst);
    if priority > cpu.dispatch_priority.load() {
        ask_unless_idle(cpu, priority, atomic);
    }
    if cpu.partition().halted.load(Ordering::Relaxed) != 0 {
        wake_one(cpu, unbound, atomic);
    }
}

/// Asks a processor to choose anew that runs something of lower priority, or nothing.
#[inline(never)]
fn ask_unless_idle(cpu: &'static CpuDispatch, priority: Priority, atomic: &Atomic) {
    if !is_idle(cpu) {
        ask_to_choose(cpu, priority, atomic);
    }
}

/// Wakes the processor; if it is awake and others may take the thread, another.
#[inline(never)]
fn wake_one(cpu: &'static CpuDispatch, unbound: bool, atomic: &Atomic) {
    if !wake(cpu, atomic) && unbound {
        wake_any(cpu.partition(), atomic);
    }
}

/// A thread of this priority has been put into the queue of a partition.
pub(crate) fn tell_partition(
    partition: &'static Partition,
    thread: &Thread,
    priority: Priority,
    atomic: &Atomic,
) {
    fence(Ordering::SeqCst);
    // The processor where it was, if that is idle.
    if let Some(last) = thread.cpu.load(Ordering::Relaxed)
        && core::ptr::eq(last.partition(), partition)
        && last.takes_unbound()
        && wake(last, atomic)
    {
        return;
    }
    find_taker(partition, priority, atomic);
}

/// A thread of this priority waits in the queue of a partition: tells a processor that is idle, or else the
/// one that does, or is about to do, the least important thing.
///
/// Two who tell one after the other may find the same processor, which has not chosen yet. So whoever takes a
/// thread from that queue and leaves another there calls this too ([`crate::select`]).
#[cold]
pub(crate) fn find_taker(partition: &'static Partition, priority: Priority, atomic: &Atomic) {
    if wake_any(partition, atomic) {
        return;
    }
    let load = |cpu: &CpuDispatch| cpu.dispatch_priority.load().max(cpu.chosen.load());
    let lowest = partition
        .each_online(Dispatch::of(atomic))
        .filter(|cpu| !cpu.is_in_motion())
        .min_by_key(|cpu| load(cpu));
    if let Some(cpu) = lowest
        && priority > load(cpu)
    {
        // Before it is asked: if it chooses for another reason first, and forgets this, it chooses again.
        cpu.chosen.store(priority);
        // An idle one that has not halted is looking just now.
        ask_unless_idle(cpu, priority, atomic);
    }
}

/// Whether a processor runs its idle thread, as far as it has published.
fn is_idle(cpu: &CpuDispatch) -> bool {
    cpu.dispatch_priority.load() == Priority::NONE
}

/// Asks a processor that runs something of lower priority to choose anew: at once if the priority is
/// such as to preempt the kernel, otherwise when it returns to user mode.
#[inline(never)]
pub(crate) fn ask_to_choose(cpu: &'static CpuDispatch, priority: Priority, atomic: &Atomic) {
    if let Some(thread) = cpu.dispatch_thread.load(Ordering::Relaxed) {
        thread.ask(asynchronous::RUNRUN);
    }
    if priority >= Priority::KERNEL_PREEMPT {
        cpu.kprunrun.store(true, Ordering::Release);
    }
    notify(cpu, atomic);
}

/// Makes a processor look at its wishes: itself by the pending bit, another by a poke.
fn notify(cpu: &'static CpuDispatch, atomic: &Atomic) {
    if !cpu.is_here(atomic) {
        count(&CpuDispatch::current(atomic).counts.pokes);
        poke::poke(cpu.cpu());
    } else if cpu.kprunrun.load(Ordering::Relaxed) {
        preempt::want(atomic);
    }
}

/// Wakes a processor if it has halted or is about to. Says whether it had.
fn wake(cpu: &'static CpuDispatch, atomic: &Atomic) -> bool {
    let halted = &cpu.partition().halted;
    if halted.load(Ordering::Relaxed) & cpu.bit() == 0 {
        return false;
    }
    // Before the poke: the processor, woken by it, looks at the bit.
    let before = halted.fetch_and(!cpu.bit(), Ordering::AcqRel);
    if before & cpu.bit() == 0 {
        return false;
    }
    if !cpu.is_here(atomic) {
        count(&CpuDispatch::current(atomic).counts.pokes);
        poke::poke(cpu.cpu());
    }
    true
}

/// Wakes some processor of a partition that has halted. Says whether there was one.
pub(crate) fn wake_any(partition: &Partition, atomic: &Atomic) -> bool {
    let dispatch = Dispatch::of(atomic);
    loop {
        let halted = partition.halted.load(Ordering::Relaxed) & partition.online();
        let mut candidates = crate::partition::Bits(halted).filter_map(|index| dispatch.cpu(index));
        let Some(cpu) = candidates.find(|cpu| !cpu.is_in_motion()) else { return false };
        if wake(cpu, atomic) {
            return true;
        }
    }
}

/// The thread, which is locked, has become less entitled to its processor: if it runs, its
/// processor chooses anew. `cpu_surrender`.
pub(crate) fn surrender(guard: &ThreadGuard<'_>) {
    let Some(cpu) = guard.processor() else { return };
    let waiting = cpu.queue.highest().max(cpu.partition().queue.highest());
    let must_leave = binding::is_misplaced(guard.thread(), cpu);
    let priority = if must_leave { Priority::KERNEL_PREEMPT } else { waiting };
    if must_leave || waiting > guard.thread().dispatch_priority() {
        ask_to_choose(cpu, priority, guard.atomic());
    }
}

/// Which processors of a partition take threads that may run on any has changed: those that
/// do look again.
pub(crate) fn reconsider(partition: &'static Partition) {
    let guard = machine::preempt::disable_anywhere();
    let atomic = guard.atomic();
    let waiting = partition.queue.highest();
    for cpu in partition.each_online(Dispatch::of(atomic)) {
        if !wake(cpu, atomic) && waiting > cpu.dispatch_priority.load() && !is_idle(cpu) {
            ask_to_choose(cpu, waiting, atomic);
        }
    }
}

/// Another processor has poked this one: it looks at its wishes. Called by the poke's handler.
pub(crate) fn poked(cpu: &CpuDispatch, atomic: &Atomic) {
    if cpu.kprunrun.load(Ordering::Acquire) {
        preempt::want(atomic);
    }
}
