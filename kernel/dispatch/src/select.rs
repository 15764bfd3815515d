//! Choosing the next thread of a processor.
//!
//! 1. The best of the partition's queue and of the processor's own; among equals the partition's,
//!    since its threads would wait for any processor.
//! 2. If both are empty: the best thread of another processor's queue that is bound to none.
//! 3. If there is none: the idle thread.
//!
//! The choice is published ([`crate::thread_lock::publish_on_processor`]) and then *ratified*: with
//! the wishes cleared, the queues are looked at once more. Whoever enqueued something better in
//! between has either seen what was published, and asked again, or is seen now. Without this look a
//! preemption could be lost for ever.
//!
//! Whoever leaves something in the partition's queue behind sees to it that another processor comes for it.
//!
//! Solaris: `disp`, `disp_ratify`, `disp_getwork`, `disp_getbest`.

use crate::Dispatch;
use crate::binding;
use crate::cpu::{CpuDispatch, count};
use crate::dispatch_queue::DispatchQueue;
use crate::enqueue;
use crate::priority::Priority;
use crate::resched;
use crate::thread::asynchronous;
use crate::thread_lock::{Committed, InTransit, publish_on_processor};
use atomics::{Ordering, fence};
use machine::tracing::emit;
use machine::{Atomic, preempt};
use trace::{EventId, Kind};

/// Chooses what the current processor runs next. The thread that has run until now has already been
/// put where it belongs.
#[inline]
pub(crate) fn select<'c>(cpu: &'static CpuDispatch, atomic: &'c Atomic) -> Committed<'c> {
    loop {
        let committed = candidate(cpu, atomic);
        match ratify(cpu, committed) {
            Ok(committed) => return committed,
            Err(committed) => {
                put_back(cpu, committed);
            }
        }
    }
}

#[cold]
fn put_back(cpu: &CpuDispatch, committed: Committed<'_>) {
    count(&cpu.counts.ratify_retries);
    enqueue::set_front(committed.revoke().transition());
}

#[inline(always)]
fn candidate<'c>(cpu: &'static CpuDispatch, atomic: &'c Atomic) -> Committed<'c> {
    loop {
        let own = cpu.queue.highest();
        let partition = partition_queue(cpu);
        let shared = partition.map_or(Priority::NONE, DispatchQueue::highest);
        let queue = if own > shared {
            &cpu.queue
        } else if let Some(partition) = partition
            && shared != Priority::NONE
        {
            partition
        } else {
            break;
        };
        // Another processor may have emptied the partition's queue meanwhile; or ours, by stealing.
        let mut held = queue.lock.enter_high(atomic);
        if let Some((transit, priority)) = queue.take_highest(&mut held) {
            if queue.owner().is_none() {
                count(&cpu.counts.from_partition);
            }
            return take(cpu, transit, priority, atomic);
        }
    }
    steal_or_idle(cpu, atomic)
}

#[inline(never)]
fn steal_or_idle<'c>(cpu: &'static CpuDispatch, atomic: &'c Atomic) -> Committed<'c> {
    steal(cpu, atomic).unwrap_or_else(|| {
        publish_choice(cpu, cpu.idle_thread(), Priority::NONE);
        Committed::idle(cpu, atomic)
    })
}

/// Publishes a thread that has just been taken from a queue, whose lock is still held.
#[inline]
fn take<'c>(
    cpu: &'static CpuDispatch,
    transit: InTransit<'_>,
    priority: Priority,
    atomic: &'c Atomic,
) -> Committed<'c> {
    let thread = transit.thread();
    debug_assert!(priority == thread.dispatch_priority());
    let last = thread.cpu.load(Ordering::Relaxed);
    if last.is_some_and(|last| !core::ptr::eq(last, cpu)) {
        emit(Kind::Migrate, thread.id(), EventId::NONE);
    }
    publish_choice(cpu, thread, priority);
    publish_on_processor(transit, cpu, atomic)
}

/// Says what the processor runs from now on.
pub(crate) fn publish_choice(
    cpu: &CpuDispatch,
    thread: &'static crate::Thread,
    priority: Priority,
) {
    cpu.dispatch_thread.store(Some(thread), Ordering::Relaxed);
    cpu.dispatch_priority.store(priority);
}

/// The partition's queue, which a processor serves while it is on line and stays so.
fn partition_queue(cpu: &CpuDispatch) -> Option<&'static DispatchQueue> {
    cpu.takes_unbound().then(|| &cpu.partition().queue)
}

/// Takes the best thread that waits for another processor and may run on any.
fn steal<'c>(cpu: &'static CpuDispatch, atomic: &'c Atomic) -> Option<Committed<'c>> {
    loop {
        let victim = busiest_other(cpu, atomic)?;
        let mut held = victim.queue.lock.enter_high(atomic);
        // What looked like work may be gone, or bound; then the bound is lower now and
        // we look again.
        if let Some(transit) = victim.queue.take_unbound(&mut held) {
            count(&cpu.counts.steals);
            let priority = transit.thread().dispatch_priority();
            return Some(take(cpu, transit, priority, atomic));
        }
    }
}

/// The processor of the same partition in whose queue the best thread waits that others may take.
fn busiest_other(cpu: &CpuDispatch, atomic: &Atomic) -> Option<&'static CpuDispatch> {
    let dispatch = Dispatch::of(atomic);
    if !cpu.takes_unbound() {
        return None;
    }
    cpu.partition()
        .each_online(dispatch)
        .filter(|other| !core::ptr::eq(*other, cpu))
        .filter(|other| other.queue.highest_unbound() != Priority::NONE)
        .max_by_key(|other| other.queue.highest_unbound())
}

/// Looks again with the wishes cleared. `Err` if there is something better by now.
fn ratify<'c>(cpu: &CpuDispatch, committed: Committed<'c>) -> Result<Committed<'c>, Committed<'c>> {
    cpu.kprunrun.store(false, Ordering::Relaxed);
    cpu.chosen.store(Priority::NONE);
    committed.thread().asynchronous.fetch_and(!asynchronous::RUNRUN, Ordering::Relaxed);
    preempt::clear(committed.atomic());
    fence(Ordering::SeqCst);
    if binding::has_to_leave(committed.thread(), cpu) {
        return Err(committed);
    }
    let best = best_waiting(cpu);
    if best <= cpu.dispatch_priority.load() {
        if best >= Priority::KERNEL_PREEMPT {
            leave_to_others(cpu, committed.atomic());
        }
        return Ok(committed);
    }
    if cpu.is_idle_thread(committed.thread()) {
        // The idle thread goes nowhere: the loop simply chooses again. It is cheaper to let the
        // idle loop do that than to carry a third outcome.
        return Ok(committed);
    }
    Err(committed)
}

/// What waits in the partition's queue is no more important than what runs here from now on: for whom is it?
#[cold]
fn leave_to_others(cpu: &CpuDispatch, atomic: &Atomic) {
    let waiting = cpu.partition().queue.highest();
    if waiting != Priority::NONE {
        resched::find_taker(cpu.partition(), waiting, atomic);
    }
}

/// The highest priority among the threads that wait for this processor.
pub(crate) fn best_waiting(cpu: &CpuDispatch) -> Priority {
    let shared = partition_queue(cpu).map_or(Priority::NONE, DispatchQueue::highest);
    cpu.queue.highest().max(shared)
}

/// Whether there is anything that the current processor could run: what the idle thread asks
/// before it halts.
pub(crate) fn is_any_work(cpu: &CpuDispatch, atomic: &Atomic) -> bool {
    best_waiting(cpu) != Priority::NONE || busiest_other(cpu, atomic).is_some()
}
