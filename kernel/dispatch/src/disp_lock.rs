//! Dispatcher locks: one-byte spin locks at `DISP_LEVEL`.
//!
//! # The five calls
//!
//! | Solaris | here | what it does |
//! |---|---|---|
//! | `disp_lock_enter` | [`DispLock::enter`] | raises the interrupt level, takes the lock |
//! | `disp_lock_exit` | dropping the [`DispGuard`] | releases, restores the level, may preempt |
//! | `disp_lock_exit_nopreempt` | [`DispGuard::exit_nopreempt`] | the same; preemption waits |
//! | `disp_lock_enter_high` | [`DispLock::enter_high`] | takes the lock, the level is raised |
//! | `disp_lock_exit_high` | dropping the [`Held`] | releases, and nothing else |
//!
//! # Rules, checked in debug builds
//!
//! - D1: a dispatcher lock is taken at `DISP_LEVEL`, not above: a handler above it could come on
//!   top of a holder and spin for ever.
//! - D2: no dispatcher lock is taken by the handler of a high-level interrupt.
//! - D3: locks are taken in the order of their classes ([`crate::lock_order`]).
//! - D4: no dispatcher lock is held across a switch, except the one that never is released.
//!
//! The byte names the holder's processor, for the watchdog and for whoever reads a dump.
//!
//! [`transition_lock`](crate::Dispatch::transition_lock) is held from its making on and never
//! released: who finds a thread's lock pointer there spins until the pointer moves.

use crate::lock_order;
use crate::watchdog::Watch;
use atomics::cell::{Access, SharedCell};
use atomics::{AtomicU8, Ordering};
use machine::pil::{self, PilGuard};
use machine::{Atomic, Cpu, MayFault, Pil};

/// Nobody holds the lock.
const FREE: u8 = 0;
/// Held for ever.
const FOR_EVER: u8 = u8::MAX;

/// What a lock protects; also its place in the lock order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockClass {
    /// A turnstile chain.
    Turnstile,
    /// A bucket of the sleep queues.
    Sleep,
    /// The threads that sleep on doors.
    Shuttle,
    /// The stopped threads.
    Stop,
    /// The threads that run on a processor.
    Processor,
    /// A run queue.
    Run,
    /// Threads between two states; never free.
    Transition,
    /// A test's own.
    Test,
}

/// A dispatcher lock. See the module.
pub struct DispLock {
    /// [`FREE`], [`FOR_EVER`], or the holder's processor index plus 1.
    holder: AtomicU8,
    class: LockClass,
    /// Of a processor's own lock, the processor.
    cpu: u8,
}

impl DispLock {
    /// A free lock.
    pub fn new(class: LockClass) -> DispLock {
        DispLock { holder: AtomicU8::new(FREE), class, cpu: u8::MAX }
    }

    /// The lock of the threads that run on a processor.
    pub(crate) fn of_processor(index: usize) -> DispLock {
        DispLock { holder: AtomicU8::new(FREE), class: LockClass::Processor, cpu: index as u8 }
    }

    /// The lock that is never free.
    pub(crate) fn held_for_ever() -> DispLock {
        DispLock { holder: AtomicU8::new(FOR_EVER), class: LockClass::Transition, cpu: u8::MAX }
    }

    /// Its class.
    pub fn class(&self) -> LockClass {
        self.class
    }

    /// Whether it is the lock of the threads that run on this processor.
    pub(crate) fn is_of(&self, cpu: &Cpu) -> bool {
        self.class == LockClass::Processor && usize::from(self.cpu) == cpu.index()
    }

    /// The processor whose threads it locks, if it is of that class.
    pub fn processor(&self) -> Option<usize> {
        (self.class == LockClass::Processor).then_some(usize::from(self.cpu))
    }

    /// The processor that holds it at this moment.
    pub fn holder(&self) -> Option<usize> {
        match self.holder.load(Ordering::Relaxed) {
            FREE | FOR_EVER => None,
            mark => Some(usize::from(mark) - 1),
        }
    }

    /// Whether it is held at this moment.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.holder.load(Ordering::Relaxed) != FREE
    }

    /// Takes the lock, from code that may fault (rule 4 of [`machine::capability`]).
    #[inline]
    pub fn enter<'a>(&'static self, may_fault: &'a mut MayFault) -> DispGuard<'a> {
        self.enter_at(pil::raise(Pil::DISP, may_fault))
    }

    /// Takes the lock wherever the caller comes from (rule 5).
    #[inline]
    pub fn enter_anywhere<'a>(&'static self) -> DispGuard<'a> {
        self.enter_at(pil::raise_anywhere(Pil::DISP))
    }

    fn enter_at<'a>(&'static self, level: PilGuard<'a>) -> DispGuard<'a> {
        // SAFETY: the level stays raised for as long as the guard, which restores it after it has
        // dropped what borrows this.
        let held = self.enter_high(unsafe { Atomic::assume() });
        DispGuard { held, level }
    }

    /// Takes the lock where the level is raised already (rule 3).
    #[inline]
    pub fn enter_high<'a>(&'static self, atomic: &'a Atomic) -> Held<'a> {
        loop {
            if let Some(held) = self.try_enter_high(atomic) {
                return held;
            }
            self.wait(atomic);
        }
    }

    /// Waits until the lock is free.
    #[cold]
    fn wait(&'static self, atomic: &Atomic) {
        debug_assert!(
            self.holder() != Some(Cpu::current(atomic).index()),
            "a processor takes a dispatcher lock that it already holds: {:?}",
            self.class
        );
        let mut watch = Watch::begin(self, atomic);
        while self.is_held() {
            watch.turn(atomic);
        }
    }

    /// Takes the lock if it is free.
    #[inline]
    pub fn try_enter_high<'a>(&'static self, atomic: &'a Atomic) -> Option<Held<'a>> {
        debug_assert!(Pil::current() == Pil::DISP, "rule D1: dispatcher locks are for DISP_LEVEL");
        let mark = Cpu::current_index(atomic) as u8 + 1;
        self.holder.compare_exchange(FREE, mark, Ordering::Acquire, Ordering::Relaxed).is_ok().then(
            || {
                lock_order::entered(self, atomic);
                Held { lock: self, atomic }
            },
        )
    }

    /// Releases the lock.
    #[inline]
    fn release(&self, atomic: &Atomic) {
        lock_order::left(self, atomic);
        debug_assert!(
            self.holder() == Some(Cpu::current(atomic).index()),
            "a dispatcher lock is released by a processor that does not hold it: {:?}",
            self.class
        );
        self.holder.store(FREE, Ordering::Release);
    }
}

/// A dispatcher lock that is held at a level that somebody else restores.
#[must_use = "the lock is released when this is dropped"]
pub struct Held<'a> {
    lock: &'static DispLock,
    atomic: &'a Atomic,
}

impl<'a> Held<'a> {
    /// The lock.
    #[inline]
    pub fn lock(&self) -> &'static DispLock {
        self.lock
    }

    /// What holds meanwhile.
    #[inline]
    pub fn atomic(&self) -> &'a Atomic {
        self.atomic
    }

    /// Releases a lock, whoever holds it.
    #[cfg(feature = "bug-6294464")]
    pub(crate) fn release_whatever(lock: &DispLock, atomic: &Atomic) {
        lock_order::left(lock, atomic);
        lock.holder.store(FREE, Ordering::Release);
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        self.lock.release(self.atomic);
    }
}

/// A dispatcher lock together with the level that it raised. Dropping it is `disp_lock_exit`.
#[must_use = "the lock is released when this is dropped"]
pub struct DispGuard<'a> {
    // In this order: the lock is released, then the level restored, then preemption looked at.
    held: Held<'a>,
    level: PilGuard<'a>,
}

impl<'a> DispGuard<'a> {
    /// The lock alone, to be passed to those who need it held.
    pub fn held(&mut self) -> &mut Held<'a> {
        &mut self.held
    }

    /// What holds meanwhile.
    pub fn atomic(&self) -> &Atomic {
        self.level.atomic()
    }

    /// Releases the lock and restores the level; a wanted preemption waits for the next occasion.
    pub fn exit_nopreempt(self) {
        drop(self.held);
        self.level.restore_without_preemption();
    }
}

/// A value that a dispatcher lock protects, which lies elsewhere: the same lock for many values.
pub(crate) struct Guarded<T>(SharedCell<T>);

// SAFETY: whoever has access holds the lock.
unsafe impl<T: Send> Sync for Guarded<T> {}
// SAFETY: a cell that nobody has a reference to is as good as its value.
unsafe impl<T: Send> Send for Guarded<T> {}

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Guarded<T> {
        Guarded(SharedCell::new(value))
    }

    /// The value. Holding `held` mutably for as long keeps this the only access.
    ///
    /// # Safety
    ///
    /// `held` is the lock that protects this value.
    #[inline]
    pub(crate) unsafe fn access<'a>(&'a self, _held: &'a mut Held<'_>) -> Access<'a, T> {
        // SAFETY: the lock is held, and lent out once.
        unsafe { self.0.access() }
    }
}
