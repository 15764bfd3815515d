//! Waiting until no thread is bound where one must not be, and then changing something for
//! everybody at once: what going off line, moving a processor and binding to a set have in common.
//!
//! 1. New weak bindings are kept away: the processor is *in motion*, or the barrier is raised.
//! 2. Those that are there are given a little time to end.
//! 3. All processors are paused.
//! 4. The look is repeated. A *late binder*, who had looked for obstacles before there were any,
//!    may have bound itself meanwhile; then everybody goes on, and it begins again at 2.
//! 5. Otherwise the change is made.
//!
//! Solaris: `cpu_inmotion` and the loop in `cpu_offline`.

use crate::Dispatch;
use crate::binding::{AffinityGuard, affinity_set, is_bound_where};
use crate::cpu::{CpuDispatch, count};
use crate::cpu_lock::CpuLockGuard;
use crate::pause::with_all_paused;
use crate::preempt::yield_now;
use crate::resched;
use crate::resources::OutOfMemory;
use crate::sleep;
use crate::thread::Thread;
use atomics::{Ordering, fence};
use core::ptr;
use core::sync::atomic::AtomicU64;
use machine::{Atomic, MayFault};

/// How often the bindings that there are are looked at, with a pause in between, before they count as
/// lasting. Model checkers pay for each.
const LOOKS: u32 = match () {
    () if cfg!(target_os = "none") => 50,
    () if cfg!(feature = "loom") => 1,
    () => 20,
};

/// How many late binders there may be in a row.
const LATE_BINDERS: u32 = if cfg!(feature = "loom") { 2 } else { 10 };

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotQuiet {
    /// Threads stay bound.
    Bound,
    /// There is no memory for the pause threads.
    OutOfMemory,
}

impl From<OutOfMemory> for NotQuiet {
    fn from(_: OutOfMemory) -> NotQuiet {
        NotQuiet::OutOfMemory
    }
}

/// A processor that is being taken off line or moved: it takes no thread that may run elsewhere,
/// and threads that want to be bound weakly go elsewhere first.
pub(crate) struct InMotion<'a> {
    cpu: &'static CpuDispatch,
    lock: &'a CpuLockGuard,
}

impl<'a> InMotion<'a> {
    pub(crate) fn begin(cpu: &'static CpuDispatch, lock: &'a CpuLockGuard) -> InMotion<'a> {
        cpu.obstacles.set_in_motion(true, lock);
        // Whoever tells a processor of a thread in the partition's queue either sees that this one
        // is in motion, or has put the thread there already: then the others are told now.
        fence(Ordering::SeqCst);
        resched::reconsider(cpu.partition());
        InMotion { cpu, lock }
    }
}

impl Drop for InMotion<'_> {
    fn drop(&mut self) {
        self.cpu.obstacles.set_in_motion(false, self.lock);
        fence(Ordering::SeqCst);
        resched::reconsider(self.cpu.partition());
    }
}

/// Waits a little for bindings to end: one that is dropped by a thread that gets to run meanwhile is no
/// reason to give up, so this goes by time where time is told of ([`Dispatch::set_drain`]). Says whether they
/// have ended.
fn wait_until_none(may_fault: &mut MayFault, is_in_the_way: &impl Fn() -> bool) -> bool {
    let pause = Dispatch::current().drain() / u64::from(LOOKS);
    for _ in 0..LOOKS {
        if !is_in_the_way() {
            return true;
        }
        if pause == 0 {
            yield_now();
            machine::spin();
        } else {
            sleep::delay(pause, may_fault);
        }
    }
    !is_in_the_way()
}

/// Makes a change, all processors paused, when nothing is in the way. The caller has affinity for the
/// processor that it runs on. `late` counts late binders.
pub(crate) fn when_quiet(
    lock: &CpuLockGuard,
    may_fault: &mut MayFault,
    late: &AtomicU64,
    is_in_the_way: impl Fn() -> bool,
    change: impl FnMut(&Atomic),
) -> Result<(), NotQuiet> {
    let pause = |may_fault: &mut MayFault, act: &mut dyn FnMut(&Atomic) -> bool| {
        with_all_paused(lock, may_fault, act)
    };
    pause_when_quiet(may_fault, late, is_in_the_way, change, pause)
}

/// The same with `pause` as what pauses all processors.
fn pause_when_quiet(
    may_fault: &mut MayFault,
    late: &AtomicU64,
    is_in_the_way: impl Fn() -> bool,
    mut change: impl FnMut(&Atomic),
    pause: impl Fn(&mut MayFault, &mut dyn FnMut(&Atomic) -> bool) -> Result<bool, OutOfMemory>,
) -> Result<(), NotQuiet> {
    for _ in 0..LATE_BINDERS {
        if !wait_until_none(may_fault, &is_in_the_way) {
            return Err(NotQuiet::Bound);
        }
        let is_done = pause(may_fault, &mut |atomic| {
            if is_in_the_way() {
                return false;
            }
            change(atomic);
            true
        })?;
        if is_done {
            return Ok(());
        }
        count(late);
    }
    Err(NotQuiet::Bound)
}

/// Takes a processor away from its threads: when no thread is bound to it any longer, and with all
/// processors paused, makes `change`, by which it is no longer one where they may run, and sends those that
/// wait in its queue elsewhere. Not while `is_needed` says so, which is asked again and again.
pub(crate) fn take_away(
    cpu: &'static CpuDispatch,
    lock: &CpuLockGuard,
    may_fault: &mut MayFault,
    is_needed: impl Fn() -> bool,
    mut change: impl FnMut(),
) -> Result<(), NotQuiet> {
    let me = Thread::running();
    let in_motion = InMotion::begin(cpu, lock);
    let affinity = stay_off(cpu, lock);
    let late = &cpu.counts.late_binders;
    let has_bound = has_bound(cpu, me, lock);
    let is_in_the_way = || is_needed() || has_bound();
    let moved = when_quiet(lock, may_fault, late, is_in_the_way, |atomic| {
        change();
        empty_queue(cpu, atomic);
    });
    drop(affinity);
    drop(in_motion);
    moved
}

/// Whether a thread is bound to a processor, `me` apart.
fn has_bound(cpu: &'static CpuDispatch, me: &Thread, lock: &CpuLockGuard) -> impl Fn() -> bool {
    move || {
        let here = |bound: &CpuDispatch| ptr::eq(bound, cpu);
        lock.dispatch().all_threads.iter().any(|thread| is_bound_where(thread, me, here))
    }
}

/// The caller goes to a processor other than this and stays there: where it has to be anyway, or
/// any of its partition, or any.
pub(crate) fn stay_off(cpu: &'static CpuDispatch, lock: &CpuLockGuard) -> AffinityGuard {
    let me = Thread::running();
    let is_other = |other: &CpuDispatch| !ptr::eq(other, cpu) && other.is_online();
    let bound = me.binding.strong.load(Ordering::Relaxed);
    let partition = crate::enqueue::partition_of(me);
    let target = bound
        .filter(|bound| is_other(bound))
        .or_else(|| partition.each_online(lock.dispatch()).find(|other| is_other(other)))
        .or_else(|| lock.dispatch().cpus().find(|other| is_other(other)));
    let Some(target) = target else { panic!("the last processor does not go") };
    match affinity_set(me, target, lock) {
        Some(guard) => guard,
        None => panic!("the running thread has begun and is not over"),
    }
}

/// The threads that wait in a processor's queue and may run elsewhere go there. All
/// processors are paused.
pub(crate) fn empty_queue(cpu: &'static CpuDispatch, atomic: &Atomic) {
    loop {
        let mut held = cpu.queue.lock.enter_high(atomic);
        let first = cpu.queue.first_unbound(&mut held);
        drop(held);
        let Some(thread) = first else { return };
        crate::binding::rebound(crate::thread_lock::lock(thread, atomic));
    }
}

/// The memory order of weak binding against going off line, which loom alone sees. Both sides are the crate's
/// own; only threads are not switched, which would be too long for loom. Preemption runs the body of the pause
/// thread on the spot, and a thread that is asked to go elsewhere ends.
#[cfg(test)]
mod tests {
    use super::{InMotion, has_bound, pause_when_quiet};
    use crate::cpu::{CpuDispatch, Presence};
    use crate::cpu_lock::lock_processors;
    use crate::priority::Priority;
    use crate::test_machine::{become_thread, run, take_wish_back};
    use crate::weak_binding::nomigrate;
    use crate::{Dispatch, Thread, hooks, resched};
    use atomics::{AtomicBool, Ordering};
    use machine::sim;
    use machine::{Atomic, Cpu, Hooks, Pil, preempt};
    use std::boxed::Box;
    use std::panic::{catch_unwind, resume_unwind};
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Pauses {
        /// Processor 1 keeps still when this is set and it is preempted.
        wanted: Arc<AtomicBool>,
    }

    /// What the thread of processor 1 unwinds with when it has to go elsewhere.
    struct GoesElsewhere;

    impl Hooks for Pauses {
        fn interrupt(&self, _: &Cpu, _: &Atomic, _: Pil, _: u8) {}

        fn poked(&self, cpu: &Cpu, atomic: &Atomic) {
            hooks::poked(cpu, atomic);
        }

        fn timer(&self, _: &Cpu, _: &Atomic) {}

        fn preempt(&self) {
            let (_off, cpu) = take_wish_back();
            if cpu.index() == 1 && self.wanted.load(Ordering::Acquire) {
                self.wanted.store(false, Ordering::Relaxed);
                Dispatch::current().hot_plug.pausing.keep_still();
                let bound = cpu.thread().binding.weak.load(Ordering::Relaxed);
                assert!(cpu.is_online() || bound.is_none(), "off line with a thread bound to it");
            } else if !cpu.is_online() {
                // The thread has looked again, and asked for this.
                resume_unwind(Box::new(GoesElsewhere));
            } else {
                machine::spin();
            }
        }
    }

    /// A thread of processor 1 binds itself weakly. Unless it had to leave, its processor is on line.
    fn bind_and_look(cpu: &'static CpuDispatch) {
        let Ok(binding) = catch_unwind(nomigrate) else { return };
        assert!(cpu.is_online(), "bound to a processor that is off line");
        machine::spin();
        drop(binding);
    }

    #[test]
    fn no_processor_goes_off_line_under_a_thread_that_is_weakly_bound_to_it() {
        sim::model(|| {
            let pauses = Pauses::default();
            run(2, pauses.clone(), move |machine, dispatch| {
                let wanted = Arc::clone(&pauses.wanted);
                let over: &'static AtomicBool = machine.keep(AtomicBool::new(false));
                let begun: &'static AtomicBool = machine.keep(AtomicBool::new(false));
                let threads: [&'static Thread; 2] =
                    [0, 1].map(|_| machine.keep(Thread::of_running_code()));
                let target = dispatch.cpu(1).expect("added");
                machine.start(1, move |_| {
                    become_thread(target, threads[1]);
                    begun.store(true, Ordering::Release);
                    bind_and_look(target);
                    while !over.load(Ordering::Acquire) {
                        machine::spin();
                    }
                });
                machine.on(0, |may_fault| {
                    become_thread(dispatch.cpu(0).expect("added"), threads[0]);
                    while !begun.load(Ordering::Acquire) {
                        machine::spin();
                    }
                    let lock = lock_processors(may_fault);
                    let in_motion = InMotion::begin(target, &lock);
                    let late = &target.counts.late_binders;
                    let is_bound = has_bound(target, threads[0], &lock);
                    let change = |_: &Atomic| target.set_presence(Presence::OffLine);
                    let moved =
                        pause_when_quiet(may_fault, late, is_bound, change, |may_fault, act| {
                            let off = preempt::disable(may_fault);
                            let pausing = &dispatch.hot_plug.pausing;
                            pausing.begin();
                            wanted.store(true, Ordering::Release);
                            resched::ask_to_choose(target, Priority::MAX, off.atomic());
                            Ok(pausing.act(1, off.atomic(), act))
                        });
                    if moved.is_ok() {
                        // For who asks after this, until it has gone.
                        core::mem::forget(in_motion);
                    }
                    over.store(true, Ordering::Release);
                });
            });
        });
    }
}
