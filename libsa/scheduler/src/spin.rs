//! The lock of everything here: it is held for a few instructions, in a critical section of the library.

use atomics::{AtomicU32, Ordering, spin_loop};

/// A lock. What it protects lies beside it, in atomics that are read and written without an order of their own.
#[derive(Debug)]
#[repr(transparent)]
pub struct SpinLock(AtomicU32);

impl Default for SpinLock {
    fn default() -> SpinLock {
        SpinLock::new()
    }
}

impl SpinLock {
    const_where_possible! {
        /// One that nobody holds.
        pub fn new() -> SpinLock {
            SpinLock(AtomicU32::new(0))
        }
    }

    /// Takes it.
    #[inline]
    pub fn lock(&self) -> SpinGuard<'_> {
        while self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            while self.0.load(Ordering::Relaxed) != 0 {
                spin_loop();
            }
        }
        SpinGuard(self)
    }

    /// Takes it, unless somebody holds it.
    #[inline]
    pub fn try_lock(&self) -> Option<SpinGuard<'_>> {
        let taken = self.0.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok().then(|| SpinGuard(self))
    }
}

/// The lock is held while this lives.
#[derive(Debug)]
pub struct SpinGuard<'a>(&'a SpinLock);

impl Drop for SpinGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.0.store(0, Ordering::Release);
    }
}
