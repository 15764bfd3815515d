//! Deadlines of threads that wait: the earliest is known at once, and any can be taken out.
//!
//! A pairing heap (M. Fredman, R. Sedgewick, D. Sleator and R. Tarjan, 1986), linked through records that lie in a table of
//! their own: only who waits with a deadline touches one.
//!
//! Whose time comes while somebody else wakes it: the lock of what it waits in decides. So who takes due threads out asks
//! the caller about each with this lock held, and that one takes the other lock then: never the other way round.

use crate::spin::{SpinGuard, SpinLock};
use crate::thread::ThreadId;
use atomics::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// There is no deadline.
pub const NEVER: u64 = u64::MAX;

/// It has no deadline, or something else came before it.
const NONE: u32 = 0;
/// It is among those of [`Timers`].
const LISTED: u32 = 1;
/// Its time came first.
const OVER: u32 = 2;

/// A thread's deadline.
#[derive(Debug, Default)]
pub struct Deadline {
    at: AtomicU64,
    state: AtomicU32,
    /// The first of those that are later than this one and hang below it.
    child: AtomicU32,
    /// The next that hangs below the same one.
    next: AtomicU32,
    /// The one before that; of the first, the one that it hangs below.
    previous: AtomicU32,
}

/// Where the deadlines are.
pub trait Deadlines {
    /// The deadline of a thread.
    fn deadline(&self, thread: ThreadId) -> &Deadline;
}

/// All deadlines.
#[derive(Debug)]
pub struct Timers {
    lock: SpinLock,
    root: AtomicU32,
    /// The earliest, or [`NEVER`]. Others read it without the lock.
    earliest: AtomicU64,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers::new()
    }
}

impl Timers {
    const_where_possible! {
        /// None.
        pub fn new() -> Timers {
            Timers { lock: SpinLock::new(), root: AtomicU32::new(0), earliest: AtomicU64::new(NEVER) }
        }
    }

    /// The earliest deadline, or [`NEVER`].
    pub fn earliest(&self) -> u64 {
        self.earliest.load(Relaxed)
    }

    /// A thread, which has no deadline, has one. Says whether that is the earliest.
    pub fn add(&self, thread: ThreadId, at: u64, table: &impl Deadlines) -> bool {
        let heap = Heap { timers: self, table, _guard: self.lock.lock() };
        let record = table.deadline(thread);
        record.at.store(at, Relaxed);
        record.state.store(LISTED, Relaxed);
        record.child.store(0, Relaxed);
        heap.set_root(heap.meld(Some(thread), heap.root()));
        heap.root() == Some(thread)
    }

    /// A thread goes on: says whether its time came first.
    pub fn ends(&self, thread: ThreadId, table: &impl Deadlines) -> bool {
        let heap = Heap { timers: self, table, _guard: self.lock.lock() };
        let was = table.deadline(thread).state.swap(NONE, Relaxed);
        if was == LISTED {
            heap.take_out(thread);
        }
        was == OVER
    }

    /// Takes all out whose time has come, the earliest first. `waits` says whether a thread has waited until now: then its
    /// time came first, and the caller sees to it that it goes on.
    pub fn expire(
        &self,
        now: u64,
        table: &impl Deadlines,
        mut waits: impl FnMut(ThreadId) -> bool,
    ) {
        let heap = Heap { timers: self, table, _guard: self.lock.lock() };
        while let Some(first) = heap.root().filter(|_| self.earliest() <= now) {
            heap.take_out(first);
            let state = if waits(first) { OVER } else { NONE };
            table.deadline(first).state.store(state, Relaxed);
        }
    }
}

/// The deadlines, locked.
struct Heap<'a, T: Deadlines> {
    timers: &'a Timers,
    table: &'a T,
    _guard: SpinGuard<'a>,
}

fn number(thread: Option<ThreadId>) -> u32 {
    thread.map_or(0, ThreadId::number)
}

impl<T: Deadlines> Heap<'_, T> {
    fn of(&self, thread: ThreadId) -> &Deadline {
        self.table.deadline(thread)
    }

    fn root(&self) -> Option<ThreadId> {
        ThreadId::new(self.timers.root.load(Relaxed))
    }

    fn set_root(&self, root: Option<ThreadId>) {
        if let Some(root) = root {
            self.of(root).next.store(0, Relaxed);
            self.of(root).previous.store(0, Relaxed);
        }
        self.timers.root.store(number(root), Relaxed);
        let earliest = root.map_or(NEVER, |root| self.of(root).at.load(Relaxed));
        self.timers.earliest.store(earliest, Relaxed);
    }

    /// Two heaps become one: the later root hangs below the other, before what hangs there.
    fn meld(&self, one: Option<ThreadId>, other: Option<ThreadId>) -> Option<ThreadId> {
        let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
        let at = |thread| self.of(thread).at.load(Relaxed);
        let (above, below) = if at(one) <= at(other) { (one, other) } else { (other, one) };
        let first = self.of(above).child.load(Relaxed);
        self.of(below).next.store(first, Relaxed);
        self.of(below).previous.store(above.number(), Relaxed);
        if let Some(first) = ThreadId::new(first) {
            self.of(first).previous.store(below.number(), Relaxed);
        }
        self.of(above).child.store(below.number(), Relaxed);
        Some(above)
    }

    /// Takes one out, wherever it is.
    fn take_out(&self, thread: ThreadId) {
        let below = self.meld_all(ThreadId::new(self.of(thread).child.load(Relaxed)));
        if self.root() == Some(thread) {
            return self.set_root(below);
        }
        let record = self.of(thread);
        let (previous, next) = (record.previous.load(Relaxed), record.next.load(Relaxed));
        if let Some(previous) = ThreadId::new(previous) {
            let previous = self.of(previous);
            let is_first = previous.child.load(Relaxed) == thread.number();
            let link = if is_first { &previous.child } else { &previous.next };
            link.store(next, Relaxed);
        }
        if let Some(next) = ThreadId::new(next) {
            self.of(next).previous.store(previous, Relaxed);
        }
        self.set_root(self.meld(self.root(), below));
    }

    /// Makes one heap of those that hang side by side: two by two from the front, then all from the back.
    fn meld_all(&self, first: Option<ThreadId>) -> Option<ThreadId> {
        let next = |thread: ThreadId| ThreadId::new(self.of(thread).next.load(Relaxed));
        // Pairs, the last first, linked by `next`.
        let mut pairs: Option<ThreadId> = None;
        let mut rest = first;
        while let Some(one) = rest {
            let other = next(one);
            rest = other.and_then(next);
            let pair = self.meld(Some(one), other);
            if let Some(pair) = pair {
                self.of(pair).next.store(number(pairs), Relaxed);
            }
            pairs = pair;
        }
        let mut heap = None;
        while let Some(pair) = pairs {
            pairs = next(pair);
            heap = self.meld(heap, Some(pair));
        }
        heap
    }
}
