//! A run queue behind its dispatcher lock, with the few facts about it that others read without the
//! lock: one per processor, and one per partition for threads that preempt the kernel.
//!
//! Invariants, whenever the lock is free:
//! - `highest` is the highest priority in the queue, `count` its length;
//! - `highest_unbound` is not below the highest priority of a thread that any processor of the
//!   partition may take; it may be above, until somebody looks in vain ([`DispatchQueue::take_unbound`]).
//!
//! Solaris: `disp_t`.

use crate::cpu::CpuDispatch;
use crate::disp_lock::{DispLock, Guarded, Held, LockClass};
use crate::priority::{AtomicPriority, Priority};
use crate::run_queue::{End, RunQueue};
use crate::thread::Thread;
use crate::thread_lock::InTransit;
use atomics::{AtomicU32, Ordering};

/// A queue of runnable threads. See the module.
pub struct DispatchQueue {
    pub(crate) lock: DispLock,
    queue: Guarded<RunQueue>,
    highest: AtomicPriority,
    highest_unbound: AtomicPriority,
    count: AtomicU32,
    /// The processor that it belongs to; a partition's queue has none.
    owner: Option<usize>,
}

impl DispatchQueue {
    /// Empty.
    pub(crate) fn new(owner: Option<usize>) -> DispatchQueue {
        DispatchQueue {
            lock: DispLock::new(LockClass::Run),
            queue: Guarded::new(RunQueue::new()),
            highest: AtomicPriority::new(Priority::NONE),
            highest_unbound: AtomicPriority::new(Priority::NONE),
            count: AtomicU32::new(0),
            owner,
        }
    }

    /// The index of the processor that it belongs to, if it is a processor's.
    pub(crate) fn owner(&self) -> Option<usize> {
        self.owner
    }

    /// The highest priority in it, at this moment.
    #[inline]
    pub fn highest(&self) -> Priority {
        self.highest.load()
    }

    /// An upper bound of the priorities in it that other processors may take, at this moment.
    #[inline]
    pub fn highest_unbound(&self) -> Priority {
        self.highest_unbound.load()
    }

    /// How many threads it holds, at this moment.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    fn with<R>(&self, held: &mut Held<'_>, act: impl FnOnce(&mut RunQueue) -> R) -> R {
        debug_assert!(core::ptr::eq(held.lock(), &self.lock), "the queue's own lock is held");
        // SAFETY: the lock that is held is this queue's: asserted, and every caller takes it from here.
        let mut queue = unsafe { self.queue.access(held) };
        let result = act(&mut queue);
        self.highest.store(queue.highest());
        self.count.store(queue.count(), Ordering::Relaxed);
        #[cfg(all(debug_assertions, not(target_os = "none"), not(feature = "loom")))]
        queue.check();
        result
    }

    /// Puts a thread in; its lock is the queue's from here on. Returns the queue's highest priority from
    /// before.
    pub(crate) fn insert(
        &'static self,
        held: &mut Held<'_>,
        transit: InTransit<'_>,
        end: End,
    ) -> Priority {
        let before = self.highest();
        let is_bound = transit.thread().bound_cpu().is_some();
        let thread = transit.into_runnable(self, held);
        self.with(held, |queue| queue.insert(thread, end));
        if !is_bound {
            self.note_unbound(thread.dispatch_priority());
        }
        before
    }

    /// A thread in the queue may be taken by others from now on. The caller holds the lock.
    pub(crate) fn note_unbound(&self, priority: Priority) {
        if priority > self.highest_unbound() {
            self.highest_unbound.store(priority);
        }
    }

    /// Takes out a thread that waits here. Its lock stays the queue's until the caller has decided.
    pub(crate) fn remove<'a>(
        &'static self,
        held: &mut Held<'a>,
        thread: &'static Thread,
    ) -> InTransit<'a> {
        self.with(held, |queue| queue.remove(thread));
        InTransit::of_queue(thread, held)
    }

    /// Takes the thread that is next.
    #[inline]
    pub(crate) fn take_highest<'a>(&'static self, held: &mut Held<'a>) -> Option<InTransit<'a>> {
        let thread = self.with(held, RunQueue::take_highest)?;
        if self.count() == 0 {
            self.highest_unbound.store(Priority::NONE);
        }
        Some(InTransit::of_queue(thread, held))
    }

    /// Takes the best thread that is bound to no processor, for one that has nothing to do. Brings the
    /// upper bound down to the truth on the way.
    pub(crate) fn take_unbound<'a>(&'static self, held: &mut Held<'a>) -> Option<InTransit<'a>> {
        let is_unbound = |thread: &Thread| thread.bound_cpu().is_none();
        let found = self.with(held, |queue| {
            let thread = queue.find(is_unbound);
            if let Some(thread) = thread {
                queue.remove(thread);
            }
            let next = queue.find(is_unbound);
            self.highest_unbound.store(next.map_or(Priority::NONE, Thread::dispatch_priority));
            thread
        })?;
        Some(InTransit::of_queue(found, held))
    }

    /// The best thread that is bound to no processor; it stays where it is.
    pub(crate) fn first_unbound(&self, held: &mut Held<'_>) -> Option<&'static Thread> {
        self.with(held, |queue| queue.find(|thread| thread.bound_cpu().is_none()))
    }

    /// Does something with every thread that waits here.
    pub(crate) fn each(&self, held: &mut Held<'_>, act: impl FnMut(&'static Thread)) {
        self.with(held, |queue| queue.each(act));
    }

    /// Whether this is the queue of that processor.
    pub(crate) fn is_of(&self, cpu: &CpuDispatch) -> bool {
        self.owner == Some(cpu.index())
    }
}
