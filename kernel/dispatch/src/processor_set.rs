//! Processor sets: processors that are set aside for the threads which are bound to the set.
//! Threads outside never run on them, and the threads of the set run nowhere else.
//!
//! A set is a [`Partition`]. All processors and threads are in partition 0 to begin
//! with, which always has a processor on line. A set may be without processors as long
//! as it is without threads.
//!
//! Binding threads to a set is *atomic*: all of them move, or none. A thread that is bound
//! strongly or weakly to a processor outside the set cannot move. Weak bindings end soon, so new
//! ones are kept away by the barrier and the old ones waited for; the move itself is made with
//! all processors paused.
//!
//! Solaris: `cpupart_create`, `cpupart_destroy`, `cpupart_attach_cpu`, `cpupart_bind_thread`.

use crate::Dispatch;
use crate::binding::{affinity_here, is_bound_where, is_processors_own, rebound, threads_of};
use crate::cpu::CpuDispatch;
use crate::cpu_lock::CpuLockGuard;
use crate::in_motion::{NotQuiet, take_away, when_quiet};
use crate::partition::Partition;
use crate::pause::with_all_paused;
use crate::resched;
use crate::resources::OutOfMemory;
use crate::thread::{State, Thread};
use crate::thread_lock;
use crate::weak_binding;
use atomics::Ordering;
use core::ptr;
use machine::{Atomic, MayFault};

/// Why a set does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// The set does not exist, or has no processor for the threads.
    Invalid,
    /// There are as many sets as there can be.
    TooMany,
    /// Threads are bound where they would have to leave; or the processor is the last of a
    /// set with threads.
    Busy,
    /// There is no memory to pause the others.
    OutOfMemory,
}

impl From<NotQuiet> for SetError {
    fn from(why: NotQuiet) -> SetError {
        match why {
            NotQuiet::Bound => SetError::Busy,
            NotQuiet::OutOfMemory => SetError::OutOfMemory,
        }
    }
}

/// Makes a set without processors.
pub fn create(lock: &CpuLockGuard) -> Result<&'static Partition, SetError> {
    let unused = |set: &&Partition| !set.exists();
    let set = lock.dispatch().partitions.iter().find(unused).ok_or(SetError::TooMany)?;
    set.in_use.store(true, Ordering::Release);
    Ok(set)
}

/// Ends a set. Its processors and threads go back to partition 0, in one step; a thread that is
/// bound to one of the processors moves along with that.
pub fn destroy(
    set: &'static Partition,
    lock: &CpuLockGuard,
    may_fault: &mut MayFault,
) -> Result<(), SetError> {
    if set.number() == 0 || !set.exists() {
        return Err(SetError::Invalid);
    }
    let dispatch = lock.dispatch();
    let all = &dispatch.partitions[0];
    let affinity = affinity_here();
    // Nothing is in the way, ever: no thread has to leave its processor.
    let done = with_all_paused(lock, may_fault, |atomic| {
        for cpu in dispatch.cpus().filter(|cpu| ptr::eq(cpu.partition(), set)) {
            put_into(cpu, all);
        }
        for thread in threads_of(set, lock) {
            give_to(thread, all, atomic);
        }
        set.in_use.store(false, Ordering::Release);
    });
    drop(affinity);
    resched::reconsider(all);
    done.map_err(|OutOfMemory| SetError::OutOfMemory)
}

/// Moves a processor to another set. The threads that may run elsewhere stay in their set; a thread
/// that is bound to the processor keeps it where it is.
pub fn move_processor(
    cpu: &'static CpuDispatch,
    to: &'static Partition,
    lock: &CpuLockGuard,
    may_fault: &mut MayFault,
) -> Result<(), SetError> {
    let from = cpu.partition();
    if !to.exists() || !cpu.is_ready() {
        return Err(SetError::Invalid);
    }
    if ptr::eq(from, to) {
        return Ok(());
    }
    let is_last = from.online() == cpu.bit();
    // Threads are made without `cpu_lock`, in this set too.
    let is_needed = || is_last && (from.number() == 0 || from.threads.load(Ordering::Relaxed) != 0);
    if is_needed() {
        return Err(SetError::Busy);
    }
    if Thread::running().binding.strong.is(cpu, Ordering::Relaxed) {
        return Err(SetError::Busy);
    }
    Ok(take_away(cpu, lock, may_fault, is_needed, || put_into(cpu, to))?)
}

/// Binds threads to a set: all of them or none. Threads that are over, or belong to their
/// processor, do not count: they stay what they are. With partition 0 as the set this undoes it.
pub fn bind(
    threads: &[&'static Thread],
    set: &'static Partition,
    lock: &CpuLockGuard,
    may_fault: &mut MayFault,
) -> Result<(), SetError> {
    if !set.exists() || set.online() == 0 {
        return Err(SetError::Invalid);
    }
    let me = Thread::running();
    let outside = |bound: &CpuDispatch| !ptr::eq(bound.partition(), set);
    let movable = || threads.iter().filter(|thread| !is_processors_own(thread));
    let is_in_the_way = || movable().any(|thread| is_bound_where(thread, me, outside));
    let barrier = weak_binding::barrier(lock);
    let affinity = affinity_here();
    let late = &Default::default();
    let done = when_quiet(lock, may_fault, late, is_in_the_way, |atomic| {
        for thread in movable() {
            give_to(thread, set, atomic);
        }
    });
    drop(affinity);
    drop(barrier);
    resched::reconsider(set);
    Ok(done?)
}

/// Changes the partition of a processor, and of its idle thread. All processors are paused.
fn put_into(cpu: &'static CpuDispatch, to: &'static Partition) {
    let is_online = cpu.is_online();
    cpu.partition().leave(cpu);
    cpu.partition.store(Some(to), Ordering::Release);
    cpu.idle_thread().partition.store(Some(to), Ordering::Relaxed);
    if is_online {
        to.enter(cpu);
    }
}

/// Changes the partition of a thread. All processors are paused.
fn give_to(thread: &'static Thread, to: &'static Partition, atomic: &Atomic) {
    let from = crate::enqueue::partition_of(thread);
    if ptr::eq(from, to) || matches!(thread.state(), State::Zombie | State::Free) {
        return;
    }
    let guard = thread_lock::lock(thread, atomic);
    from.threads.fetch_sub(1, Ordering::Relaxed);
    to.threads.fetch_add(1, Ordering::Relaxed);
    thread.partition.store(Some(to), Ordering::Relaxed);
    rebound(guard);
}

/// The set that a thread is bound to; partition 0 if to none.
pub fn of(thread: &Thread) -> &'static Partition {
    crate::enqueue::partition_of(thread)
}

/// The set that a processor is in.
pub fn of_processor(cpu: &CpuDispatch) -> &'static Partition {
    cpu.partition()
}

/// All sets that exist, partition 0 among them.
pub fn all() -> impl Iterator<Item = &'static Partition> {
    Dispatch::current().partitions.iter().filter(|set| set.exists())
}
