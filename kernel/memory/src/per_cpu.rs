//! One value per processor, without a lock: touched at [`Pil::SPIN_MAX`] by its own processor only.
//!
//! At that level the running thread is neither preempted nor moved, and no handler that may allocate
//! comes on top of it. Raising the level costs no more than turning preemption off would: one store,
//! and one store and a test on the way back ([`machine::pil`]). Turning preemption off alone would
//! not do, since handlers allocate too.

use atomics::cell::{Access, SharedCell};
use core::sync::atomic::{AtomicI64, Ordering};
use machine::pil::PilGuard;
use machine::{Cpu, Pil};

/// How many processors there can be. Model checkers pay for each.
pub(crate) const CPUS: usize = if cfg!(feature = "loom") { 3 } else { machine::system::CPU_MAX };

/// Keeps what one processor writes out of the cache lines of the next.
#[repr(align(128))]
struct Own<T>(SharedCell<T>);

/// One value per processor. See the module.
pub(crate) struct PerCpu<T> {
    values: [Own<T>; CPUS],
}

// SAFETY: each value is touched by one processor only, by one section at level 13 at a time.
unsafe impl<T: Send> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    pub(crate) fn new(value: impl Fn() -> T) -> PerCpu<T> {
        PerCpu { values: core::array::from_fn(|_| Own(SharedCell::new(value()))) }
    }

    /// The current processor's value.
    ///
    /// # Safety
    ///
    /// No other access to this processor's value lives.
    #[inline]
    pub(crate) unsafe fn access<'a>(&'a self, level: &'a PilGuard<'_>) -> Access<'a, T> {
        debug_assert!(Pil::current() >= Pil::SPIN_MAX);
        let cpu = Cpu::current(level.atomic());
        // SAFETY: only this processor touches the value, and only at this level, at which nothing
        // that could touch it comes on top; the rest is the caller's promise.
        unsafe { self.values[cpu.index()].0.access() }
    }
}

/// A number that every processor adds to for itself; exact while nobody does.
pub(crate) struct Count {
    parts: [Part; CPUS],
}

/// Core's atomic in every flavour: one processor writes, nobody waits for what it says.
#[repr(align(128))]
struct Part(AtomicI64);

impl Count {
    pub(crate) fn new() -> Count {
        Count { parts: [const { Part(AtomicI64::new(0)) }; CPUS] }
    }

    /// Adds to the number.
    #[inline]
    pub(crate) fn add(&self, level: &PilGuard<'_>, difference: i64) {
        debug_assert!(Pil::current() >= Pil::SPIN_MAX);
        let part = &self.parts[Cpu::current(level.atomic()).index()].0;
        part.store(part.load(Ordering::Relaxed) + difference, Ordering::Relaxed);
    }

    /// The number.
    pub(crate) fn sum(&self) -> u64 {
        // While others add, the parts may not fit together.
        self.parts.iter().map(|part| part.0.load(Ordering::Relaxed)).sum::<i64>().max(0) as u64
    }
}
