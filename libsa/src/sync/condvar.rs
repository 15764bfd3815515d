//! A condition variable.

use super::{LockResult, MutexGuard};
use crate::control::{Threads, id_of};
use crate::dispatch;
use crate::line;
use crate::thread::me;
use crate::timeout;
use core::time::Duration;
use scheduler::Place;
use scheduler::wait::WaitQueue;
use userland::clock;

/// Whether a wait has ended because its time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// It has.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

/// Threads that wait until something about the value of a mutex has changed.
pub struct Condvar {
    queue: WaitQueue,
}

impl Condvar {
    /// Nobody waits.
    pub const fn new() -> Condvar {
        Condvar { queue: WaitQueue::new() }
    }

    /// Gives the mutex back and waits until it is notified; then takes the mutex again. It is never woken without that.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, None).map(|(guard, _)| guard)
    }

    /// The same, but for so long at most: says also whether that was over before it was notified.
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        self.wait_until(guard, Some(timeout::after(time)))
    }

    fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        at: Option<u64>,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let mutex = guard.mutex;
        core::mem::forget(guard);
        let me = me();
        line::enter();
        // Whoever has the mutex after this and notifies finds this thread in the queue.
        self.queue.lock().add(id_of(me), &Threads);
        mutex.raw.unlock_in_section();
        let is_over = timeout::leave(me, at, &self.queue);
        Ok((mutex.lock()?, WaitTimeoutResult(is_over)))
    }

    /// Waits while something is so, but for so long at most.
    pub fn wait_timeout_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        time: Duration,
        mut is_so: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let end = timeout::after(time);
        while is_so(&mut guard) {
            let left = end.saturating_sub(clock::nanoseconds());
            if left == 0 {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            (guard, _) = self.wait_timeout(guard, Duration::from_nanos(left))?;
        }
        Ok((guard, WaitTimeoutResult(false)))
    }

    /// Waits while something is so.
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut is_so: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while is_so(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Wakes one that waits.
    pub fn notify_one(&self) {
        if !self.queue.is_empty() {
            line::critical(|| {
                let next = self.queue.lock().take(&Threads);
                if let Some(next) = next {
                    dispatch::ready(next, Place::First);
                }
            });
        }
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        line::critical(|| {
            loop {
                let next = self.queue.lock().take(&Threads);
                let Some(next) = next else { break };
                dispatch::ready(next, Place::Last);
            }
        });
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}
