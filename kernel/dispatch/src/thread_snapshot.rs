//! The image of a thread for a checkpoint of the system, and its restoration.
//!
//! Who writes the image of *itself* copies its own thread object, and the copying may well bind it
//! weakly while it lasts. Restored word by word, such a thread would be bound for ever to a
//! processor on which it no longer runs: back in time, to the middle of the copying. It happened to
//! Solaris, whose checkpoint copied the `kthread_t` with the `bcopy` that bound it. So the image
//! holds the bindings, to be looked at, and restoring leaves the live ones alone (row 15).

use crate::cpu::CpuDispatch;
use crate::thread::Thread;
use atomics::Ordering;

/// The image of a thread. See the module.
#[derive(Clone, Debug)]
pub struct ThreadSnapshot {
    id: u64,
    voluntary: u64,
    involuntary: u64,
    ran_at: u64,
    /// How often migration was off.
    pub nomigrate: i32,
    /// The index of the processor that the thread was weakly bound to.
    pub weak: Option<usize>,
    /// The index of the processor that the thread was strongly bound to.
    pub strong: Option<usize>,
}

impl ThreadSnapshot {
    /// The image of a thread, as it is at this moment.
    pub fn take(thread: &Thread) -> ThreadSnapshot {
        let index = |cpu: Option<&'static CpuDispatch>| cpu.map(CpuDispatch::index);
        ThreadSnapshot {
            id: thread.id(),
            voluntary: thread.voluntary.load(Ordering::Relaxed),
            involuntary: thread.involuntary.load(Ordering::Relaxed),
            ran_at: thread.ran_at.load(Ordering::Relaxed),
            nomigrate: thread.binding.nomigrate.load(Ordering::Relaxed) as i32,
            weak: index(thread.binding.weak.load(Ordering::Relaxed)),
            strong: index(thread.binding.strong.load(Ordering::Relaxed)),
        }
    }

    /// Makes the running thread what it was, except for its bindings: they are facts
    /// of the present.
    ///
    /// # Panics
    ///
    /// If the image is another thread's.
    pub fn restore(&self) {
        let thread = Thread::running();
        assert_eq!(thread.id(), self.id, "the image of another thread");
        thread.voluntary.store(self.voluntary, Ordering::Relaxed);
        thread.involuntary.store(self.involuntary, Ordering::Relaxed);
        thread.ran_at.store(self.ran_at, Ordering::Relaxed);
    }
}
