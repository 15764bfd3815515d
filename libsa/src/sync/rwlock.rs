//! A lock for many readers or one writer.
//!
//! Threads are served in the order of their coming: a reader waits behind a writer that waits, so that no writer waits
//! for ever; readers that wait one behind the other go on together.

use super::{LockResult, TryLockError, TryLockResult};
use crate::control::{Threads, block, id_of};
use crate::dispatch;
use crate::line;
use crate::thread::me;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use scheduler::wait::{WaitQueue, Waiting};
use scheduler::{Place, ThreadId};

/// A thread wishes to read, or to write.
const READ: u32 = 1;
const WRITE: u32 = 2;

/// In [`RwLock::holders`]: a writer. Else the number of readers.
const WRITER: u32 = u32::MAX;

/// A lock with a value.
pub struct RwLock<T: ?Sized> {
    /// Behind the lock of the queue.
    holders: AtomicU32,
    queue: WaitQueue,
    value: UnsafeCell<T>,
}

// SAFETY: the value is one writer's or many readers'.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: likewise.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    /// One that nobody holds.
    pub const fn new(value: T) -> RwLock<T> {
        let holders = AtomicU32::new(0);
        RwLock { holders, queue: WaitQueue::new(), value: UnsafeCell::new(value) }
    }

    /// The value.
    pub fn into_inner(self) -> LockResult<T> {
        Ok(self.value.into_inner())
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Takes it for reading, once that is possible.
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.take(READ);
        Ok(RwLockReadGuard { lock: self })
    }

    /// Takes it for writing, once that is possible.
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        self.take(WRITE);
        Ok(RwLockWriteGuard { lock: self })
    }

    /// Takes it for reading, if that is possible at once.
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        if !line::critical(|| self.try_take(READ, &self.queue.lock())) {
            return Err(TryLockError::WouldBlock);
        }
        Ok(RwLockReadGuard { lock: self })
    }

    /// Takes it for writing, if that is possible at once.
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        if !line::critical(|| self.try_take(WRITE, &self.queue.lock())) {
            return Err(TryLockError::WouldBlock);
        }
        Ok(RwLockWriteGuard { lock: self })
    }

    /// The value.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        Ok(self.value.get_mut())
    }

    fn take(&self, wish: u32) {
        line::enter();
        let queue = self.queue.lock();
        if self.try_take(wish, &queue) {
            drop(queue);
            return line::leave();
        }
        let me = me();
        me.wish.store(wish, Relaxed);
        queue.add(id_of(me), &Threads);
        drop(queue);
        // Who goes on here has been given it.
        dispatch::leave(me);
    }

    fn try_take(&self, wish: u32, queue: &Waiting<'_>) -> bool {
        queue.is_empty() && self.grant(wish)
    }

    /// Whether there may be one more holder; then there is.
    fn grant(&self, wish: u32) -> bool {
        let holders = self.holders.load(Relaxed);
        let becomes = match wish {
            READ if holders != WRITER => holders + 1,
            WRITE if holders == 0 => WRITER,
            _ => return false,
        };
        self.holders.store(becomes, Relaxed);
        true
    }

    fn release(&self) {
        line::critical(|| {
            let queue = self.queue.lock();
            let holders = self.holders.load(Relaxed);
            self.holders.store(if holders == WRITER { 0 } else { holders - 1 }, Relaxed);
            while let Some(first) = queue.first() {
                if !self.grant(wish_of(first)) {
                    break;
                }
                queue.take(&Threads);
                dispatch::ready(first, Place::Last);
            }
        });
    }
}

fn wish_of(thread: ThreadId) -> u32 {
    block(thread).wish.load(Relaxed)
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

/// The lock is held for reading while this lives.
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: nobody writes.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.release();
    }
}

/// The lock is held for writing while this lives.
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: nobody else has it.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: nobody else has it.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.release();
    }
}
