//! Wait channels: sleeping until a condition that lives in atomics has changed, without a mutex around it.
//!
//! A condition variable goes with a mutex. Where the state is one atomic word (a page's busy state, say),
//! a mutex beside it would be one more lock to take on every release. So here the sleeper looks at the
//! state once more with the queue's lock held, and falls asleep under the same lock; the waker changes the
//! state first and takes the lock after that. Whichever comes first, no wake-up is lost: either the
//! sleeper sees the new state, or the waker finds it in the queue.
//!
//! A waker that must not take the lock for nothing keeps a mark in its own word that says that somebody
//! waits: the sleeper sets it in its last look, the waker takes it away with the change.
//!
//! Several things may share a channel. Who is woken looks at its own again.
//!
//! 4.4BSD: `tsleep` and `wakeup`; the last look is what its callers do at a raised interrupt level.

use crate::may_block::MayBlock;
use crate::sleep::{about_to_sleep, slept};
use crate::sleep_queue::{Manner, WaitQueue, Woken};
use crate::swtch::swtch;
use crate::thread::Thread;
use crate::{Callout, sleep, thread_lock};
use core::pin::pin;
use machine::{Pil, pil};

/// Threads that wait for a change of something. See the module.
pub struct WaitChannel {
    waiters: WaitQueue,
}

impl Default for WaitChannel {
    fn default() -> WaitChannel {
        WaitChannel::new()
    }
}

impl WaitChannel {
    /// A channel that nobody waits on.
    pub fn new() -> WaitChannel {
        WaitChannel { waiters: WaitQueue::new() }
    }

    /// Sleeps until the next [`WaitChannel::wake_all`], unless `still` says that there is nothing to wait
    /// for any more. `still` is called with the queue's dispatcher lock held: it looks at atomics and does
    /// nothing else. The caller looks again when it is back.
    pub fn sleep_while(&self, still: impl FnOnce() -> bool, may_block: &mut impl MayBlock) {
        self.sleep(still, None, false, may_block);
    }

    /// The same until `deadline` at the latest, in ticks of the clock.
    pub fn sleep_while_until(
        &self,
        still: impl FnOnce() -> bool,
        deadline: u64,
        may_block: &mut impl MayBlock,
    ) -> Woken {
        self.sleep(still, Some(deadline), false, may_block)
    }

    /// The same until the thread is interrupted ([`crate::sleep_queue::interrupt`]) at the latest; says
    /// whether that was the reason.
    pub fn sleep_while_interruptible(
        &self,
        still: impl FnOnce() -> bool,
        may_block: &mut impl MayBlock,
    ) -> Woken {
        self.sleep(still, None, true, may_block)
    }

    fn sleep(
        &self,
        still: impl FnOnce() -> bool,
        deadline: Option<u64>,
        interruptible: bool,
        may_block: &mut impl MayBlock,
    ) -> Woken {
        let thread = Thread::running();
        about_to_sleep(thread);
        let why = self.fall_asleep(thread, still, deadline, interruptible, may_block);
        slept(thread);
        why
    }

    fn fall_asleep(
        &self,
        thread: &'static Thread,
        still: impl FnOnce() -> bool,
        deadline: Option<u64>,
        interruptible: bool,
        may_block: &mut impl MayBlock,
    ) -> Woken {
        let manner = Manner { interruptible, timed: deadline.is_some() };
        let callout = pin!(deadline.map(|_| Callout::new()));
        let level = may_block.raise();
        let atomic = level.atomic();
        let mut held = self.waiters.lock(atomic).enter_high(atomic);
        let me = thread_lock::lock(thread, atomic);
        if thread.sleep.is_forestalled(manner) {
            return Woken::BySignal;
        }
        if !still() {
            return Woken::ByEvent;
        }
        self.waiters.put_to_sleep_as(me, &mut held, manner);
        drop(held);
        if let (Some(deadline), Some(callout)) = (deadline, callout.as_ref().as_pin_ref()) {
            sleep::limit(callout, thread, deadline);
        }
        swtch(level);
        thread.sleep.woken()
    }

    /// Wakes all who wait; says how many there were. Called after the change that they wait for. Anywhere,
    /// also in handlers up to the clock's level.
    pub fn wake_all(&self) -> u32 {
        let level = pil::raise_anywhere(Pil::DISP);
        let mut held = self.waiters.lock(level.atomic()).enter_high(level.atomic());
        self.waiters.wake_all(&mut held)
    }

    /// How many threads wait, at this moment.
    pub fn waiters(&self) -> u32 {
        self.waiters.count()
    }
}

impl Drop for WaitChannel {
    fn drop(&mut self) {
        debug_assert!(self.waiters.count() == 0, "a wait channel goes while threads wait on it");
    }
}
