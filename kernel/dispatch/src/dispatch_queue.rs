//! A run queue behind its dispatcher lock, with the few facts about it that others read without the
//! lock: one per processor, and one per partition for threads that preempt the kernel.
//!
//! Invariants, whenever the lock is free:
//! - `highest` is the highest priority in the queue, `count` its length;
//! - `highest_unbound` is not below the highest priority of a thread that any
//!   processor of the partition may take; it may be above, until somebody looks
//!   in vain ([`DispatchQueue::take_unbound`]).
//!
//! Solaris: `disp_t`.

use crate::cpu::CpuDispatch;
use crate::disp_lock::{DispLock, Guarded, Held, LockClass};
use crate::priority::{AtomicPriority, Priority};
use crate::run_queue::{End, RunQueue};
use crate::thread::Thread;
use crate::thread_lock::InTransit;
use atomics::cell::Access;
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

    #[inline]
    fn with<R>(&self, held: &mut Held<'_>, act: impl FnOnce(&mut RunQueue) -> R) -> R {
        let mut queue = self.access(held);
        let result = act(&mut queue);
        self.check(&queue);
        result
    }

    #[inline]
    fn access<'a>(&'a self, held: &'a mut Held<'_>) -> Access<'a, RunQueue> {
        debug_assert!(core::ptr::eq(held.lock(), &self.lock), "the queue's own lock is held");
        // SAFETY: the lock that is held is this queue's: asserted, and every caller takes it from here.
        unsafe { self.queue.access(held) }
    }

    /// What others read is true: in debug builds.
    #[inline]
    fn check(&self, queue: &RunQueue) {
        let _ = queue;
        #[cfg(all(debug_assertions, not(target_os = "none"), not(feature = "loom")))]
        {
            assert_eq!(queue.check(), self.count(), "the count");
            assert_eq!(queue.highest(), self.highest(), "the highest priority");
        }
    }

    /// The thread has been taken out, and what is highest has been published.
    #[inline]
    fn count_out(&self) {
        self.count.store(self.count() - 1, Ordering::Relaxed);
    }

    /// Puts a thread in; its lock is the queue's from here on. `priority` is its dispatch priority, and
    /// `is_unbound` whether it is bound to no processor: the caller, whose thread it is, has looked
    /// already.
    #[inline(always)]
    pub(crate) fn insert(
        &'static self,
        held: &mut Held<'_>,
        transit: InTransit<'_>,
        priority: Priority,
        is_unbound: bool,
        end: End,
    ) {
        debug_assert!(priority == transit.thread().dispatch_priority());
        debug_assert!(is_unbound == transit.thread().bound_cpu().is_none());
        let thread = transit.into_runnable(self, held);
        let mut queue = self.access(held);
        queue.insert(thread, priority, end);
        if priority > self.highest() {
            self.highest.store(priority);
        }
        self.count.store(self.count() + 1, Ordering::Relaxed);
        self.check(&queue);
        if is_unbound {
            self.note_unbound(priority);
        }
    }

    /// A thread in the queue may be taken by others from now on. The caller holds the lock.
    #[inline]
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
        self.with(held, |queue| {
            queue.remove(thread);
            self.highest.store(queue.highest());
            self.count_out();
        });
        InTransit::of_queue(thread, held)
    }

    /// Takes the thread that is next. Also says its dispatch priority.
    #[inline]
    pub(crate) fn take_highest<'a>(
        &'static self,
        held: &mut Held<'a>,
    ) -> Option<(InTransit<'a>, Priority)> {
        let highest = self.highest();
        let thread = self.with(held, |queue| {
            let thread = queue.take(highest)?;
            self.count_out();
            if self.count() == 0 {
                self.highest.store(Priority::NONE);
                self.highest_unbound.store(Priority::NONE);
            } else {
                self.highest.store(queue.highest());
            }
            Some(thread)
        })?;
        Some((InTransit::of_queue(thread, held), highest))
    }

    /// Takes the best thread that is bound to no processor, for one that has nothing to do. Brings
    /// the upper bound down to the truth on the way.
    pub(crate) fn take_unbound<'a>(&'static self, held: &mut Held<'a>) -> Option<InTransit<'a>> {
        let is_unbound = |thread: &Thread| thread.bound_cpu().is_none();
        let found = self.with(held, |queue| {
            let thread = queue.find(is_unbound);
            if let Some(thread) = thread {
                queue.remove(thread);
                self.highest.store(queue.highest());
                self.count_out();
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

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use super::DispatchQueue;
    use crate::Resources;
    use crate::cpu::CpuDispatch;
    use crate::interrupt_thread::InterruptContext;
    use crate::priority::Priority;
    use crate::resources::{KernelStack, OutOfMemory, StackKind};
    use crate::run_queue::End;
    use crate::thread::{State, Thread};
    use crate::thread_lock::{InTransit, publish_on_processor};
    use atomics::Ordering;
    use machine::sim::{self, Machine, Quiet};
    use machine::{Atomic, Pil, pil};
    use proptest::prelude::*;
    use std::vec::Vec;

    /// What a test does to a queue.
    #[derive(Clone, Debug)]
    enum Step {
        /// Priority, bound weakly, bound strongly.
        Insert(u8, bool, bool),
        TakeHighest,
        TakeUnbound,
        Remove(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..8u8, any::<bool>(), any::<bool>()).prop_map(|(p, w, s)| Step::Insert(p, w, s)),
            1 => Just(Step::TakeHighest),
            2 => Just(Step::TakeUnbound),
            1 => any::<usize>().prop_map(Step::Remove),
        ]
    }

    /// Nobody makes threads here.
    struct Nothing;

    impl Resources for Nothing {
        fn new_thread(&self) -> Result<&'static Thread, OutOfMemory> {
            Err(OutOfMemory)
        }

        fn take_stack(&self, _: StackKind) -> Result<KernelStack, OutOfMemory> {
            Err(OutOfMemory)
        }

        fn give_stack(&self, _: KernelStack) {}

        fn handle_interrupt(&self, level: Pil, line: u8, _: &mut InterruptContext) {
            panic!("interrupt at {level:?}, line {line}");
        }
    }

    /// The best thread that fits, in the order of arrival: what the queue has to find.
    fn best(
        threads: &[&'static Thread],
        fits: impl Fn(&Thread) -> bool,
    ) -> Option<&'static Thread> {
        let mut best: Option<&'static Thread> = None;
        for thread in threads.iter().copied().filter(|thread| fits(thread)) {
            if best.is_none_or(|best| thread.dispatch_priority() > best.dispatch_priority()) {
                best = Some(thread);
            }
        }
        best
    }

    /// Takes a thread that must be the expected one.
    fn took(
        taken: Option<InTransit<'_>>,
        expected: Option<&'static Thread>,
        threads: &mut Vec<&'static Thread>,
        cpu: &'static CpuDispatch,
        atomic: &Atomic,
    ) {
        assert_eq!(
            taken.as_ref().map(|transit| core::ptr::from_ref(transit.thread())),
            expected.map(core::ptr::from_ref)
        );
        if let (Some(transit), Some(thread)) = (taken, expected) {
            threads.retain(|other| !core::ptr::eq(*other, thread));
            let _ = publish_on_processor(transit, cpu, atomic);
            assert_eq!(thread.state(), State::OnProcessor);
            assert!(thread.is_locked_by(&cpu.thread_lock));
        }
    }

    fn perform(machine: &Machine, steps: &[Step]) {
        let dispatch: &'static crate::Dispatch = machine.keep(crate::Dispatch::new(&Nothing));
        dispatch.install(machine.system());
        let cpu: &'static CpuDispatch = machine.keep(CpuDispatch::new(machine.cpu(0)));
        dispatch.add_cpu(cpu);
        let queue: &'static DispatchQueue = &cpu.queue;
        let mut threads: Vec<&'static Thread> = Vec::new();
        let is_unbound = |thread: &Thread| thread.bound_cpu().is_none();
        machine.on(0, |may_fault| {
            let level = pil::raise(Pil::DISP, may_fault);
            let atomic = level.atomic();
            for step in steps {
                let mut held = queue.lock.enter_high(atomic);
                match *step {
                    Step::Insert(priority, weak, strong) => {
                        let thread: &'static Thread = machine.keep(Thread::unused());
                        thread.priority.store(Priority::new(priority));
                        thread.binding.weak.store(weak.then_some(cpu), Ordering::Relaxed);
                        thread.binding.strong.store(strong.then_some(cpu), Ordering::Relaxed);
                        // SAFETY: nobody else knows the thread.
                        let transit = unsafe { InTransit::assume(thread, atomic) };
                        let priority = thread.dispatch_priority();
                        queue.insert(&mut held, transit, priority, !weak && !strong, End::Back);
                        assert_eq!(thread.state(), State::Run);
                        assert!(thread.is_locked_by(&queue.lock));
                        threads.push(thread);
                    }
                    Step::TakeHighest => {
                        let expected = best(&threads, |_| true);
                        let taken = queue.take_highest(&mut held).map(|(transit, _)| transit);
                        took(taken, expected, &mut threads, cpu, atomic);
                    }
                    Step::TakeUnbound => {
                        let expected = best(&threads, is_unbound);
                        took(queue.take_unbound(&mut held), expected, &mut threads, cpu, atomic);
                        // After a look the bound is exact.
                        let next = best(&threads, is_unbound);
                        let next = next.map_or(Priority::NONE, Thread::dispatch_priority);
                        assert_eq!(queue.highest_unbound(), next);
                    }
                    Step::Remove(which) if !threads.is_empty() => {
                        let thread = threads[which % threads.len()];
                        let transit = queue.remove(&mut held, thread);
                        took(Some(transit), Some(thread), &mut threads, cpu, atomic);
                    }
                    Step::Remove(_) => {}
                }
                drop(held);
                // What others read without the lock.
                let highest = best(&threads, |_| true);
                let highest = highest.map_or(Priority::NONE, Thread::dispatch_priority);
                assert_eq!(queue.highest(), highest);
                assert_eq!(queue.count() as usize, threads.len());
                let unbound = best(&threads, is_unbound);
                let unbound = unbound.map_or(Priority::NONE, Thread::dispatch_priority);
                assert!(queue.highest_unbound() >= unbound, "nobody would come to steal it");
            }
        });
    }

    proptest! {
        #[test]
        fn what_others_read_is_true_and_bound_threads_are_not_stolen(
            steps in proptest::collection::vec(step(), 0..40),
        ) {
            sim::run(1, Quiet, |machine| perform(machine, &steps));
        }
    }
}
