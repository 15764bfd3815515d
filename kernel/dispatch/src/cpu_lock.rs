//! `cpu_lock`: the lock of everything that changes which processors there are, which set each is
//! in, and which threads are bound to which.
//!
//! Functions that need it held take a reference to the guard, which is the proof. It comes before
//! every other lock, and its holder may sleep.
//!
//! Not everything that binds a thread takes it: weak binding and affinity for the current processor
//! must not sleep. So who holds it finds no new binding *from others*, and has to look again with
//! all processors paused ([`crate::pause`]) for those two.

use crate::Dispatch;
use crate::mutex::{Mutex, MutexGuard};
use crate::pause::Pausing;
use machine::MayFault;

/// The lock, and what its holder alone uses.
pub(crate) struct CpuLock {
    mutex: Mutex<()>,
    pub(crate) pausing: Pausing,
}

impl CpuLock {
    pub(crate) fn new() -> CpuLock {
        CpuLock { mutex: Mutex::new(()), pausing: Pausing::new() }
    }
}

/// The proof that the caller holds `cpu_lock`; dropping it releases the lock.
#[must_use = "the lock is released when this is dropped"]
pub struct CpuLockGuard {
    dispatch: &'static Dispatch,
    _held: MutexGuard<'static, ()>,
}

impl CpuLockGuard {
    /// The dispatcher whose processors these are.
    pub(crate) fn dispatch(&self) -> &'static Dispatch {
        self.dispatch
    }
}

/// Takes `cpu_lock`; sleeps while another thread has it.
pub fn lock_processors(may_fault: &mut MayFault) -> CpuLockGuard {
    let dispatch = Dispatch::current();
    CpuLockGuard { dispatch, _held: dispatch.hot_plug.mutex.lock(may_fault) }
}
