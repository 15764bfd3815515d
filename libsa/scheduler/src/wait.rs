//! Threads that wait for something: a lock, a condition, a number.
//!
//! Who waits puts itself into the queue, and leaves its processor; who wakes takes a thread out, and makes it ready. So a
//! wake-up cannot be lost, and nobody is woken by mistake: a thread that goes on was taken out by somebody, who decided
//! what that means.

use crate::list::List;
use crate::schedule::Table;
use crate::spin::{SpinGuard, SpinLock};
use crate::thread::ThreadId;

/// A queue of threads that wait.
#[derive(Debug)]
pub struct WaitQueue {
    lock: SpinLock,
    list: List,
}

impl Default for WaitQueue {
    fn default() -> WaitQueue {
        WaitQueue::new()
    }
}

impl WaitQueue {
    const_where_possible! {
        /// Nobody waits.
        pub fn new() -> WaitQueue {
            WaitQueue { lock: SpinLock::new(), list: List::new() }
        }
    }

    /// Whether nobody waits, or did a moment ago.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Locks it.
    #[inline]
    pub fn lock(&self) -> Waiting<'_> {
        Waiting { list: &self.list, _guard: self.lock.lock() }
    }
}

/// A queue that is locked: also what its owner decides by it.
#[derive(Debug)]
pub struct Waiting<'a> {
    list: &'a List,
    _guard: SpinGuard<'a>,
}

impl Waiting<'_> {
    /// A thread waits.
    #[inline]
    pub fn add(&self, thread: ThreadId, table: &impl Table) {
        table.thread(thread).set_waits(true);
        self.list.push_last(thread, table);
    }

    /// The one that has waited longest is not to wait any longer.
    #[inline]
    pub fn take(&self, table: &impl Table) -> Option<ThreadId> {
        let first = self.list.take_first(table)?;
        table.thread(first).set_waits(false);
        Some(first)
    }

    /// A thread, which was put into this queue, is not to wait any longer. Says whether it has waited until now.
    pub fn remove(&self, thread: ThreadId, table: &impl Table) -> bool {
        let record = table.thread(thread);
        let waits = record.waits();
        if waits {
            record.set_waits(false);
            self.list.remove(thread, table);
        }
        waits
    }

    /// The one that has waited longest.
    pub fn first(&self) -> Option<ThreadId> {
        self.list.first()
    }

    /// Whether nobody waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}
