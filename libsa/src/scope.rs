//! Threads that may borrow: they are over when the scope is.

use crate::sync::Mutex;
use crate::thread::{Builder, JoinHandle, Result, SpawnError, Thread, current, park};
use alloc::sync::Arc;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Where threads may borrow from outside.
pub struct Scope<'scope, 'outside: 'scope> {
    /// Threads that are not over.
    running: AtomicUsize,
    /// Who waits for them.
    owner: Thread,
    scope: PhantomData<&'scope mut &'scope ()>,
    outside: PhantomData<&'outside mut &'outside ()>,
}

/// Runs `act`, and waits for all threads that it has started.
pub fn scope<'outside, T>(act: impl for<'scope> FnOnce(&'scope Scope<'scope, 'outside>) -> T) -> T {
    let scope = Scope {
        running: AtomicUsize::new(0),
        owner: current(),
        scope: PhantomData,
        outside: PhantomData,
    };
    let result = act(&scope);
    while scope.running.load(Ordering::Acquire) != 0 {
        park();
    }
    result
}

/// The handle of a thread of a scope.
pub struct ScopedJoinHandle<'scope, T> {
    handle: JoinHandle<()>,
    result: Arc<Mutex<Option<T>>>,
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// The thread.
    pub fn thread(&self) -> &Thread {
        self.handle.thread()
    }

    /// Waits until it is over; returns what came out of it.
    pub fn join(self) -> Result<T> {
        let Ok(()) = self.handle.join();
        let Ok(mut result) = self.result.lock();
        Ok(result.take().expect("a thread that is over has a result"))
    }
}

/// Counts a thread of a scope down when it is over.
struct Running<'a> {
    running: &'a AtomicUsize,
    owner: Thread,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // The scope may be gone after this: the owner is the thread's own handle.
        self.running.fetch_sub(1, Ordering::AcqRel);
        self.owner.unpark();
    }
}

impl<'scope, 'outside> Scope<'scope, 'outside> {
    /// Starts a thread.
    ///
    /// # Panics
    ///
    /// If there can be no more.
    pub fn spawn<F, T>(&'scope self, act: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.running.fetch_add(1, Ordering::Relaxed);
        let running = Running { running: &self.running, owner: self.owner.clone() };
        let result = Arc::new(Mutex::new(None));
        let place = Arc::clone(&result);
        let act = move || {
            // Dropped last: then nothing of the thread's refers to the outside any longer, not even what came out of it, if
            // nobody has a handle.
            let running = running;
            let came = act();
            let Ok(mut result) = place.lock();
            *result = Some(came);
            drop(result);
            drop(place);
            drop(running);
        };
        // SAFETY: the scope waits for the thread.
        let spawned: core::result::Result<_, SpawnError> =
            unsafe { Builder::new().spawn_unchecked(act) };
        let handle = spawned.expect("there can be one more thread");
        ScopedJoinHandle { handle, result, scope: PhantomData }
    }
}
