//! Threads in a row, linked through themselves. A list is part of what a lock protects.

use crate::schedule::Table;
use crate::thread::ThreadId;
use atomics::{AtomicU32, Ordering::Relaxed};

/// A list.
#[derive(Debug)]
pub struct List {
    first: AtomicU32,
    last: AtomicU32,
}

impl Default for List {
    fn default() -> List {
        List::new()
    }
}

fn number(thread: Option<ThreadId>) -> u32 {
    thread.map_or(0, ThreadId::number)
}

impl List {
    const_where_possible! {
        /// An empty one.
        pub fn new() -> List {
            List { first: AtomicU32::new(0), last: AtomicU32::new(0) }
        }
    }

    /// The first.
    #[inline]
    pub fn first(&self) -> Option<ThreadId> {
        ThreadId::new(self.first.load(Relaxed))
    }

    fn last(&self) -> Option<ThreadId> {
        ThreadId::new(self.last.load(Relaxed))
    }

    /// Whether nobody is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.load(Relaxed) == 0
    }

    /// Puts a thread, which is in no list, at the end.
    #[inline]
    pub fn push_last(&self, thread: ThreadId, table: &impl Table) {
        let (record, last) = (table.thread(thread), self.last());
        record.next.store(0, Relaxed);
        record.previous.store(number(last), Relaxed);
        match last {
            Some(last) => table.thread(last).next.store(thread.number(), Relaxed),
            None => self.first.store(thread.number(), Relaxed),
        }
        self.last.store(thread.number(), Relaxed);
    }

    /// Puts a thread, which is in no list, at the beginning.
    #[inline]
    pub fn push_first(&self, thread: ThreadId, table: &impl Table) {
        let (record, first) = (table.thread(thread), self.first());
        record.previous.store(0, Relaxed);
        record.next.store(number(first), Relaxed);
        match first {
            Some(first) => table.thread(first).previous.store(thread.number(), Relaxed),
            None => self.last.store(thread.number(), Relaxed),
        }
        self.first.store(thread.number(), Relaxed);
    }

    /// Takes the first out.
    #[inline]
    pub fn take_first(&self, table: &impl Table) -> Option<ThreadId> {
        let first = self.first()?;
        let next = table.thread(first).next.load(Relaxed);
        self.first.store(next, Relaxed);
        match ThreadId::new(next) {
            Some(next) => table.thread(next).previous.store(0, Relaxed),
            None => self.last.store(0, Relaxed),
        }
        Some(first)
    }

    /// Takes one out that is in this list.
    pub fn remove(&self, thread: ThreadId, table: &impl Table) {
        let record = table.thread(thread);
        let (next, previous) = (record.next.load(Relaxed), record.previous.load(Relaxed));
        match ThreadId::new(previous) {
            Some(previous) => table.thread(previous).next.store(next, Relaxed),
            None => self.first.store(next, Relaxed),
        }
        match ThreadId::new(next) {
            Some(next) => table.thread(next).previous.store(previous, Relaxed),
            None => self.last.store(previous, Relaxed),
        }
    }
}
