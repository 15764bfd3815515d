//! Condition variables: threads wait, with a mutex released meanwhile, until somebody says that
//! what the mutex protects has changed.
//!
//! # One wait, step by step
//!
//! 1. Take the own thread lock, then the sleep queue's: from here until both are free nobody can
//!    wake this thread, nor does anybody need to.
//! 2. Put the thread to sleep; release the locks. It sleeps *before* the mutex is free: whoever
//!    then takes the mutex and signals finds it in the queue.
//! 3. Restore the level, *without* looking at preemption: it is going to give up the processor
//!    anyway.
//! 4. Release the mutex. The thread still runs, though it sleeps as far as everybody knows, and may
//!    already be woken, or chosen to run elsewhere. A preemption that comes here is too late, and
//!    [`crate::preempt`] sees that.
//! 5. Raise the level, `swtch`. It returns at once if nothing better is to be done and the thread
//!    has been woken.
//! 6. Take the mutex again, after all that belongs to the sleep is over.
//!
//! A semaphore takes the first two locks in the opposite order. Why both are right is told in
//! [`crate::lock_order`].
//!
//! # What is promised
//!
//! - A wait that reports [`Woken::ByEvent`] has been the target of one `signal`, or one of those of
//!   a `broadcast`: there are no spurious wake-ups. But other threads may have had the mutex in
//!   between, so the condition is to be looked at again all the same.
//! - A `signal` wakes the first of the waiters with the highest priority. It is never lost to a
//!   waiter whose time is up or who was interrupted: such a one has left the queue, and the next
//!   gets the signal.
//! - `signal` and `broadcast` look at the number of waiters without a lock. Nobody is overlooked as
//!   long as the condition is changed with the mutex held: the waiter counted itself before it
//!   released the mutex.
//!
//! Solaris: `kcondvar_t`, `cv_block`, `cv_wait`, `cv_timedwait_sig`, `cv_signal`.

use crate::may_block::MayBlock;
use crate::mutex::MutexGuard;
use crate::sleep::{about_to_sleep, slept};
use crate::sleep_queue::{Manner, WaitQueue, Woken};
use crate::swtch::swtch;
use crate::thread::Thread;
use crate::{Callout, sleep, thread_lock};
use core::pin::pin;
use machine::{Pil, pil};

/// A condition variable. See the module.
pub struct Condvar {
    waiters: WaitQueue,
}

impl Condvar {
    /// One that nobody waits for.
    #[expect(clippy::new_without_default, reason = "as with every lock here")]
    pub fn new() -> Condvar {
        Condvar { waiters: WaitQueue::new() }
    }

    /// Releases the mutex, waits, takes the mutex again.
    pub fn wait<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        may_block: &mut impl MayBlock,
    ) -> MutexGuard<'a, T> {
        self.wait_as(guard, None, false, may_block).0
    }

    /// The same until `deadline` at the latest, in ticks of the clock.
    pub fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: u64,
        may_block: &mut impl MayBlock,
    ) -> (MutexGuard<'a, T>, Woken) {
        self.wait_as(guard, Some(deadline), false, may_block)
    }

    /// The same until the thread is interrupted ([`crate::sleep_queue::interrupt`]) at the latest.
    pub fn wait_interruptible<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        may_block: &mut impl MayBlock,
    ) -> (MutexGuard<'a, T>, Woken) {
        self.wait_as(guard, None, true, may_block)
    }

    /// The same until `deadline`, or until the thread is interrupted.
    pub fn wait_interruptible_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: u64,
        may_block: &mut impl MayBlock,
    ) -> (MutexGuard<'a, T>, Woken) {
        self.wait_as(guard, Some(deadline), true, may_block)
    }

    fn wait_as<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<u64>,
        interruptible: bool,
        may_block: &mut impl MayBlock,
    ) -> (MutexGuard<'a, T>, Woken) {
        let mutex = guard.mutex();
        let manner = Manner { interruptible, timed: deadline.is_some() };
        let thread = Thread::running();
        // Over by the end of the block: a late one must not disturb the thread's next sleep.
        let why = {
            let callout = pin!(deadline.map(|_| Callout::new()));
            about_to_sleep(thread);
            let level = may_block.raise();
            let atomic = level.atomic();
            let me = thread_lock::lock(thread, atomic);
            if thread.sleep.is_forestalled(manner) {
                drop(me);
                drop(level);
                slept(thread);
                return (guard, Woken::BySignal);
            }
            let mut held = self.waiters.lock(atomic).enter_high(atomic);
            self.waiters.put_to_sleep_as(me, &mut held, manner);
            drop(held);
            if let (Some(deadline), Some(callout)) = (deadline, callout.as_ref().as_pin_ref()) {
                sleep::limit(callout, thread, deadline);
            }
            level.restore_without_preemption();
            drop(guard);
            swtch(may_block.raise());
            thread.sleep.woken()
        };
        slept(thread);
        (mutex.lock(may_block), why)
    }

    /// Wakes one that waits, if there is one.
    pub fn signal(&self) {
        if self.waiters.count() != 0 {
            let level = pil::raise_anywhere(Pil::DISP);
            let mut held = self.waiters.lock(level.atomic()).enter_high(level.atomic());
            self.waiters.wake_one(&mut held);
        }
    }

    /// Wakes all that wait.
    pub fn broadcast(&self) {
        if self.waiters.count() != 0 {
            let level = pil::raise_anywhere(Pil::DISP);
            let mut held = self.waiters.lock(level.atomic()).enter_high(level.atomic());
            self.waiters.wake_all(&mut held);
        }
    }

    /// How many threads wait, at this moment.
    pub fn waiters(&self) -> u32 {
        self.waiters.count()
    }
}

impl Drop for Condvar {
    fn drop(&mut self) {
        debug_assert!(
            self.waiters.count() == 0,
            "a condition variable goes while threads wait for it"
        );
    }
}
