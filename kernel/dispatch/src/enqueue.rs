//! Making a thread runnable: which queue, at which end, and who has to be told.
//!
//! Where it goes, the first that applies:
//!
//! 1. bound, weakly before strongly: the queue of that processor;
//! 2. at or above [`Priority::KERNEL_PREEMPT`]: the queue of its partition, which every processor
//!    of it serves;
//! 3. otherwise the queue of the processor that [`choose_cpu`] chooses.
//!
//! Solaris: `setbackdq`, `setfrontdq` (here one function and an end of the
//! list), `setkpdq`, `cpu_choose`.

use crate::Dispatch;
use crate::cpu::{CpuDispatch, count};
use crate::priority::Priority;
use crate::resched;
use crate::run_queue::End;
use crate::thread::Thread;
use crate::thread_lock::InTransit;
use atomics::Ordering;
use machine::tracing::emit;
use machine::{Atomic, time};
use trace::{EventId, Kind};

/// How long after a thread ran its processor's cache counts as warm, in ticks of the clock: about 3
/// ticks of 10 ms on a processor of 1 GHz.
const WARM: u64 = 30_000_000;

/// How many threads more than the least loaded processor a thread's own may have before the thread
/// goes elsewhere.
const IMBALANCE: u32 = 2;

/// Makes a thread runnable, before its equals: `setfrontdq`.
#[inline]
pub(crate) fn set_front(transit: InTransit<'_>) {
    enqueue(transit, End::Front);
}

/// Makes a thread runnable. Its lock becomes the queue's, and is free when this returns.
pub(crate) fn enqueue(transit: InTransit<'_>, end: End) {
    let (thread, atomic) = (transit.thread(), transit.atomic());
    let priority = thread.dispatch_priority();
    let bound = thread.bound_cpu();
    if bound.is_none() && priority >= Priority::KERNEL_PREEMPT {
        return enqueue_for_partition(transit, priority, end);
    }
    let cpu = match bound {
        Some(cpu) => cpu,
        None => choose_cpu(thread, priority, end, atomic),
    };
    let is_unbound = bound.is_none();
    let mut held = cpu.queue.lock.enter_high(atomic);
    cpu.queue.insert(&mut held, transit, priority, is_unbound, end);
    count(&cpu.counts.enqueues);
    drop(held);
    resched::tell(cpu, priority, is_unbound, atomic);
}

#[inline(never)]
fn enqueue_for_partition(transit: InTransit<'_>, priority: Priority, end: End) {
    let (thread, atomic) = (transit.thread(), transit.atomic());
    count(&CpuDispatch::current(atomic).counts.enqueues);
    let partition = partition_of(thread);
    let mut held = partition.queue.lock.enter_high(atomic);
    partition.queue.insert(&mut held, transit, priority, true, end);
    drop(held);
    resched::tell_partition(partition, thread, priority, atomic);
}

/// The partition that a thread belongs to.
pub(crate) fn partition_of(thread: &Thread) -> &'static crate::Partition {
    match thread.partition.load(Ordering::Relaxed) {
        Some(partition) => partition,
        None => panic!("a thread that has begun has a partition"),
    }
}

/// The processor for a thread that is bound to none: the one it ran on last, while that is warm and not
/// much busier than the others; otherwise the one that is least busy. Never one that is being taken off
/// line, if there is another.
#[inline]
fn choose_cpu(
    thread: &Thread,
    priority: Priority,
    end: End,
    atomic: &Atomic,
) -> &'static CpuDispatch {
    let online = partition_of(thread).online();
    match thread.cpu.load(Ordering::Relaxed) {
        // Nothing to choose from.
        Some(last) if online == last.bit() && !last.is_in_motion() => last,
        last => choose_among(thread, last, online, priority, end, Dispatch::of(atomic)),
    }
}

#[inline(never)]
fn choose_among(
    thread: &Thread,
    last: Option<&'static CpuDispatch>,
    online: u64,
    priority: Priority,
    end: End,
    dispatch: &'static Dispatch,
) -> &'static CpuDispatch {
    let last = last.filter(|cpu| online & cpu.bit() != 0 && !cpu.is_in_motion());
    if let Some(last) = last {
        let warm = time::now().wrapping_sub(thread.ran_at.load(Ordering::Relaxed)) < WARM;
        // A thread that goes in front was preempted just now; it moves only if it would
        // have to wait.
        let stays = match end {
            End::Front => warm || priority >= last.queue.highest(),
            End::Back => warm && is_balanced(last, online, dispatch),
        };
        if stays {
            return last;
        }
    }
    least_busy(thread, last, online, dispatch)
}

/// Whether no processor has much less to do than this one.
fn is_balanced(cpu: &CpuDispatch, online: u64, dispatch: &'static Dispatch) -> bool {
    let waiting = cpu.queue.count();
    waiting < IMBALANCE
        || crate::partition::Bits(online)
            .filter_map(|index| dispatch.cpu(index))
            .all(|other| other.queue.count() + IMBALANCE > waiting)
}

/// The processor whose best thread, running or waiting, has the lowest priority; among equals the
/// one with the shortest queue, and then the one where the thread was.
fn least_busy(
    thread: &Thread,
    last: Option<&'static CpuDispatch>,
    online: u64,
    dispatch: &'static Dispatch,
) -> &'static CpuDispatch {
    let load = |cpu: &CpuDispatch| {
        let busy = cpu.dispatch_priority.load().max(cpu.queue.highest());
        let elsewhere = !last.is_some_and(|last| core::ptr::eq(last, cpu));
        (cpu.is_in_motion(), busy, cpu.queue.count(), elsewhere)
    };
    let best = crate::partition::Bits(online)
        .filter_map(|index| dispatch.cpu(index))
        .min_by_key(|cpu| load(cpu));
    match best {
        Some(cpu) => cpu,
        None => panic!("{thread:?} belongs to a partition without processors"),
    }
}

/// Makes a thread runnable that slept or was stopped. `transit` comes from its queue, whose
/// lock is held.
pub(crate) fn set_runnable(transit: InTransit<'_>, end: End) {
    let thread = transit.thread();
    let event = emit(Kind::Wake, thread.id(), EventId::NONE);
    thread.woken_by.store(event.to_bits(), Ordering::Relaxed);
    // Also for threads that nobody keeps accounts of: only the thread's own side may ask for its owner.
    thread.runnable_at.store(time::now(), core::sync::atomic::Ordering::Relaxed);
    enqueue(transit, end);
}
