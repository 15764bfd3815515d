//! The run queue of a virtual processor: the threads that can run, by priority.
//!
//! A thread that is woken goes to the front, as what it waits for is warm and its waker often is about to wait itself
//! (Go's and Tokio's LIFO slot); but not for ever: after a few in a row the next one goes to the end.

use crate::list::List;
use crate::schedule::Table;
use crate::spin::SpinLock;
use crate::thread::{LEVELS, ThreadId};
use atomics::{AtomicU32, Ordering::Relaxed};

/// So many threads in a row may pass the others by.
const IN_A_ROW: u32 = 3;

/// Where a thread goes among those of its priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To the front, unless that has been so a few times in a row.
    First,
    /// To the end.
    Last,
}

/// A run queue.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct RunQueue {
    lock: SpinLock,
    /// How many threads there are. Others read it without the lock.
    count: AtomicU32,
    /// A bit for each level with threads.
    ready: AtomicU32,
    in_a_row: AtomicU32,
    levels: [List; LEVELS],
}

impl Default for RunQueue {
    fn default() -> RunQueue {
        RunQueue::new()
    }
}

impl RunQueue {
    /// An empty one.
    pub fn new() -> RunQueue {
        RunQueue {
            lock: SpinLock::new(),
            count: AtomicU32::new(0),
            ready: AtomicU32::new(0),
            in_a_row: AtomicU32::new(0),
            levels: core::array::from_fn(|_| List::new()),
        }
    }

    /// How many threads there are, or were a moment ago.
    #[inline]
    pub fn count(&self) -> u32 {
        self.count.load(Relaxed)
    }

    /// Puts a thread into it, which is in no list.
    #[inline]
    pub fn push(&self, thread: ThreadId, place: Place, table: &impl Table) {
        let _guard = self.lock.lock();
        self.put(thread, place, table);
    }

    /// Takes the next one out.
    #[inline]
    pub fn pop(&self, table: &impl Table) -> Option<ThreadId> {
        if self.count() == 0 {
            return None;
        }
        let _guard = self.lock.lock();
        self.take(table)
    }

    /// Puts one to the end and takes the next one out. `None` if all others are less important: it goes on itself, and is
    /// in no list.
    #[inline]
    pub fn exchange(&self, thread: ThreadId, table: &impl Table) -> Option<ThreadId> {
        if self.count() == 0 {
            return None;
        }
        let _guard = self.lock.lock();
        let level = table.thread(thread).level();
        if self.ready.load(Relaxed) >> level == 0 {
            return None;
        }
        self.put(thread, Place::Last, table);
        self.take(table)
    }

    /// Takes half of the threads out, but at most [`STOLEN_MAX`], and one at least if there is one. All but the first go
    /// into `thief`, which is another queue.
    pub fn steal(&self, thief: &RunQueue, table: &impl Table) -> Option<ThreadId> {
        if self.count() == 0 {
            return None;
        }
        let mut stolen: [Option<ThreadId>; STOLEN_MAX] = [None; STOLEN_MAX];
        {
            // Whoever holds it is at work: another queue may do as well.
            let _guard = self.lock.try_lock()?;
            let count = (self.count().div_ceil(2) as usize).min(STOLEN_MAX);
            for place in &mut stolen[..count] {
                *place = self.take(table);
            }
        }
        // Two queues are never locked at a time.
        let [first, others @ ..] = &stolen;
        if others[0].is_some() {
            let _guard = thief.lock.lock();
            for thread in others.iter().flatten() {
                thief.put(*thread, Place::Last, table);
            }
        }
        *first
    }

    #[inline]
    fn put(&self, thread: ThreadId, place: Place, table: &impl Table) {
        let level = table.thread(thread).level();
        let list = &self.levels[level as usize % LEVELS];
        let in_a_row = self.in_a_row.load(Relaxed);
        if place == Place::First && in_a_row < IN_A_ROW {
            self.in_a_row.store(in_a_row + 1, Relaxed);
            list.push_first(thread, table);
        } else {
            self.in_a_row.store(0, Relaxed);
            list.push_last(thread, table);
        }
        self.ready.store(self.ready.load(Relaxed) | 1 << level, Relaxed);
        self.count.store(self.count() + 1, Relaxed);
    }

    #[inline]
    fn take(&self, table: &impl Table) -> Option<ThreadId> {
        let ready = self.ready.load(Relaxed);
        let level = ready.checked_ilog2()?;
        let list = &self.levels[level as usize % LEVELS];
        let thread = list.take_first(table);
        if list.is_empty() {
            self.ready.store(ready & !(1 << level), Relaxed);
        }
        self.count.store(self.count() - 1, Relaxed);
        thread
    }
}

/// Most threads that are taken from another queue at a time.
pub const STOLEN_MAX: usize = 32;
