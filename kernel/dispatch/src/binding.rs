//! Strong binding: a thread runs on one processor and no other, for long.
//!
//! | who binds | how | undone |
//! |---|---|---|
//! | the system | affinity: [`affinity_here`], [`affinity_set`]; nests | by dropping the guard |
//! | a user | [`processor_bind`], soft or hard | by binding to none; soft also by going off line |
//!
//! Affinity goes before a user's request: the request is recorded meanwhile, and comes into
//! force when the last affinity ends. Weak binding ([`crate::weak_binding`]) goes before both.
//! So of each thread
//!
//! ```text
//!   strong = the processor of its affinity, if any; otherwise what the user has requested
//!   bound  = weak, if any; otherwise strong
//! ```
//!
//! # A changed binding takes effect
//!
//! All bindings are changed under the thread lock. What happens then depends on where
//! the thread is:
//!
//! - runnable: it is taken from its queue and put where it belongs now. That also tells idle
//!   processors of a thread that they may take since now;
//! - running: its processor is told to preempt it. On the way back into a queue it
//!   finds the binding;
//! - anywhere else: it finds the binding when it is made runnable.
//!
//! "Told to preempt it" can come at the moment when the processor, having chosen this very thread,
//! takes back all wishes. So the change also leaves a mark on the thread, which the processor looks
//! at after that ([`has_to_leave`]). Who changes: *binding, mark, fence, wish*; the processor:
//! *wish taken back, fence, mark, binding*. Either the processor sees the mark, or the wish is
//! younger than the taking back.
//!
//! Solaris: `thread_affinity_set`, `cpu_bind_thread`, `t_bound_cpu`, `t_bind_cpu`, `t_affinitycnt`.

use crate::Partition;
use crate::class::Class;
use crate::cpu::CpuDispatch;
use crate::cpu_lock::CpuLockGuard;
use crate::enqueue::{enqueue, partition_of};
use crate::resched;
use crate::run_queue::End;
use crate::thread::{Binding, State, Thread, asynchronous};
use crate::thread_lock::{self, ThreadGuard, lock_thread_if_begun};
use atomics::{Ordering, fence};
use core::marker::PhantomData;
use core::ptr;
use machine::tracing::emit;
use machine::{Pil, pil};
use trace::{EventId, Kind};

/// What a user's binding does when its processor is to go off line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    /// It gives way.
    Soft,
    /// It keeps the processor on line, unless that is forced.
    Hard,
}

/// Why a thread is not bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindError {
    /// The processor is off line or in another set, or the thread is one that belongs
    /// to its processor.
    Invalid,
    /// The processor has never been started.
    NotReady,
    /// There is no such thread: it is over or has not begun.
    NoSuchThread,
}

impl Binding {
    /// The bindings of a new thread: none, or affinity for ever.
    pub(crate) fn begin(&self, bound_to: Option<&'static CpuDispatch>) {
        self.strong.store(bound_to, Ordering::Relaxed);
        self.affinity.store(u32::from(bound_to.is_some()), Ordering::Relaxed);
        self.requested.store(None, Ordering::Relaxed);
        self.soft.store(false, Ordering::Relaxed);
        self.weak.store(None, Ordering::Relaxed);
        self.nomigrate.store(0, Ordering::Relaxed);
    }

    /// Whether affinity is set.
    fn has_affinity(&self) -> bool {
        self.affinity.load(Ordering::Relaxed) != 0
    }
}

/// Whether a thread is one of its processor's own: the idle thread, interrupt threads, the pause
/// thread. Nobody binds them, and they are no reason to keep a processor, apart from interrupts that are not
/// done with.
pub(crate) fn is_processors_own(thread: &Thread) -> bool {
    // Looked up once: the thread may be over, and its object be made into another meanwhile.
    let cpu = thread.cpu.load(Ordering::Relaxed);
    cpu.is_some_and(|cpu| cpu.is_idle_thread(thread)) || thread.class() == Class::Interrupt
}

/// Whether a thread is an interrupt's whose handler has blocked, and has not come to its end since: nobody
/// else will end it, and it has to run on its processor.
fn is_blocked_interrupt(thread: &Thread) -> bool {
    thread.is_interrupt_thread() && matches!(thread.state(), State::Sleep | State::Run)
}

/// The processor that a thread is bound to strongly, or will be when affinity ends that the current
/// operation has set for itself.
fn strong_of(thread: &Thread, operator: &Thread) -> Option<&'static CpuDispatch> {
    let binding = &thread.binding;
    let by_operation = ptr::eq(thread, operator) && binding.affinity.load(Ordering::Relaxed) == 1;
    let strong = if by_operation { &binding.requested } else { &binding.strong };
    strong.load(Ordering::Relaxed)
}

/// Whether any binding of a thread, of whatever kind, makes this hold of a processor. `operator` is
/// the thread that asks, and has affinity once for the sake of its question.
pub(crate) fn is_bound_where(
    thread: &Thread,
    operator: &Thread,
    fits: impl Fn(&CpuDispatch) -> bool,
) -> bool {
    let binding = &thread.binding;
    let has_work_here = !is_processors_own(thread) || is_blocked_interrupt(thread);
    if thread.state() == State::Zombie || !has_work_here {
        return false;
    }
    // A request that is inert at the moment comes into force sooner or later, without `cpu_lock`.
    let requested = binding.requested.load(Ordering::Relaxed);
    let weak = binding.weak.load(Ordering::Relaxed);
    [strong_of(thread, operator), requested, weak].into_iter().flatten().any(fits)
}

/// The binding of a locked thread has changed, or its partition: it takes effect. See the module.
pub(crate) fn rebound(guard: ThreadGuard<'_>) {
    let guard = match guard.take_from_queue() {
        Ok(transit) => return enqueue(transit, End::Back),
        Err(guard) => guard,
    };
    if guard.state() == State::OnProcessor {
        guard.thread().asynchronous.fetch_or(asynchronous::CHANGE_BINDING, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        resched::surrender(&guard);
    }
}

/// Whether a thread is bound strongly to another processor than this, or belongs to another
/// partition. A weak binding does not count: who changes the strong one cannot know that the weak
/// one has not just ended, and so tells the processor in any case.
pub(crate) fn is_misplaced(thread: &Thread, cpu: &CpuDispatch) -> bool {
    match thread.binding.strong.load(Ordering::Relaxed) {
        Some(strong) => !ptr::eq(strong, cpu),
        None => !ptr::eq(partition_of(thread), cpu.partition()),
    }
}

/// The processor has chosen a thread and taken back all wishes: whether the thread's binding has
/// changed meanwhile, so that it belongs elsewhere.
#[inline]
pub(crate) fn has_to_leave(thread: &Thread, cpu: &CpuDispatch) -> bool {
    thread.asynchronous.load(Ordering::Relaxed) & asynchronous::CHANGE_BINDING != 0
        && has_to_leave_by_binding(thread, cpu)
}

#[cold]
fn has_to_leave_by_binding(thread: &Thread, cpu: &CpuDispatch) -> bool {
    // The mark first: a change after this sets it again, and wishes again.
    thread.asynchronous.fetch_and(!asynchronous::CHANGE_BINDING, Ordering::AcqRel);
    let is_weak = thread.binding.weak.load(Ordering::Relaxed).is_some();
    !is_weak && is_misplaced(thread, cpu)
}

/// Makes a locked thread's strong binding what affinity and request say. It takes effect if
/// it has changed.
fn settle(guard: ThreadGuard<'_>) {
    let thread = guard.thread();
    let binding = &thread.binding;
    if binding.has_affinity() {
        return;
    }
    let requested = binding.requested.load(Ordering::Relaxed);
    if !is_same(binding.strong.load(Ordering::Relaxed), requested) {
        binding.strong.store(requested, Ordering::Relaxed);
        rebound(guard);
    }
}

fn is_same(one: Option<&CpuDispatch>, other: Option<&CpuDispatch>) -> bool {
    one.map(ptr::from_ref) == other.map(ptr::from_ref)
}

/// Affinity of a thread for a processor; dropping it takes that back.
#[must_use = "affinity ends when this is dropped"]
pub struct AffinityGuard {
    thread: &'static Thread,
    id: u64,
    not_send: PhantomData<*mut ()>,
}

/// The running thread stays on its current processor. Nests. Needs no lock, for it takes
/// effect at once.
pub fn affinity_here() -> AffinityGuard {
    let level = pil::raise_anywhere(Pil::DISP);
    let cpu = CpuDispatch::current(level.atomic());
    let thread = cpu.thread();
    let guard = thread_lock::lock(thread, level.atomic());
    let binding = &thread.binding;
    let count = binding.affinity.load(Ordering::Relaxed);
    binding.affinity.store(count + 1, Ordering::Relaxed);
    if count == 0 {
        binding.strong.store(Some(cpu), Ordering::Relaxed);
    }
    emit(Kind::Bind, thread.id(), EventId::NONE);
    drop(guard);
    AffinityGuard { thread, id: thread.id(), not_send: PhantomData }
}

/// A thread goes to a processor and stays there. Nests for the same processor. `None` if the thread
/// is over or has not begun.
///
/// # Panics
///
/// If it has affinity for another processor already, or if it is the caller and bound weakly.
pub fn affinity_set(
    thread: &'static Thread,
    cpu: &'static CpuDispatch,
    _lock: &CpuLockGuard,
) -> Option<AffinityGuard> {
    assert!(cpu.is_online(), "affinity for a processor that is off line");
    let (guard, level) = lock_thread_if_begun(thread)?.into_parts();
    let binding = &thread.binding;
    assert!(
        !ptr::eq(Thread::current(guard.atomic()), thread)
            || binding.weak.load(Ordering::Relaxed).is_none(),
        "{thread:?} asks for affinity while it is weakly bound"
    );
    let count = binding.affinity.load(Ordering::Relaxed);
    let strong = binding.strong.load(Ordering::Relaxed);
    assert!(
        count == 0 || is_same(strong, Some(cpu)),
        "conflicting affinity: {thread:?} is to be on processor {}, and has affinity for another",
        cpu.index()
    );
    binding.affinity.store(count + 1, Ordering::Relaxed);
    emit(Kind::Bind, thread.id(), EventId::NONE);
    if is_same(strong, Some(cpu)) {
        drop(guard);
    } else {
        binding.strong.store(Some(cpu), Ordering::Relaxed);
        rebound(guard);
    }
    drop(level);
    Some(AffinityGuard { thread, id: thread.id(), not_send: PhantomData })
}

impl Drop for AffinityGuard {
    fn drop(&mut self) {
        // A thread that is over is bound to nothing.
        let Some(locked) = lock_thread_if_begun(self.thread) else { return };
        if self.thread.id() != self.id {
            // The object is another thread's by now.
            return;
        }
        let (guard, level) = locked.into_parts();
        let binding = &self.thread.binding;
        let count = binding.affinity.load(Ordering::Relaxed);
        debug_assert!(count != 0, "affinity is taken back more often than it was set");
        binding.affinity.store(count - 1, Ordering::Relaxed);
        emit(Kind::Unbind, self.thread.id(), EventId::NONE);
        settle(guard);
        drop(level);
    }
}

/// A user binds a thread to a processor, or with `None` to no processor. While the thread has
/// affinity this is recorded and nothing else.
pub fn processor_bind(
    thread: &'static Thread,
    to: Option<(&'static CpuDispatch, Strength)>,
    _lock: &CpuLockGuard,
) -> Result<(), BindError> {
    if is_processors_own(thread) {
        return Err(BindError::Invalid);
    }
    if let Some((cpu, _)) = to {
        if !cpu.is_ready() {
            return Err(BindError::NotReady);
        }
        if !cpu.is_online() || !ptr::eq(cpu.partition(), partition_of(thread)) {
            return Err(BindError::Invalid);
        }
    }
    request(thread, to)
}

/// Records a user's request, and makes it take effect.
pub(crate) fn request(
    thread: &'static Thread,
    to: Option<(&'static CpuDispatch, Strength)>,
) -> Result<(), BindError> {
    let locked = lock_thread_if_begun(thread).ok_or(BindError::NoSuchThread)?;
    let (guard, level) = locked.into_parts();
    thread.binding.requested.store(to.map(|(cpu, _)| cpu), Ordering::Relaxed);
    let is_soft = to.is_some_and(|(_, strength)| strength == Strength::Soft);
    thread.binding.soft.store(is_soft, Ordering::Relaxed);
    emit(if to.is_some() { Kind::Bind } else { Kind::Unbind }, thread.id(), EventId::NONE);
    settle(guard);
    drop(level);
    Ok(())
}

/// The processor that a user has asked for, and how strongly; whether or not it is in force.
pub fn processor_binding(thread: &Thread) -> Option<(&'static CpuDispatch, Strength)> {
    let soft = thread.binding.soft.load(Ordering::Relaxed);
    let strength = if soft { Strength::Soft } else { Strength::Hard };
    thread.binding.requested.load(Ordering::Relaxed).map(|cpu| (cpu, strength))
}

/// Binds several threads, a process's for example: each that can be. The error is the last thread's
/// that could not, except that threads which are over do not count while there are others.
pub fn processor_bind_all(
    threads: impl Iterator<Item = &'static Thread>,
    to: Option<(&'static CpuDispatch, Strength)>,
    lock: &CpuLockGuard,
) -> Result<(), BindError> {
    let mut result = Err(BindError::NoSuchThread);
    for thread in threads {
        match processor_bind(thread, to, lock) {
            Err(BindError::NoSuchThread) => {}
            Ok(()) if result != Err(BindError::NoSuchThread) => {}
            other => result = other,
        }
    }
    result
}

/// Binds all threads of a partition.
pub fn processor_bind_partition(
    partition: &'static Partition,
    to: Option<(&'static CpuDispatch, Strength)>,
    lock: &CpuLockGuard,
) -> Result<(), BindError> {
    processor_bind_all(threads_of(partition, lock), to, lock)
}

/// The threads that belong to a partition and not to one of its processors.
pub(crate) fn threads_of(
    partition: &'static Partition,
    lock: &CpuLockGuard,
) -> impl Iterator<Item = &'static Thread> {
    lock.dispatch().all_threads.iter().filter(move |thread| {
        let belongs = thread.partition.load(Ordering::Relaxed);
        belongs.is_some_and(|its| ptr::eq(its, partition))
            && thread.state() != State::Zombie
            && !is_processors_own(thread)
    })
}
