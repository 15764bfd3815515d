//! The lock that everything else stands on: a spin lock at a fixed interrupt level.
//!
//! Taking it raises the interrupt level to `LEVEL`, so no interrupt at or below that level can come
//! on top of the holder and spin for ever. A handler at level `n` may take locks of level `n` or
//! above only. Locks are held for a few dozen instructions; their holder neither sleeps nor faults.
//!
//! Debug builds catch the processor that takes a lock that it already holds.

use crate::capability::{Atomic, MayFault};
use crate::pil::{self, Pil, PilGuard};
use crate::{Cpu, backend};
use atomics::cell::{Access, SharedCell};
use atomics::{AtomicU32, Ordering};
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};

/// Nobody holds the lock.
const FREE: u32 = 0;

/// Whoever takes the lock sees what its holder before has written: taking it acquires what releasing
/// it releases. `bug-spin-lock-order` is the proof that the model checker would notice.
const TAKING: Ordering =
    if cfg!(feature = "bug-spin-lock-order") { Ordering::Relaxed } else { Ordering::Acquire };
/// See [`TAKING`].
const RELEASING: Ordering =
    if cfg!(feature = "bug-spin-lock-order") { Ordering::Relaxed } else { Ordering::Release };

/// A value behind a spin lock that is taken at interrupt level `LEVEL`.
pub struct SpinLock<T, const LEVEL: u8> {
    /// [`FREE`], or the holder's processor index plus 1.
    holder: AtomicU32,
    value: SharedCell<T>,
}

// SAFETY: the lock hands out the value to one thread at a time.
unsafe impl<T: Send, const LEVEL: u8> Sync for SpinLock<T, LEVEL> {}
// SAFETY: a lock that nobody can hold a reference to is as good as its value.
unsafe impl<T: Send, const LEVEL: u8> Send for SpinLock<T, LEVEL> {}

impl<T, const LEVEL: u8> SpinLock<T, LEVEL> {
    const PIL: Pil = {
        assert!(LEVEL >= Pil::DISP.number(), "threads below DISP_LEVEL use a mutex");
        assert!(LEVEL <= Pil::SPIN_MAX.number(), "nobody may spin at or above a TLB shoot-down");
        Pil::new(LEVEL)
    };

    /// A free lock around `value`.
    pub fn new(value: T) -> Self {
        SpinLock { holder: AtomicU32::new(FREE), value: SharedCell::new(value) }
    }

    /// Takes the lock, from code that may fault (rule 4).
    #[inline]
    pub fn lock<'a>(&'a self, may_fault: &'a mut MayFault) -> SpinGuard<'a, T, LEVEL> {
        self.acquire(pil::raise(Self::PIL, may_fault))
    }

    /// Takes the lock within a critical section (rule 3).
    #[inline]
    pub fn lock_within<'a>(&'a self, atomic: &'a Atomic) -> SpinGuard<'a, T, LEVEL> {
        self.acquire(pil::raise_within(Self::PIL, atomic))
    }

    /// Takes the lock wherever the caller comes from (rule 5).
    #[inline]
    pub fn lock_anywhere(&self) -> SpinGuard<'_, T, LEVEL> {
        self.acquire(pil::raise_anywhere(Self::PIL))
    }

    /// [`SpinLock::lock_anywhere`]; calls `waits` if it is taken: for who counts that.
    #[inline]
    pub fn lock_anywhere_noting(&self, waits: impl FnOnce()) -> SpinGuard<'_, T, LEVEL> {
        let level = pil::raise_anywhere(Self::PIL);
        if self.try_acquire(&level) {
            return self.guard(level);
        }
        waits();
        self.acquire(level)
    }

    /// Takes the lock if it is free. For the panic path, which must not wait.
    pub fn try_lock(&self) -> Option<SpinGuard<'_, T, LEVEL>> {
        let level = pil::raise_anywhere(Self::PIL);
        self.try_acquire(&level).then(|| self.guard(level))
    }

    fn acquire<'a>(&'a self, level: PilGuard<'a>) -> SpinGuard<'a, T, LEVEL> {
        while !self.try_acquire(&level) {
            debug_assert!(
                self.holder.load(Ordering::Relaxed) != own_mark(&level),
                "a processor takes a spin lock that it already holds"
            );
            while self.holder.load(Ordering::Relaxed) != FREE {
                crate::spin();
            }
        }
        self.guard(level)
    }

    #[inline]
    fn try_acquire(&self, level: &PilGuard<'_>) -> bool {
        self.holder.compare_exchange(FREE, own_mark(level), TAKING, Ordering::Relaxed).is_ok()
    }

    fn guard<'a>(&'a self, level: PilGuard<'a>) -> SpinGuard<'a, T, LEVEL> {
        SpinGuard {
            // SAFETY: the lock is held, so nobody else has access until the guard is dropped.
            value: ManuallyDrop::new(unsafe { self.value.access() }),
            lock: self,
            level: ManuallyDrop::new(level),
        }
    }
}

/// How a processor marks a lock as its own.
fn own_mark(level: &PilGuard<'_>) -> u32 {
    Cpu::current(level.atomic()).index() as u32 + 1
}

/// A held lock; dropping it releases the lock, then restores the interrupt level.
#[must_use = "the lock is released when this is dropped"]
pub struct SpinGuard<'a, T, const LEVEL: u8> {
    lock: &'a SpinLock<T, LEVEL>,
    value: ManuallyDrop<Access<'a, T>>,
    level: ManuallyDrop<PilGuard<'a>>,
}

impl<T, const LEVEL: u8> SpinGuard<'_, T, LEVEL> {
    /// What holds while the lock is held.
    #[inline]
    pub fn atomic(&self) -> &Atomic {
        self.level.atomic()
    }
}

impl<T, const LEVEL: u8> Deref for SpinGuard<'_, T, LEVEL> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T, const LEVEL: u8> DerefMut for SpinGuard<'_, T, LEVEL> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T, const LEVEL: u8> Drop for SpinGuard<'_, T, LEVEL> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: dropped once, here; the access ends before anybody else can have one.
        unsafe { ManuallyDrop::drop(&mut self.value) };
        self.lock.holder.store(FREE, RELEASING);
        // SAFETY: dropped once, here; the level comes down only when the lock is free.
        unsafe { ManuallyDrop::drop(&mut self.level) };
        backend::compiler_barrier();
    }
}
