//! The order in which dispatcher locks are taken, checked in debug builds.
//!
//! A processor that holds dispatcher locks takes further ones only of a later class:
//!
//! ```text
//! turnstile chain  <  sleep queue  <  shuttle  <  stop  <  processor  <  run queue
//! ```
//!
//! with two exceptions, without which the check would cry wolf:
//!
//! - *its own* processor's lock, the lock of the thread that runs, may be taken and held at any
//!   place in the order. `cv_block` takes it before the sleep queue's, `sema_p` after: that is no
//!   inversion, since nobody else waits for this lock while holding one that this processor wants,
//!   at a level at which nobody comes on top. It holds only as long as a running thread's lock
//!   pointer leads to the lock of its own processor. Where it did not, the kernel hung: bug
//!   5017148. So the check is by class *and owner*.
//! - a second turnstile chain is only ever *tried* ([`DispLock::try_enter_high`]), or taken in the
//!   order of addresses.
//!
//! The order is that of Solaris (`sleepq > run queue`, `thread.h`).

use crate::cpu::CpuDispatch;
use crate::disp_lock::{DispLock, LockClass};
use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
use machine::Atomic;

/// Most dispatcher locks that a processor ever holds at a time: two turnstile chains, its own,
/// another's, a queue, and one to spare.
const DEPTH: usize = 6;

/// The locks that a processor holds, for the check and for the watchdog. Core's atomics in every
/// flavour: only the processor itself writes.
pub(crate) struct HeldLocks {
    count: AtomicU8,
    locks: [AtomicPtr<DispLock>; DEPTH],
    /// The lock that it waits for.
    wanted: AtomicPtr<DispLock>,
}

impl HeldLocks {
    pub(crate) fn new() -> HeldLocks {
        HeldLocks {
            count: AtomicU8::new(0),
            locks: [const { AtomicPtr::new(core::ptr::null_mut()) }; DEPTH],
            wanted: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// The lock that the processor waits for.
    pub(crate) fn wanted(&self) -> Option<&'static DispLock> {
        // SAFETY: null, or a `&'static DispLock` that `set_wanted` was given.
        unsafe { self.wanted.load(Ordering::Relaxed).as_ref() }
    }

    pub(crate) fn set_wanted(&self, lock: Option<&'static DispLock>) {
        let pointer = lock.map_or(core::ptr::null(), core::ptr::from_ref);
        self.wanted.store(pointer.cast_mut(), Ordering::Relaxed);
    }

    /// How many there are. Kept in debug builds only; otherwise 0.
    pub(crate) fn count(&self) -> usize {
        usize::from(self.count.load(Ordering::Relaxed))
    }

    /// The locks themselves.
    pub(crate) fn each(&self) -> impl Iterator<Item = &'static DispLock> + '_ {
        self.locks[..self.count().min(DEPTH)].iter().filter_map(|lock| {
            // SAFETY: null, or a `&'static DispLock` that `push` was given.
            unsafe { lock.load(Ordering::Relaxed).as_ref() }
        })
    }

    fn push(&self, lock: &'static DispLock) {
        let count = self.count();
        assert!(count < DEPTH, "a processor holds more dispatcher locks than any protocol needs");
        self.locks[count].store(core::ptr::from_ref(lock).cast_mut(), Ordering::Relaxed);
        self.count.store(count as u8 + 1, Ordering::Relaxed);
    }

    fn remove(&self, lock: &DispLock) {
        let count = self.count();
        let place = |index: usize| self.locks[index].load(Ordering::Relaxed);
        let Some(found) = (0..count).rev().find(|&index| core::ptr::eq(place(index), lock)) else {
            // Taken before the processor was the dispatcher's, or handed over by a historical bug.
            return;
        };
        for index in found..count - 1 {
            self.locks[index].store(place(index + 1), Ordering::Relaxed);
        }
        self.count.store(count as u8 - 1, Ordering::Relaxed);
    }
}

/// A lock has been taken.
#[inline]
pub(crate) fn entered(lock: &'static DispLock, atomic: &Atomic) {
    if cfg!(debug_assertions)
        && let Some(cpu) = CpuDispatch::find_current(atomic)
    {
        assert!(!cpu.on_interrupt(), "rule D2: a high-level interrupt takes no dispatcher lock");
        if !lock.is_of(cpu.cpu()) {
            check(lock, cpu);
        }
        cpu.held_locks.push(lock);
    }
}

fn check(lock: &DispLock, cpu: &CpuDispatch) {
    for held in cpu.held_locks.each() {
        let in_order = held.is_of(cpu.cpu())
            || held.class() < lock.class()
            || held.class() == LockClass::Turnstile && lock.class() == LockClass::Turnstile
            || held.class() == LockClass::Test && lock.class() == LockClass::Test;
        assert!(
            in_order,
            "rule D3: a lock of class {:?} (of processor {:?}) is taken while one of class {:?} \
             (of processor {:?}) is held",
            lock.class(),
            lock.processor(),
            held.class(),
            held.processor(),
        );
    }
}

/// A lock is about to be released.
#[inline]
pub(crate) fn left(lock: &DispLock, atomic: &Atomic) {
    if cfg!(debug_assertions)
        && let Some(cpu) = CpuDispatch::find_current(atomic)
    {
        assert!(!cpu.on_interrupt(), "rule D2: a high-level interrupt releases no dispatcher lock");
        cpu.held_locks.remove(lock);
    }
}

/// Checks rule D4, before a switch.
#[inline]
pub(crate) fn assert_none_held(cpu: &CpuDispatch) {
    debug_assert!(
        cpu.held_locks.count() == 0,
        "rule D4: a dispatcher lock is held at a switch, or on the way to user mode: {:?}",
        cpu.held_locks.each().next().map(DispLock::class)
    );
}
