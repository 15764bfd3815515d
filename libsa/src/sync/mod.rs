//! What threads wait for each other with, under the names of `std::sync`.
//!
//! All of them wait in a queue ([`scheduler::wait::WaitQueue`]): whoever wakes somebody has decided what that one gets
//! (the lock, a unit), so nobody has to look again. A panic ends the program; so nothing is ever poisoned, and a
//! [`LockResult`] is never an error.

mod barrier;
mod condvar;
pub mod mpsc;
mod mutex;
mod once;
mod rwlock;
mod semaphore;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceLock};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Permit, Semaphore};

/// What would be, if a panic did not end the program.
#[derive(Clone, Copy, Debug)]
pub enum Poisoned {}

/// What locks return; never an error.
pub type LockResult<T> = Result<T, Poisoned>;

/// Why a lock was not to be had at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryLockError {
    /// Somebody has it.
    WouldBlock,
}

/// What tries return.
pub type TryLockResult<T> = Result<T, TryLockError>;
