//! One value per processor, and one number, without a lock: touched at [`Pil::SPIN_MAX`] by its own processor only.
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

/// What one processor writes, out of the cache lines of the next.
#[repr(align(64))]
struct Own<T> {
    value: SharedCell<T>,
    /// Core's atomic in every flavour: one processor writes, and nobody waits for what it says.
    count: AtomicI64,
}

/// One value per processor, and a number to which every processor adds. See the module.
pub(crate) struct PerCpu<T> {
    own: [Own<T>; CPUS],
}

// SAFETY: each value is touched by one processor only, by one section at level 13 at a time.
unsafe impl<T: Send> Sync for PerCpu<T> {}

impl<T> PerCpu<T> {
    pub(crate) fn new(value: impl Fn() -> T) -> PerCpu<T> {
        PerCpu {
            own: core::array::from_fn(|_| Own {
                value: SharedCell::new(value()),
                count: AtomicI64::new(0),
            }),
        }
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
        unsafe { self.own[cpu.index()].value.access() }
    }

    /// Adds to the number.
    #[inline]
    pub(crate) fn add(&self, level: &PilGuard<'_>, difference: i64) {
        debug_assert!(Pil::current() >= Pil::SPIN_MAX);
        let count = &self.own[Cpu::current(level.atomic()).index()].count;
        count.store(count.load(Ordering::Relaxed) + difference, Ordering::Relaxed);
    }

    /// The number; exact while nobody adds to it.
    pub(crate) fn sum(&self) -> u64 {
        // While others add, the parts may not fit together.
        self.own.iter().map(|own| own.count.load(Ordering::Relaxed)).sum::<i64>().max(0) as u64
    }
}
