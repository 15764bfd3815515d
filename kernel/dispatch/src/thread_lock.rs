//! The thread lock, and the changes of a thread's state.
//!
//! A thread has no lock of its own. Its lock is the dispatcher lock of whatever holds it at the
//! moment, and its lock pointer leads there:
//!
//! | state | lock |
//! |---|---|
//! | running | its processor's thread lock |
//! | runnable | its run queue's lock |
//! | asleep | its sleep queue's bucket, its turnstile chain, or the shuttle lock |
//! | set aside for a hand-over | the shuttle lock |
//! | stopped | the stop lock |
//! | a free interrupt thread | its processor's thread lock |
//! | between two of these | the transition lock, which is always held |
//! | over | none |
//!
//! So whoever holds, say, a run queue's lock has locked every thread in it. The pointer may move
//! while somebody waits for the lock, so [`lock`] looks again once it has it.
//!
//! # Changes of state
//!
//! A change goes through a value that stands for the right to make it, and consumes it:
//!
//! ```text
//! lock() -> ThreadGuard -+-> sleep(queue lock)             asleep, in the queue's hands
//!                        +-> stop(stop lock)               stopped
//!                        +-> transition() -> InTransit -+-> enqueue (crate::enqueue) runnable
//!   from a queue, lock held: InTransit::of_queue -------+-> publish_on_processor     running
//!                                                       +-> into_reserved            set aside
//!                                                       +-> into_sleeping            asleep again
//! ```
//!
//! [`ThreadGuard`] remembers the lock that it *took* and releases that one, wherever the pointer
//! leads by then. Forgetting this was bug 6294464.
//!
//! [`publish_on_processor`] is the one function that makes a thread running. The new lock, the
//! processor's, is *not* held at that moment. So the order of its two stores carries everything:
//! state first, then the pointer, with release order. Leaving the order to the compiler was bug
//! 4699850. The result, [`Committed`], borrows the proof that the caller stays on this processor:
//! giving up the level in between, and so perhaps the processor, does not compile. That it did
//! was bug 5017148.

use crate::cpu::CpuDispatch;
use crate::disp_lock::{DispLock, Held, LockClass};
use crate::dispatch_queue::DispatchQueue;
use crate::thread::{State, Thread};
use crate::watchdog::Watch;
use atomics::Ordering;
use core::mem::ManuallyDrop;
use machine::pil::{self, PilGuard};
use machine::{Atomic, Cpu, MayFault, Pil};

/// A locked thread, at a level that somebody else restores. Dropping it is `thread_unlock_high`.
#[must_use = "the thread is unlocked when this is dropped"]
pub struct ThreadGuard<'a> {
    thread: &'static Thread,
    /// The lock that was taken.
    held: ManuallyDrop<Held<'a>>,
}

/// Whether a thread in this state may have a lock of this class. [`State::Zombie`] has none at all.
fn fits(state: State, class: LockClass) -> bool {
    match state {
        State::Sleep => {
            matches!(class, LockClass::Sleep | LockClass::Turnstile | LockClass::Shuttle)
        }
        State::Run => class == LockClass::Run,
        State::OnProcessor => class == LockClass::Processor,
        State::Stopped => class == LockClass::Stop,
        State::Reserved => class == LockClass::Shuttle,
        State::Free => class == LockClass::Processor,
        State::Zombie => false,
    }
}

/// Locks a thread, where the level is raised already: `thread_lock_high`. Must not be called for a
/// thread that is over: it has no lock.
#[inline]
pub fn lock<'a>(thread: &'static Thread, atomic: &'a Atomic) -> ThreadGuard<'a> {
    loop {
        if let Some(guard) = try_lock(thread, atomic) {
            return guard;
        }
        wait_within(thread, atomic);
    }
}

/// Waits until the thread's lock is free or its pointer has moved, at a raised level.
#[cold]
fn wait_within(thread: &'static Thread, atomic: &Atomic) {
    while let Some(lock) = thread.lock_pointer()
        && lock.is_held()
    {
        debug_assert!(
            lock.holder() != Some(Cpu::current(atomic).index()),
            "a processor waits for a thread lock that it holds itself: {thread:?}"
        );
        let mut watch = Watch::begin(lock, atomic);
        while lock.is_held() && thread.is_locked_by(lock) {
            watch.turn(atomic);
        }
    }
}

/// Locks a thread if its lock is free, or finds that its pointer has moved on.
#[inline]
pub(crate) fn try_lock<'a>(thread: &'static Thread, atomic: &'a Atomic) -> Option<ThreadGuard<'a>> {
    let Some(lock) = thread.lock_pointer() else { lock_of_nobody(thread) };
    let held = lock.try_enter_high(atomic)?;
    // The pointer may have moved between the look and the lock.
    if !thread.is_locked_by(lock) {
        return None;
    }
    Some(ThreadGuard::new(thread, held))
}

#[cold]
fn lock_of_nobody(thread: &Thread) -> ! {
    panic!("nobody locks a thread that is over: {thread:?}");
}

/// Waits until the thread's lock is free or its pointer has moved, at whatever level.
#[cold]
pub(crate) fn wait(thread: &Thread) {
    while let Some(lock) = thread.lock_pointer()
        && lock.is_held()
    {
        machine::spin();
    }
}

/// Locks a thread that may be over: then there is nothing to lock.
pub fn lock_if_alive<'a>(thread: &'static Thread, atomic: &'a Atomic) -> Option<ThreadGuard<'a>> {
    loop {
        let lock = thread.lock_pointer()?;
        if lock.class() == LockClass::Transition && thread.state() == State::Free {
            // Its object is being made into another thread, which has not begun.
            return None;
        }
        match lock.try_enter_high(atomic) {
            Some(held) if thread.is_locked_by(lock) => {
                return Some(ThreadGuard::new(thread, held));
            }
            Some(held) => drop(held),
            None => wait_within(thread, atomic),
        }
    }
}

impl<'a> ThreadGuard<'a> {
    fn new(thread: &'static Thread, held: Held<'a>) -> ThreadGuard<'a> {
        debug_assert!(
            fits(thread.state(), held.lock().class()),
            "a thread lock that does not fit: state {:?}, lock of class {:?}",
            thread.state(),
            held.lock().class()
        );
        ThreadGuard { thread, held: ManuallyDrop::new(held) }
    }

    /// A thread whose lock the caller has taken already, as that of the queue it is in.
    pub(crate) fn of_queue(thread: &'static Thread, held: Held<'a>) -> ThreadGuard<'a> {
        debug_assert!(thread.is_locked_by(held.lock()), "the thread is in this queue");
        ThreadGuard::new(thread, held)
    }

    /// The lock that was taken, still held.
    pub(crate) fn into_held(self) -> Held<'a> {
        self.take_apart().1
    }

    /// The thread and the lock that was taken, for a change of state.
    #[inline]
    fn take_apart(self) -> (&'static Thread, Held<'a>) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the guard is not dropped, so this is the only use.
        (this.thread, unsafe { ManuallyDrop::take(&mut this.held) })
    }

    /// The thread.
    #[inline]
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }

    /// What holds meanwhile.
    #[inline]
    pub fn atomic(&self) -> &'a Atomic {
        self.held.atomic()
    }

    /// Its state, for as long as the guard is held.
    #[inline]
    pub fn state(&self) -> State {
        self.thread.state()
    }

    /// The lock that was taken.
    pub(crate) fn lock(&self) -> &'static DispLock {
        self.held.lock()
    }

    /// The lock itself, for access to what else it protects.
    pub(crate) fn held(&mut self) -> &mut Held<'a> {
        &mut self.held
    }

    /// The queue that it waits in, if it is runnable.
    pub(crate) fn run_queue(&self) -> Option<&'static DispatchQueue> {
        if self.state() != State::Run {
            return None;
        }
        self.thread.dispatch_queue.load(Ordering::Relaxed)
    }

    /// The processor that it runs on, if it does.
    pub fn processor(&self) -> Option<&'static CpuDispatch> {
        (self.state() == State::OnProcessor).then(|| self.thread.cpu())
    }

    /// It is between two states from now on: nobody can lock it. Releases the lock that was taken.
    #[inline]
    pub(crate) fn transition(self) -> InTransit<'a> {
        let (thread, held) = self.take_apart();
        let atomic = held.atomic();
        thread.set_lock_pointer(Some(crate::Dispatch::of(atomic).transition_lock()));
        drop(held);
        InTransit { thread, atomic }
    }

    /// Takes it out of the queue in which it waits, as [`ThreadGuard::transition`] does with others. If it waits in
    /// none it stays locked.
    pub(crate) fn take_from_queue(mut self) -> Result<InTransit<'a>, ThreadGuard<'a>> {
        let Some(queue) = self.run_queue() else { return Err(self) };
        let thread = self.thread;
        // What this returns is of no use: the queue's lock is still held.
        let _ = queue.remove(&mut self.held, thread);
        Ok(self.transition())
    }

    /// It is asleep from now on, in the hands of `new`, which the caller holds. Releases the lock
    /// that was taken.
    #[inline]
    pub(crate) fn sleep(self, new: &Held<'_>) {
        self.give(State::Sleep, new);
    }

    /// It is stopped from now on; `new` is the stop lock, which the caller holds.
    pub(crate) fn stop(self, new: &Held<'_>) {
        self.give(State::Stopped, new);
    }

    fn give(self, state: State, new: &Held<'_>) {
        crate::weak_binding::assert_may_sleep(self.thread);
        debug_assert!(fits(state, new.lock().class()));
        let (thread, held) = self.take_apart();
        thread.publish(state, Some(new.lock()));
        drop(held);
    }

    /// It is free from now on, an interrupt thread without an interrupt; `lock` is its processor's,
    /// which is the one that was taken.
    pub(crate) fn free(self, lock: &'static DispLock) {
        let (thread, held) = self.take_apart();
        thread.publish(State::Free, Some(lock));
        drop(held);
    }

    /// It is over: nobody can lock it again.
    pub(crate) fn zombie(self) {
        let (thread, held) = self.take_apart();
        thread.publish(State::Zombie, None);
        drop(held);
    }
}

impl Drop for ThreadGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        #[cfg(feature = "bug-6294464")]
        if let Some(lock) = self.thread.lock_pointer() {
            // With the bug, unlocking goes by the pointer, as `thread_unlock` did: if that was
            // moved meanwhile, the wrong lock is released and the right one stays held.
            Held::release_whatever(lock, self.held.atomic());
            return;
        }
        // SAFETY: dropped once, here or by `take_apart`.
        unsafe { ManuallyDrop::drop(&mut self.held) };
    }
}

/// A locked thread together with the level that locking raised. Dropping it is `thread_unlock`.
#[must_use = "the thread is unlocked when this is dropped"]
pub struct LockedThread<'a> {
    // In this order: unlock, then restore the level, then look at preemption.
    guard: ThreadGuard<'a>,
    level: PilGuard<'a>,
}

/// Locks a thread: `thread_lock`. Spins at the level that the caller came with.
#[inline]
pub fn lock_thread<'a>(thread: &'static Thread, may_fault: &'a mut MayFault) -> LockedThread<'a> {
    loop {
        let level = pil::raise(Pil::DISP, may_fault);
        // SAFETY: the level stays raised for as long as the guard below, which restores it last.
        if let Some(guard) = try_lock(thread, unsafe { Atomic::assume() }) {
            // SAFETY: the level is `DISP`, and the other guard for it is forgotten.
            let level = unsafe { PilGuard::adopt(level.leave_raised()) };
            return LockedThread { guard, level };
        }
        drop(level);
        wait(thread);
    }
}

/// Locks a thread wherever the caller comes from, unless it is over or has not begun: nobody can
/// lock such a thread.
pub(crate) fn lock_thread_if_begun<'a>(thread: &'static Thread) -> Option<LockedThread<'a>> {
    loop {
        let level = pil::raise_anywhere(Pil::DISP);
        let lock = thread.lock_pointer()?;
        // SAFETY: as in `lock_thread`.
        if let Some(held) = lock.try_enter_high(unsafe { Atomic::assume() })
            && thread.is_locked_by(lock)
        {
            return Some(LockedThread { guard: ThreadGuard::new(thread, held), level });
        }
        if thread.state() == State::Free {
            return None;
        }
        drop(level);
        machine::spin();
    }
}

impl<'a> LockedThread<'a> {
    /// The locked thread.
    pub fn guard(&self) -> &ThreadGuard<'a> {
        &self.guard
    }

    /// Both parts, for a change of state.
    pub(crate) fn into_parts(self) -> (ThreadGuard<'a>, PilGuard<'a>) {
        (self.guard, self.level)
    }

    /// Unlocks and leaves a wanted preemption for the next occasion: `thread_unlock_nopreempt`.
    pub fn unlock_nopreempt(self) {
        drop(self.guard);
        self.level.restore_without_preemption();
    }
}

/// A thread that is the caller's alone: its lock pointer leads to the transition lock, or to
/// the lock of a queue that the caller holds and has taken it from. Its state is still the
/// one from before.
#[must_use = "the thread belongs nowhere until it is enqueued or published"]
pub struct InTransit<'a> {
    thread: &'static Thread,
    atomic: &'a Atomic,
}

impl<'a> InTransit<'a> {
    /// A thread that has just been taken from a queue whose lock is held.
    #[inline]
    pub(crate) fn of_queue(thread: &'static Thread, held: &Held<'a>) -> InTransit<'a> {
        debug_assert!(thread.is_locked_by(held.lock()), "the thread was in this queue");
        InTransit { thread, atomic: held.atomic() }
    }

    /// A thread that nobody else knows yet.
    ///
    /// # Safety
    ///
    /// No other thread can lock this one: it has not begun, or its lock pointer leads to the
    /// transition lock by the caller's doing.
    pub(crate) unsafe fn assume(thread: &'static Thread, atomic: &'a Atomic) -> InTransit<'a> {
        InTransit { thread, atomic }
    }

    /// The thread.
    #[inline]
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }

    /// What holds meanwhile.
    #[inline]
    pub fn atomic(&self) -> &'a Atomic {
        self.atomic
    }

    /// It waits in `queue` from now on, whose lock is `held`.
    #[inline]
    pub(crate) fn into_runnable(
        self,
        queue: &'static DispatchQueue,
        held: &Held<'_>,
    ) -> &'static Thread {
        self.thread.dispatch_queue.store(Some(queue), Ordering::Relaxed);
        self.thread.publish(State::Run, Some(held.lock()));
        self.thread
    }

    /// It is set aside for a hand-over from now on; `held` is the shuttle lock.
    #[cfg_attr(any(feature = "bug-5017148", feature = "bug-6294464"), allow(dead_code))]
    pub(crate) fn into_reserved(self, held: &Held<'_>) {
        self.thread.publish(State::Reserved, Some(held.lock()));
    }

    /// It sleeps on; `held` is the shuttle lock.
    pub(crate) fn into_sleeping(self, held: &Held<'_>) {
        self.thread.publish(State::Sleep, Some(held.lock()));
    }

    /// It is stopped from now on; `held` is the stop lock.
    pub(crate) fn into_stopped(self, held: &Held<'_>) {
        self.thread.publish(State::Stopped, Some(held.lock()));
    }
}

/// A thread that has been published as running on this processor and that this processor is bound
/// to switch to. Lives only while the caller certainly stays here.
#[must_use = "the thread is running as far as everybody knows: switch to it"]
pub(crate) struct Committed<'c> {
    thread: &'static Thread,
    atomic: &'c Atomic,
}

/// Publishes a thread as running on the current processor. The only function that does.
/// See the module.
#[inline]
pub(crate) fn publish_on_processor<'c>(
    transit: InTransit<'_>,
    cpu: &'static CpuDispatch,
    atomic: &'c Atomic,
) -> Committed<'c> {
    let thread = transit.thread;
    debug_assert!(core::ptr::eq(cpu, CpuDispatch::current(atomic)), "it runs here or nowhere");
    thread.cpu.store(Some(cpu), Ordering::Relaxed);
    thread.dispatch_queue.store(Some(&cpu.queue), Ordering::Relaxed);
    thread.publish(State::OnProcessor, Some(&cpu.thread_lock));
    Committed { thread, atomic }
}

impl<'c> Committed<'c> {
    /// The processor's own idle thread, which always runs as far as anybody knows.
    pub(crate) fn idle(cpu: &CpuDispatch, atomic: &'c Atomic) -> Committed<'c> {
        Committed { thread: cpu.idle_thread(), atomic }
    }

    /// For a thread that has been published before, wherever that was: what the type is there to
    /// prevent.
    #[cfg(any(feature = "bug-5017148", feature = "bug-6294464"))]
    pub(crate) fn out_of_nothing(thread: &'static Thread, atomic: &'c Atomic) -> Committed<'c> {
        Committed { thread, atomic }
    }

    /// The thread.
    #[inline]
    pub(crate) fn thread(&self) -> &'static Thread {
        self.thread
    }

    /// The proof that the caller stays.
    #[inline]
    pub(crate) fn atomic(&self) -> &'c Atomic {
        self.atomic
    }

    /// Something better has come: the thread is locked again, to be put back.
    pub(crate) fn revoke(self) -> ThreadGuard<'c> {
        lock(self.thread, self.atomic)
    }
}
