//! Host, loom or shuttle: threads, thread-locals, a mutex and a condition variable of the flavour
//! that is compiled, under one name each.
//!
//! What the checkers are to explore goes through these. Pure bookkeeping of the simulation (which
//! threads there are, what is freed at the end) uses the host's own mutex, never across a step of
//! the checker's, so that it does not blow up the models.

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod chosen {
    pub use std::sync::{Condvar, Mutex, MutexGuard};
    pub use std::thread::{JoinHandle, spawn};
    pub use std::thread_local;
}

#[cfg(feature = "loom")]
mod chosen {
    pub use loom::sync::{Condvar, Mutex, MutexGuard};
    pub use loom::thread::{JoinHandle, spawn};
    pub use loom::thread_local;
}

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod chosen {
    pub use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub use shuttle::thread::{JoinHandle, spawn};
    pub use shuttle::thread_local;
}

pub(crate) use chosen::*;

use std::sync::PoisonError;

/// How long a thread of the host waits before it concludes that nobody will wake it. The checkers
/// see that for themselves.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// How often it looks meanwhile whether another thread has failed: who could have woken it may be gone.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

/// Takes a mutex. That its holder has panicked does not matter: the test has failed anyway.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `condition` holds of what the mutex protects, and returns with it taken. If nobody
/// ever makes it hold, the test fails; `what` says what was waited for.
pub(crate) fn wait_until<'a, T>(
    mutex: &'a Mutex<T>,
    changed: &Condvar,
    what: impl Fn() -> std::string::String,
    condition: impl Fn(&T) -> bool,
) -> MutexGuard<'a, T> {
    let mut guard = lock(mutex);
    #[cfg(not(any(feature = "loom", feature = "shuttle")))]
    let begun = std::time::Instant::now();
    while !condition(&guard) {
        #[cfg(not(any(feature = "loom", feature = "shuttle")))]
        {
            let (again, waited) =
                changed.wait_timeout(guard, LOOK).unwrap_or_else(PoisonError::into_inner);
            guard = again;
            if waited.timed_out() && !condition(&guard) {
                let threads = &super::current_system().backend.threads;
                assert!(!threads.have_failed(), "another thread of this test has failed");
                assert!(begun.elapsed() < PATIENCE, "nobody comes: {}", what());
            }
        }
        #[cfg(any(feature = "loom", feature = "shuttle"))]
        {
            let _ = &what;
            guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }
    guard
}
