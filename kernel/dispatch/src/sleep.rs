//! Sleeping for a time, and what all sleeps have in common.
//!
//! A sleep with a time limit has a callout on the sleeper's stack. It is armed *after* the thread
//! has been put to sleep, still at `DISP_LEVEL`: a timer that runs out sooner would find nobody to
//! wake. And it is gone, its handler done, before the thread does anything else: a late one would
//! end the wrong sleep.
//!
//! Solaris: `delay`, `t_wait_mutex` (whose place the order of the two steps takes).

use crate::callout::Callout;
use crate::may_block::MayBlock;
use crate::sleep_queue::{Manner, WaitQueue, Woken, wake_early};
use crate::swtch::swtch;
use crate::thread::Thread;
use crate::thread_lock;
use core::pin::{Pin, pin};
use machine::{Atomic, Pil, pil, time};

/// Lets the sleep of a thread end at `deadline`: the thread has been put to sleep as a timed one,
/// and still runs.
pub(crate) fn limit(callout: Pin<&Callout>, thread: &'static Thread, deadline: u64) {
    callout.arm(deadline, time_is_up, core::ptr::from_ref(thread).expose_provenance());
}

fn time_is_up(thread: usize, atomic: &Atomic) {
    // SAFETY: `limit` gave the address of a thread, which lives for ever.
    let thread: &'static Thread = unsafe { &*core::ptr::with_exposed_provenance::<Thread>(thread) };
    let level = pil::raise_within(Pil::DISP, atomic);
    // It does nothing if the event was first. The thread cannot be in another sleep, nor over: it
    // waits for this handler.
    wake_early(thread_lock::lock(thread, level.atomic()), Woken::ByTime);
}

/// The running thread may be about to sleep: tells its owner, before anything is decided.
#[inline]
pub(crate) fn about_to_sleep(thread: &'static Thread) {
    if let Some(owner) = thread.owner() {
        owner.before_sleep(thread);
    }
}

/// The running thread has slept: tells its owner.
#[inline]
pub(crate) fn slept(thread: &'static Thread) {
    if let Some(owner) = thread.owner() {
        owner.after_wake(thread);
    }
}

/// Sleeps until `deadline`, in ticks of the clock.
pub fn sleep_until(deadline: u64, may_block: &mut impl MayBlock) {
    sleep(deadline, false, may_block);
}

/// The same until the thread is interrupted ([`crate::sleep_queue::interrupt`]) at the latest. Says
/// which it was: [`Woken::ByTime`] or [`Woken::BySignal`].
pub fn sleep_until_interruptible(deadline: u64, may_block: &mut impl MayBlock) -> Woken {
    sleep(deadline, true, may_block)
}

/// Sleeps for so many ticks of the clock.
pub fn delay(ticks: u64, may_block: &mut impl MayBlock) {
    sleep_until(time::now().saturating_add(ticks), may_block);
}

fn sleep(deadline: u64, interruptible: bool, may_block: &mut impl MayBlock) -> Woken {
    let thread = Thread::running();
    about_to_sleep(thread);
    let why = {
        // Nobody else knows this queue: there is no event.
        let queue = WaitQueue::new();
        let callout = pin!(Callout::new());
        let manner = Manner { interruptible, timed: true };
        let level = may_block.raise();
        let atomic = level.atomic();
        let me = thread_lock::lock(thread, atomic);
        if thread.sleep.is_forestalled(manner) {
            Woken::BySignal
        } else {
            let mut held = queue.lock(atomic).enter_high(atomic);
            queue.put_to_sleep_as(me, &mut held, manner);
            drop(held);
            limit(callout.as_ref(), thread, deadline);
            swtch(level);
            thread.sleep.woken()
        }
    };
    slept(thread);
    why
}
