//! The page queues: in what order pages may be taken away.
//!
//! | queue | what is in it |
//! |---|---|
//! | active | used not long ago |
//! | inactive | not used for a while: the next to go |
//! | laundry | not used for a while, and to be written to the store first |
//!
//! A page that is in use and not wired is in exactly one queue, or about to be put into one. The queues are lists
//! through the pages themselves, by number, under one spin lock.
//!
//! A page in a queue is in an object: it leaves the queue before it is freed, by who has it exclusively busy. So a
//! page that is found in a queue, and tried with the lock held, has its identity for as long as it stays busy.
//!
//! Mach and 4.4BSD: active and inactive; FreeBSD 11 added the laundry.

use crate::Vm;
use crate::page::{Exclusive, Page};
use atomics::{AtomicU8, AtomicU32, Ordering};
use machine::SpinLock;
use machine::spin_lock::SpinGuard;

/// The end of a list.
const NIL: u32 = u32::MAX;

/// A queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Used not long ago.
    Active = 0,
    /// The next to go.
    Inactive = 1,
    /// To be written first.
    Laundry = 2,
}

/// Most busy pages that are passed by at a time.
const BUSY_MAX: u32 = 64;

/// In no queue.
const NONE: u8 = 3;

/// A page's place in a queue. Under the queues' lock, but for the queue's number, which anybody may read.
pub(crate) struct QueueLink {
    next: AtomicU32,
    previous: AtomicU32,
    queue: AtomicU8,
}

impl QueueLink {
    pub(crate) fn new() -> QueueLink {
        QueueLink {
            next: AtomicU32::new(NIL),
            previous: AtomicU32::new(NIL),
            queue: AtomicU8::new(NONE),
        }
    }

    /// The queue that the page is in, at this moment.
    pub(crate) fn queue(&self) -> Option<Queue> {
        let number = self.queue.load(Ordering::Relaxed);
        [Queue::Active, Queue::Inactive, Queue::Laundry]
            .into_iter()
            .find(|queue| *queue as u8 == number)
    }

    /// Whether the page is in no queue, at this moment.
    fn is_out(&self) -> bool {
        self.queue.load(Ordering::Relaxed) == NONE
    }
}

#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
    count: u32,
}

/// The queues. See the module.
pub(crate) struct Queues {
    lists: SpinLock<[List; 3], 13>,
}

impl Queues {
    pub(crate) fn new() -> Queues {
        let empty = List { first: NIL, last: NIL, count: 0 };
        Queues { lists: SpinLock::new([empty; 3]) }
    }

    #[inline]
    fn lock(&self) -> SpinGuard<'_, [List; 3], 13> {
        self.lists.lock_anywhere_noting(|| Vm::current().census.queue_waits.note())
    }

    /// How many pages a queue has.
    pub(crate) fn count(&self, queue: Queue) -> u32 {
        self.lock()[queue as usize].count
    }

    /// A page has been used: one that is in no queue, and not wired, gets into one. The caller has it busy.
    #[inline]
    pub(crate) fn note_use(&self, page: &'static Page) {
        if page.queue.is_out() {
            self.put(page, Queue::Active);
        }
    }

    /// Puts a page at the end of a queue, out of the one that it may be in; a wired one into none. The caller has it
    /// busy.
    pub(crate) fn put(&self, page: &'static Page, queue: Queue) {
        let mut lists = self.lock();
        unlink(&mut lists, page);
        // Who wires it counts first, and comes here to take it out after that.
        if page.wired() == 0 {
            link(&mut lists[queue as usize], page, queue);
        }
    }

    /// Takes a page out of its queue, if it is in one.
    pub(crate) fn remove(&self, page: &'static Page) {
        unlink(&mut self.lock(), page);
    }

    /// Takes the first page of a queue that nobody has busy, out of at most `limit`, and makes it exclusively
    /// busy. Those that are busy go to the end: they are in use.
    pub(crate) fn take_first(&self, queue: Queue, limit: u32) -> Option<Exclusive> {
        // Pages that are busy are few; who meets many of them comes again later.
        for _ in 0..limit.min(BUSY_MAX) {
            let mut lists = self.lock();
            let first = lists[queue as usize].first;
            if first == NIL {
                return None;
            }
            let page = Vm::current().pages.at(first);
            if let Some(taken) = page.try_exclusive() {
                return Some(taken);
            }
            unlink(&mut lists, page);
            link(&mut lists[queue as usize], page, queue);
        }
        None
    }
}

fn link(list: &mut List, page: &'static Page, queue: Queue) {
    let pages = &Vm::current().pages;
    let place = pages.place_of(page);
    let last = core::mem::replace(&mut list.last, place);
    list.count += 1;
    page.queue.queue.store(queue as u8, Ordering::Relaxed);
    page.queue.next.store(NIL, Ordering::Relaxed);
    page.queue.previous.store(last, Ordering::Relaxed);
    match last {
        NIL => list.first = place,
        last => pages.at(last).queue.next.store(place, Ordering::Relaxed),
    }
}

fn unlink(lists: &mut [List; 3], page: &'static Page) {
    let queue = page.queue.queue.load(Ordering::Relaxed);
    let Some(list) = lists.get_mut(usize::from(queue)) else { return };
    let next = page.queue.next.load(Ordering::Relaxed);
    let previous = page.queue.previous.load(Ordering::Relaxed);
    let pages = &Vm::current().pages;
    match next {
        NIL => list.last = previous,
        next => pages.at(next).queue.previous.store(previous, Ordering::Relaxed),
    }
    match previous {
        NIL => list.first = next,
        previous => pages.at(previous).queue.next.store(next, Ordering::Relaxed),
    }
    list.count -= 1;
    page.queue.queue.store(NONE, Ordering::Relaxed);
}

#[cfg(test)]
#[path = "tests/page_queue.rs"]
mod tests;
