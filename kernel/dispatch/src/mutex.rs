//! Mutexes.

use crate::may_block::MayBlock;
use crate::sleep_queue::WaitQueue;
use crate::swtch::swtch;
use crate::thread::Thread;
use crate::thread_lock;
use atomics::cell::{Access, SharedCell};
use atomics::{AtomicBool, Ordering};
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use machine::{Pil, pil};

/// A value that one thread at a time may use; the others sleep.
pub struct Mutex<T> {
    held: AtomicBool,
    waiters: WaitQueue,
    value: SharedCell<T>,
}

// SAFETY: the mutex hands out the value to one thread at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}
// SAFETY: a mutex that nobody can hold a reference to is as good as its value.
unsafe impl<T: Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free mutex around `value`.
    pub fn new(value: T) -> Mutex<T> {
        Mutex {
            held: AtomicBool::new(false),
            waiters: WaitQueue::new(),
            value: SharedCell::new(value),
        }
    }

    /// Takes the mutex; sleeps while another thread has it.
    pub fn lock(&self, may_block: &mut impl MayBlock) -> MutexGuard<'_, T> {
        loop {
            let level = may_block.raise();
            let atomic = level.atomic();
            let me = thread_lock::lock(Thread::current(atomic), atomic);
            let mut held = self.waiters.lock(atomic).enter_high(atomic);
            if !self.held.swap(true, Ordering::Acquire) {
                break;
            }
            self.waiters.put_to_sleep(me, &mut held);
            drop(held);
            swtch(level);
        }
        MutexGuard {
            mutex: self,
            // SAFETY: the mutex is held.
            value: ManuallyDrop::new(unsafe { self.value.access() }),
        }
    }
}

/// A held mutex; dropping it releases the mutex.
#[must_use = "the mutex is released when this is dropped"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    value: ManuallyDrop<Access<'a, T>>,
}

impl<'a, T> MutexGuard<'a, T> {
    /// The mutex.
    pub fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: dropped once, here; the access ends before anybody else can have one.
        unsafe { ManuallyDrop::drop(&mut self.value) };
        let level = pil::raise_anywhere(Pil::DISP);
        let mut held = self.mutex.waiters.lock(level.atomic()).enter_high(level.atomic());
        self.mutex.held.store(false, Ordering::Release);
        self.mutex.waiters.wake_one(&mut held);
    }
}
