//! Weak binding: for a short while a thread does not migrate, though it can be preempted.
//!
//! [`nomigrate`] works in any context: with preemption on or off, at any interrupt level, in
//! interrupt threads. It never fails and never sleeps. In return who is weakly bound must not
//! sleep, and is done soon. (Who can sleep can afford affinity, [`crate::binding`].)
//!
//! # The state
//!
//! | count | weak binding | meaning |
//! |---|---|---|
//! | 0 | none | the thread migrates |
//! | n > 0 | its processor | it is preempted, and waits in that processor's queue |
//! | n < 0 | none | the barrier stood when it asked: preemption is off, and stays off |
//!
//! Only the thread itself writes them.
//!
//! # No lock
//!
//! In Solaris both sides take the thread lock, in order not to race with who binds the thread
//! strongly, takes the processor off line or moves the thread to another set. Each of these
//! gets along without:
//!
//! - *The queues* honour the weak binding. A thread that runs enters a queue by its own processor's
//!   doing, after its own stores; who finds it there has taken the queue's lock after that.
//! - *Who binds strongly* does not ask whether there is a weak binding. It stores the strong one
//!   and tells the processor to preempt the thread, in any case. If that comes before the weak
//!   binding ends, the thread is preempted in vain, but from then on sees the strong binding when
//!   it looks, at the end (row 7). If it comes later, preemption takes the thread where it belongs.
//!   There is no third case: the preemption is an event on the thread's own processor.
//! - *Who takes a processor off line, or raises the barrier*, stores an obstacle and later pauses
//!   all processors ([`crate::pause`]). From the look at the obstacle to the store of the binding
//!   preemption is off, so a pause falls before or behind. Before: the thread sees the obstacle.
//!   Behind: who pauses sees the binding (the late binder), lets everybody go on, and begins again.
//!
//! So the fast path is: level 0? preemption off; look at count and obstacles; two
//! stores; preemption on.
//!
//! Solaris: `thread_nomigrate`, `thread_allowmigrate`, `weakbinding_stop`, `weakbinding_start`.

use crate::cpu::{CpuDispatch, count};
use crate::cpu_lock::CpuLockGuard;
use crate::priority::Priority;
use crate::resched;
use crate::thread::{Binding, Thread};
use atomics::{AtomicU8, Ordering, compiler_fence, fence};
use core::marker::PhantomData;
use core::ptr;
use machine::preempt::{self, PreemptGuard};
use machine::{Cpu, Pil};

/// The processor is being taken off line, or moved to another partition.
const IN_MOTION: u8 = 1 << 0;
/// The barrier stands: weak bindings turn preemption off instead.
const BARRIER: u8 = 1 << 1;

/// What keeps a thread from being bound weakly to a processor just so. Written by the
/// holder of `cpu_lock`.
pub(crate) struct Obstacles(AtomicU8);

impl Obstacles {
    pub(crate) fn new() -> Obstacles {
        Obstacles(AtomicU8::new(0))
    }

    #[inline]
    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    fn has(&self, which: u8) -> bool {
        self.0.load(Ordering::Relaxed) & which != 0
    }

    fn set(&self, which: u8, on: bool, _: &CpuLockGuard) {
        let others = self.0.load(Ordering::Relaxed) & !which;
        self.0.store(if on { others | which } else { others }, Ordering::Release);
    }

    /// Whether the processor is in motion.
    #[inline]
    pub(crate) fn in_motion(&self) -> bool {
        self.has(IN_MOTION)
    }

    pub(crate) fn set_in_motion(&self, on: bool, lock: &CpuLockGuard) {
        self.set(IN_MOTION, on, lock);
    }
}

impl Binding {
    #[inline]
    pub(crate) fn count(&self) -> i32 {
        self.nomigrate.load(Ordering::Relaxed) as i32
    }

    /// Whether the running thread, whose binding this is, is weakly bound to the processor where it is.
    #[inline]
    fn is_weakly_here(&self) -> bool {
        let weak = self.weak.load(Ordering::Relaxed);
        weak.is_some_and(|weak| weak.index() == Cpu::current_index_hint())
    }

    #[inline]
    fn set_count(&self, count: i32) {
        self.nomigrate.store(count as u32, Ordering::Relaxed);
        // What the thread does on its processor comes after this, or before: for interrupts on the
        // same processor, and so for the compiler alone.
        compiler_fence(Ordering::SeqCst);
    }
}

/// The running thread does not migrate until this is dropped.
#[must_use = "the thread may migrate when this is dropped"]
pub struct WeakBinding<'a> {
    /// The thread; none where it could not migrate anyway.
    thread: Option<&'static Thread>,
    section: PhantomData<(&'a (), *mut ())>,
}

impl WeakBinding<'_> {
    #[inline]
    fn of(thread: Option<&'static Thread>) -> Self {
        WeakBinding { thread, section: PhantomData }
    }
}

/// Keeps the running thread on its processor. Asked for at a raised level it does nothing, as the level does so
/// already: drop it before the level.
#[inline]
pub fn nomigrate<'a>() -> WeakBinding<'a> {
    // Row 1: whoever runs at a raised level stays where it is. That includes interrupt threads,
    // which are bound to their processor, and handlers of high-level interrupts, which do not
    // own the thread.
    if Pil::current() != Pil::NONE {
        return WeakBinding::of(None);
    }
    let thread = Thread::running();
    let nested = thread.binding.count();
    if nested > 0 && thread.binding.is_weakly_here() {
        // It stays here already, and nobody else writes the count.
        thread.binding.set_count(nested + 1);
        return WeakBinding::of(Some(thread));
    }
    let preemption = preempt::disable_anywhere();
    let cpu = CpuDispatch::current(preemption.atomic());
    match thread.binding.count() {
        0 if !cpu.obstacles.any() => grant(thread, cpu, 1),
        nested @ 1.. => grant(thread, cpu, nested + 1),
        _ => {
            drop(preemption);
            return nomigrate_slowly();
        }
    }
    WeakBinding::of(Some(thread))
}

/// Binds the running thread. The count first: an interrupt between the two finds a nested binding,
/// and leaves what it found (row 4). Preemption is off, so nothing else can come between.
#[inline]
fn grant(thread: &'static Thread, cpu: &'static CpuDispatch, count: i32) {
    thread.binding.set_count(count);
    if count > 1 && !thread.binding.weak.is(cpu, Ordering::Relaxed) {
        bound_elsewhere(thread, cpu);
    }
    thread.binding.weak.store(Some(cpu), Ordering::Release);
}

/// Row 3: the thread runs, and is bound to another processor. After a panic anything may be.
#[cold]
fn bound_elsewhere(thread: &'static Thread, cpu: &'static CpuDispatch) {
    let between = thread.binding.weak.load(Ordering::Relaxed).is_none();
    assert!(
        between || crate::Dispatch::current().is_panicking(),
        "{thread:?} on processor {} is weakly bound to processor {:?}",
        cpu.index(),
        thread.binding.weak.load(Ordering::Relaxed).map(CpuDispatch::index),
    );
}

/// There are obstacles, or preemption is off in place of a binding already.
#[cold]
fn nomigrate_slowly<'a>() -> WeakBinding<'a> {
    // Belongs to the thread, wherever it goes.
    let can_leave = preempt::is_possible();
    loop {
        let preemption = preempt::disable_anywhere();
        let cpu = CpuDispatch::current(preemption.atomic());
        let thread = cpu.thread();
        let nested = thread.binding.count();
        if nested < 0 || nested == 0 && cpu.obstacles.has(BARRIER) {
            // Rows 10 and 11: preemption stays off, once for each binding.
            count(&cpu.counts.weak_without_preemption);
            thread.binding.set_count(nested - 1);
            core::mem::forget(preemption);
            return WeakBinding::of(Some(thread));
        }
        // Row 9: it cannot leave, or has to stay; who takes the processor off line waits,
        // or gives up.
        let stays = nested > 0 || !can_leave || thread.binding.strong.is(cpu, Ordering::Relaxed);
        if stays || !cpu.obstacles.in_motion() {
            if cpu.obstacles.in_motion() {
                count(&cpu.counts.weak_in_motion);
            }
            grant(thread, cpu, nested + 1);
            return WeakBinding::of(Some(thread));
        }
        // Row 8: on to another processor, and there again. Repeated bindings here would keep this
        // one from ever going off line.
        count(&cpu.counts.weak_retries);
        resched::ask_to_choose(cpu, Priority::KERNEL_PREEMPT, preemption.atomic());
        drop(preemption);
    }
}

impl Drop for WeakBinding<'_> {
    #[inline]
    fn drop(&mut self) {
        let Some(thread) = self.thread else { return };
        compiler_fence(Ordering::SeqCst);
        match thread.binding.count() {
            1 => release(thread),
            nested @ 2.. => thread.binding.set_count(nested - 1),
            without_preemption => {
                debug_assert!(without_preemption != 0, "weak bindings end in order");
                thread.binding.set_count(without_preemption + 1);
                // SAFETY: the 1 that `nomigrate_slowly` kept for this binding.
                drop(unsafe { PreemptGuard::adopt() });
            }
        }
    }
}

/// The last weak binding ends. An interrupt or a preemption between the stores finds the thread
/// bound still, or not any longer.
#[inline]
fn release(thread: &'static Thread) {
    thread.binding.set_count(0);
    thread.binding.weak.store(None, Ordering::Release);
    compiler_fence(Ordering::SeqCst);
    // Row 7: if it was bound strongly meanwhile, to another processor, it goes there now.
    if thread.binding.strong.load(Ordering::Relaxed).is_some() {
        go_home(thread);
    }
}

#[cold]
fn go_home(thread: &'static Thread) {
    let preemption = preempt::disable_anywhere();
    let cpu = CpuDispatch::current(preemption.atomic());
    let strong = thread.binding.strong.load(Ordering::Relaxed);
    if strong.is_some_and(|strong| !ptr::eq(strong, cpu)) {
        count(&cpu.counts.weak_went_home);
        resched::ask_to_choose(cpu, Priority::KERNEL_PREEMPT, preemption.atomic());
    }
}

/// How often the running thread has asked not to migrate: above 0 by weak binding, below 0
/// by preemption off.
pub fn depth() -> i32 {
    Thread::running().binding.count()
}

/// The processor that a thread is weakly bound to: a hint, unless it is the caller.
pub fn bound_to(thread: &Thread) -> Option<&'static CpuDispatch> {
    thread.binding.weak.load(Ordering::Relaxed)
}

/// Rule B1 (row 14): nobody sleeps while it is weakly bound, in whatever way. It would keep a
/// processor from going off line for as long as it likes.
#[inline]
pub(crate) fn assert_may_sleep(thread: &Thread) {
    if thread.binding.count() != 0 {
        sleeps_weakly_bound(thread);
    }
}

#[cold]
fn sleeps_weakly_bound(thread: &Thread) -> ! {
    panic!(
        "rule B1: {thread:?} sleeps while it is weakly bound: who can sleep can afford affinity"
    );
}

/// While this stands, who asks not to migrate has preemption turned off instead: weak bindings that
/// there are end soon, and no new ones come. Bindings that were asked for just before may still
/// come; a pause ([`crate::pause`]) puts an end to that.
#[must_use = "the barrier falls when this is dropped"]
pub struct WeakBindingBarrier<'a> {
    lock: &'a CpuLockGuard,
}

/// Raises the barrier.
pub fn barrier(lock: &CpuLockGuard) -> WeakBindingBarrier<'_> {
    set_barrier(true, lock);
    WeakBindingBarrier { lock }
}

fn set_barrier(on: bool, lock: &CpuLockGuard) {
    for cpu in lock.dispatch().cpus() {
        cpu.obstacles.set(BARRIER, on, lock);
    }
    fence(Ordering::SeqCst);
}

impl Drop for WeakBindingBarrier<'_> {
    fn drop(&mut self) {
        set_barrier(false, self.lock);
    }
}

#[cfg(test)]
mod tests {
    use super::{bound_to, depth, nomigrate};
    use crate::binding::{Strength, request};
    use crate::test_machine::{become_thread, run, take_wish_back};
    use crate::{CpuDispatch, Thread};
    use atomics::{AtomicBool, Ordering, fence};
    use machine::sim;
    use machine::{Atomic, Cpu, Hooks, Pil, preempt};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::string::String;
    use std::sync::Arc;

    #[test]
    fn row_03_bound_elsewhere_is_a_panic_unless_there_is_one_already() {
        sim::once(|| {
            run(2, sim::Quiet, |machine, dispatch| {
                let thread: &'static Thread = machine.keep(Thread::of_running_code());
                machine.on(0, |_| {
                    become_thread(dispatch.cpu(0).expect("added"), thread);
                    let outer = nomigrate();
                    let weak = &thread.binding.weak;
                    weak.store(dispatch.cpu(1), Ordering::Relaxed);
                    let nested = AssertUnwindSafe(|| core::mem::forget(nomigrate()));
                    let panic = catch_unwind(nested).expect_err("bound elsewhere");
                    let text = panic.downcast_ref::<String>().expect("a message");
                    assert!(text.contains("is weakly bound to processor Some(1)"), "{text}");
                    thread.binding.set_count(1);
                    dispatch.note_panic();
                    drop(nomigrate());
                    drop(outer);
                    assert_eq!(depth(), 0);
                });
            });
        });
    }

    #[test]
    fn row_04_an_interrupt_between_the_two_stores_leaves_what_it_found() {
        sim::once(|| {
            run(1, sim::Quiet, |machine, dispatch| {
                let thread: &'static Thread = machine.keep(Thread::of_running_code());
                machine.on(0, |_| {
                    become_thread(dispatch.cpu(0).expect("added"), thread);
                    // Binding: the count is there, the processor is not yet.
                    let off = preempt::disable_anywhere();
                    thread.binding.set_count(1);
                    let inner = nomigrate();
                    assert_eq!(bound_to(thread).map(CpuDispatch::index), Some(0));
                    drop(inner);
                    assert_eq!(depth(), 1);
                    thread.binding.weak.store(dispatch.cpu(0), Ordering::Release);
                    drop(off);
                    // Ending: the count is gone, the processor is there still.
                    thread.binding.set_count(0);
                    let inner = nomigrate();
                    assert_eq!((depth(), bound_to(thread).is_some()), (1, true));
                    drop(inner);
                    assert_eq!((depth(), bound_to(thread).is_none()), (0, true));
                });
            });
        });
    }

    /// Hooks that only note whether preemption would have taken the thread to another processor.
    struct Moved(Arc<AtomicBool>);

    impl Hooks for Moved {
        fn interrupt(&self, _: &Cpu, _: &Atomic, _: Pil, _: u8) {}

        fn poked(&self, cpu: &Cpu, atomic: &Atomic) {
            crate::hooks::poked(cpu, atomic);
        }

        fn timer(&self, _: &Cpu, _: &Atomic) {}

        fn preempt(&self) {
            let (_off, cpu) = take_wish_back();
            fence(Ordering::SeqCst);
            if !cpu.thread().bound_cpu().is_none_or(|bound| core::ptr::eq(bound, cpu)) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn a_strong_binding_is_noticed_whenever_the_weak_one_ends() {
        sim::model(|| {
            let moved = Arc::new(AtomicBool::new(false));
            let hooks = Moved(Arc::clone(&moved));
            run(2, hooks, move |machine, dispatch| {
                let thread: &'static Thread = machine.keep(Thread::of_running_code());
                let (started, bound) =
                    (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
                {
                    let (started, bound) = (Arc::clone(&started), Arc::clone(&bound));
                    machine.start(0, move |_| {
                        become_thread(dispatch.cpu(0).expect("added"), thread);
                        let binding = nomigrate();
                        started.store(true, Ordering::Release);
                        drop(binding);
                        while !bound.load(Ordering::Acquire) {
                            machine::spin();
                        }
                        sim::interrupt_point();
                        assert!(moved.load(Ordering::Relaxed), "the binding has no effect");
                    });
                }
                machine.start(1, move |_| {
                    while !started.load(Ordering::Acquire) {
                        machine::spin();
                    }
                    let to = dispatch.cpu(1).map(|cpu| (cpu, Strength::Hard));
                    request(thread, to).expect("the thread runs");
                    bound.store(true, Ordering::Release);
                });
            });
        });
    }
}
