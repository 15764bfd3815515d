//! A semaphore: units, for which threads wait in the order of their coming.

use crate::control::{Threads, id_of};
use crate::dispatch;
use crate::line;
use crate::thread::me;
use crate::timeout;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use scheduler::Place;
use scheduler::wait::WaitQueue;

/// So many units.
pub struct Semaphore {
    /// Behind the lock of the queue; if there are some, nobody waits.
    units: AtomicU32,
    queue: WaitQueue,
}

impl Semaphore {
    /// With so many units.
    pub const fn new(units: u32) -> Semaphore {
        Semaphore { units: AtomicU32::new(units), queue: WaitQueue::new() }
    }

    /// Takes a unit, once there is one. It goes back with [`Semaphore::release`].
    pub fn acquire(&self) {
        self.acquire_until(None);
    }

    /// The same, but waits for so long at most. Says whether it has one.
    pub fn acquire_timeout(&self, time: Duration) -> bool {
        self.acquire_until(Some(timeout::after(time)))
    }

    fn acquire_until(&self, at: Option<u64>) -> bool {
        line::enter();
        let queue = self.queue.lock();
        let units = self.units.load(Relaxed);
        if units != 0 {
            self.units.store(units - 1, Relaxed);
            drop(queue);
            line::leave();
            return true;
        }
        let me = me();
        queue.add(id_of(me), &Threads);
        drop(queue);
        // Who goes on here has been given a unit, unless its time was over before.
        !timeout::leave(me, at, &self.queue)
    }

    /// Takes a unit if there is one.
    pub fn try_acquire(&self) -> bool {
        line::critical(|| {
            let _queue = self.queue.lock();
            let units = self.units.load(Relaxed);
            self.units.store(units.saturating_sub(1), Relaxed);
            units != 0
        })
    }

    /// Adds a unit.
    pub fn release(&self) {
        line::critical(|| {
            let queue = self.queue.lock();
            let next = queue.take(&Threads);
            if next.is_none() {
                self.units.store(self.units.load(Relaxed) + 1, Relaxed);
            }
            drop(queue);
            if let Some(next) = next {
                dispatch::ready(next, Place::First);
            }
        });
    }

    /// Takes a unit, once there is one, for as long as the permit lives.
    pub fn permit(&self) -> Permit<'_> {
        self.acquire();
        Permit { semaphore: self }
    }
}

/// A unit that goes back.
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.semaphore.release();
    }
}
