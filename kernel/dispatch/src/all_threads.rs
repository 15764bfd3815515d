//! All threads that there have ever been, for those who look for the threads of a processor.
//!
//! A thread object is a thread's for ever, so the list only grows: joining it takes a lock, walking
//! along it takes none. Threads that are over stay in it; who walks looks at the state.

use crate::atomic_ref::AtomicRef;
use crate::thread::Thread;
use atomics::Ordering;
use machine::SpinLock;

/// The list. See the module.
pub(crate) struct AllThreads {
    first: AtomicRef<Thread>,
    /// Held by who joins.
    joining: SpinLock<(), 13>,
}

impl AllThreads {
    pub(crate) fn new() -> AllThreads {
        AllThreads { first: AtomicRef::new(None), joining: SpinLock::new(()) }
    }

    /// A new thread object joins; once.
    pub(crate) fn join(&self, thread: &'static Thread) {
        let joining = self.joining.lock_anywhere();
        thread.next_of_all.store(self.first.load(Ordering::Relaxed), Ordering::Relaxed);
        // Whoever finds the thread finds the rest of the list behind it.
        self.first.store(Some(thread), Ordering::Release);
        drop(joining);
    }

    /// Every thread, the youngest object first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Thread> {
        core::iter::successors(self.first.load(Ordering::Acquire), |thread| {
            thread.next_of_all.load(Ordering::Relaxed)
        })
    }
}
