//! The vector unit of a processor, lent to whoever copies or empties a frame.
//!
//! A vector register holds four words, or two, where the registers of the kernel's own code hold one, so a frame takes
//! a third of the instructions. But the vector registers are user mode's: they stay in the processor while a thread is
//! in the kernel. So a copy first puts those that it uses away, in a place *of the processor's* ([`backend::vectors`]),
//! and takes them back at the end. Hence
//!
//! - who has the unit does not migrate: what it has put away stays behind. It may be preempted, as copies are long:
//!   what is in the registers then goes with the thread, like all of user mode's, and comes back with it;
//! - of several threads on a processor that copy, because one has preempted the other, one has the unit. The others
//!   do without;
//! - threads whose registers nobody saves, because they have no user mode, do without, as do interrupt handlers.
//!
//! So did Solaris on UltraSPARC: its block copies borrow the floating-point unit, and `thread_nomigrate` was made for
//! them.

use crate::{Cpu, System, backend};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A processor's vector unit. See the module.
pub struct VectorUnit {
    /// Somebody has put registers away. Only the threads of the processor touch it, each in one step.
    in_use: AtomicBool,
    /// How often it has been lent, and how often somebody did without because it was. Statistics.
    lent: AtomicU64,
    missed: AtomicU64,
}

impl VectorUnit {
    pub(crate) fn new() -> VectorUnit {
        VectorUnit {
            in_use: AtomicBool::new(false),
            lent: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }

    /// How often it has been lent, and how often somebody did without because somebody else had it.
    pub fn counts(&self) -> (u64, u64) {
        (self.lent.load(Ordering::Relaxed), self.missed.load(Ordering::Relaxed))
    }

    /// Lends it, unless somebody has it.
    fn lend(&self) -> bool {
        if self.in_use.swap(true, Ordering::Relaxed) {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        // Only this processor's own threads count, and they may preempt each other: a statistic.
        self.lent.store(self.lent.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        true
    }
}

/// The unit of the caller's processor, lent.
struct Lent {
    cpu: &'static Cpu,
}

impl Lent {
    /// # Safety
    ///
    /// The caller does not migrate until this is dropped.
    unsafe fn get() -> Option<Lent> {
        if !backend::vectors::are_saved_with_thread() {
            return None;
        }
        let cpu = backend::current_cpu();
        cpu.vector_unit.lend().then_some(Lent { cpu })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        debug_assert!(
            backend::current_index() == self.cpu.index() || crate::is_unwinding(),
            "who has borrowed a vector unit has migrated"
        );
        self.cpu.vector_unit.in_use.store(false, Ordering::Relaxed);
    }
}

/// Copies a frame.
///
/// # Safety
///
/// The caller does not migrate meanwhile. Both are different frames of memory; nobody writes `from`; `to` is the
/// caller's, and nothing of the kernel's lives there.
pub unsafe fn copy(from: u64, to: u64) {
    debug_assert!(from != to, "a frame is copied to itself");
    // SAFETY: the caller's promise.
    match unsafe { Lent::get() } {
        // SAFETY: the unit is ours, and the rest is the caller's promise.
        Some(lent) => unsafe { backend::vectors::copy(lent.cpu, from, to) },
        // SAFETY: the caller's promise.
        None => unsafe { backend::pmap::copy_frame(System::current(), from, to) },
    }
}

/// Fills a frame with zeros.
///
/// # Safety
///
/// The caller does not migrate meanwhile. The address is that of a frame of memory, and the frame is the caller's:
/// nothing of the kernel's lives there.
pub unsafe fn clear(frame: u64) {
    // SAFETY: the caller's promise.
    match unsafe { Lent::get() } {
        // SAFETY: the unit is ours, and the rest is the caller's promise.
        Some(lent) => unsafe { backend::vectors::clear(lent.cpu, frame) },
        // SAFETY: the caller's promise.
        None => unsafe { backend::pmap::clear_frame(System::current(), frame) },
    }
}
