//! A lock for one thread at a time, with the value that it protects.
//!
//! Free, it is taken and given back by one instruction each. A thread that has to wait is handed the lock by the one that
//! gives it back: in the order of their coming, and nobody comes in between.

use super::{LockResult, TryLockError, TryLockResult};
use crate::control::{Threads, id_of};
use crate::dispatch;
use crate::line;
use crate::thread::me;
use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};
use scheduler::Place;
use scheduler::wait::WaitQueue;

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody may wait. It becomes this, and ceases to be it, with the queue locked.
const WAITED_FOR: u32 = 2;

/// A lock of any kind of value.
pub(super) struct RawMutex {
    state: AtomicU32,
    queue: WaitQueue,
}

impl RawMutex {
    pub const fn new() -> RawMutex {
        RawMutex { state: AtomicU32::new(FREE), queue: WaitQueue::new() }
    }

    #[inline]
    pub fn lock(&self) {
        if !self.try_lock() {
            self.wait();
        }
    }

    #[inline]
    pub fn try_lock(&self) -> bool {
        let (is, becomes) = (FREE, HELD);
        self.state.compare_exchange(is, becomes, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self) {
        line::enter();
        let queue = self.queue.lock();
        if self.state.swap(WAITED_FOR, Ordering::Acquire) == FREE {
            drop(queue);
            return line::leave();
        }
        let me = me();
        queue.add(id_of(me), &Threads);
        drop(queue);
        // Who goes on here has been handed the lock.
        dispatch::leave(me);
    }

    #[inline]
    pub fn unlock(&self) {
        let (is, becomes) = (HELD, FREE);
        if self.state.compare_exchange(is, becomes, Ordering::Release, Ordering::Relaxed).is_err() {
            line::critical(|| self.hand_over());
        }
    }

    /// The same in a critical section.
    pub fn unlock_in_section(&self) {
        let (is, becomes) = (HELD, FREE);
        if self.state.compare_exchange(is, becomes, Ordering::Release, Ordering::Relaxed).is_err() {
            self.hand_over();
        }
    }

    #[cold]
    fn hand_over(&self) {
        let queue = self.queue.lock();
        match queue.take(&Threads) {
            Some(next) => {
                if queue.is_empty() {
                    self.state.store(HELD, Ordering::Relaxed);
                }
                drop(queue);
                dispatch::ready(next, Place::First);
            }
            None => self.state.store(FREE, Ordering::Release),
        }
    }
}

/// A lock with a value.
pub struct Mutex<T: ?Sized> {
    pub(super) raw: RawMutex,
    value: UnsafeCell<T>,
}

// SAFETY: the value is one thread's at a time.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: likewise.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// One that nobody holds.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { raw: RawMutex::new(), value: UnsafeCell::new(value) }
    }

    /// The value.
    pub fn into_inner(self) -> LockResult<T> {
        Ok(self.value.into_inner())
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes it, once it is free.
    #[inline]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        self.raw.lock();
        Ok(MutexGuard { mutex: self })
    }

    /// Takes it if it is free.
    #[inline]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let is_taken = self.raw.try_lock();
        if is_taken { Ok(MutexGuard { mutex: self }) } else { Err(TryLockError::WouldBlock) }
    }

    /// The value.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        Ok(self.value.get_mut())
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Ok(value) => to.debug_tuple("Mutex").field(&&*value).finish(),
            Err(_) => to.write_str("Mutex(held)"),
        }
    }
}

/// The lock is held while this lives.
pub struct MutexGuard<'a, T: ?Sized> {
    pub(super) mutex: &'a Mutex<T>,
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}
