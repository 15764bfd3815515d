//! Semaphores: a count of units that threads take, waiting while there are none, and give back.
//!
//! A unit that is given back while threads wait is handed to the first of those with the highest
//! priority, under the sleep queue's lock: the count stays 0, and nobody who comes later can snatch
//! the unit. So a thread that is woken *by the event* has its unit. One whose time is up or who was
//! interrupted has left the queue before, under the same lock, and a unit given back from then on
//! goes to the next: no unit is lost between the two. A thread that was handed its unit and
//! interrupted an instant later keeps the unit, and the interruption stays pending for its next
//! sleep.
//!
//! The locks are taken in the order sleep queue, own thread lock: the count has to be looked at
//! first. A condition variable takes them the other way round. That this is no deadlock rests on
//! the own thread lock being that of the own processor ([`crate::lock_order`]); where it was not,
//! the two orders met: bug 5017148.
//!
//! Solaris: `ksema_t`, `sema_p`, `sema_p_sig`, `sema_v`.

use crate::may_block::MayBlock;
use crate::sleep::{about_to_sleep, slept};
use crate::sleep_queue::{Manner, WaitQueue, Woken};
use crate::swtch::swtch;
use crate::thread::Thread;
use crate::{Callout, sleep, thread_lock};
use atomics::{AtomicU32, Ordering};
use core::pin::pin;
use machine::{Pil, pil};

/// A semaphore. See the module.
pub struct Semaphore {
    /// The units that nobody has. Protected by the wait queue's lock; above 0 only while nobody
    /// waits.
    units: AtomicU32,
    waiters: WaitQueue,
}

impl Semaphore {
    /// A semaphore with so many units.
    pub fn new(units: u32) -> Semaphore {
        Semaphore { units: AtomicU32::new(units), waiters: WaitQueue::new() }
    }

    /// Takes a unit; sleeps while there is none.
    pub fn p(&self, may_block: &mut impl MayBlock) {
        let why = self.p_as(None, false, may_block);
        debug_assert!(why == Woken::ByEvent, "nothing else ends this sleep");
    }

    /// The same until the thread is interrupted ([`crate::sleep_queue::interrupt`]) at the latest.
    /// The unit has been taken if the answer is [`Woken::ByEvent`].
    pub fn p_interruptible(&self, may_block: &mut impl MayBlock) -> Woken {
        self.p_as(None, true, may_block)
    }

    /// The same until `deadline` at the latest, in ticks of the clock.
    pub fn p_until(&self, deadline: u64, may_block: &mut impl MayBlock) -> Woken {
        self.p_as(Some(deadline), false, may_block)
    }

    /// The same until `deadline`, if there is one, or until the thread is interrupted.
    pub fn p_interruptible_until(
        &self,
        deadline: Option<u64>,
        may_block: &mut impl MayBlock,
    ) -> Woken {
        self.p_as(deadline, true, may_block)
    }

    /// Takes a unit if there is one.
    pub fn try_p(&self) -> bool {
        let level = pil::raise_anywhere(Pil::DISP);
        let _held = self.waiters.lock(level.atomic()).enter_high(level.atomic());
        self.take()
    }

    /// Takes a unit if there is one; the lock is held.
    fn take(&self) -> bool {
        let units = self.units.load(Ordering::Relaxed);
        if units != 0 {
            self.units.store(units - 1, Ordering::Relaxed);
        }
        units != 0
    }

    fn p_as(
        &self,
        deadline: Option<u64>,
        interruptible: bool,
        may_block: &mut impl MayBlock,
    ) -> Woken {
        if self.try_p() {
            return Woken::ByEvent;
        }
        let thread = Thread::running();
        about_to_sleep(thread);
        let why = self.sleep(thread, deadline, interruptible, may_block);
        slept(thread);
        why
    }

    fn sleep(
        &self,
        thread: &'static Thread,
        deadline: Option<u64>,
        interruptible: bool,
        may_block: &mut impl MayBlock,
    ) -> Woken {
        let manner = Manner { interruptible, timed: deadline.is_some() };
        let callout = pin!(deadline.map(|_| Callout::new()));
        let level = may_block.raise();
        let atomic = level.atomic();
        let mut held = self.waiters.lock(atomic).enter_high(atomic);
        if self.take() {
            return Woken::ByEvent;
        }
        let me = thread_lock::lock(thread, atomic);
        if thread.sleep.is_forestalled(manner) {
            return Woken::BySignal;
        }
        self.waiters.put_to_sleep_as(me, &mut held, manner);
        drop(held);
        if let (Some(deadline), Some(callout)) = (deadline, callout.as_ref().as_pin_ref()) {
            sleep::limit(callout, thread, deadline);
        }
        swtch(level);
        thread.sleep.woken()
    }

    /// Gives a unit back: to who waits, if somebody does. Anywhere, also in handlers up to the
    /// clock's level.
    pub fn v(&self) {
        let level = pil::raise_anywhere(Pil::DISP);
        let mut held = self.waiters.lock(level.atomic()).enter_high(level.atomic());
        if self.waiters.wake_one(&mut held).is_none() {
            let units = self.units.load(Ordering::Relaxed);
            assert!(units != u32::MAX, "a semaphore is given more units than it can count");
            self.units.store(units + 1, Ordering::Relaxed);
        }
    }

    /// How many units nobody has, at this moment.
    pub fn units(&self) -> u32 {
        self.units.load(Ordering::Relaxed)
    }

    /// How many threads wait, at this moment.
    pub fn waiters(&self) -> u32 {
        self.waiters.count()
    }
}

impl Drop for Semaphore {
    fn drop(&mut self) {
        debug_assert!(self.waiters.count() == 0, "a semaphore goes while threads wait for it");
    }
}
