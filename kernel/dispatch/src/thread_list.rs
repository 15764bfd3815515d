//! A list of threads, through links in the threads themselves: no allocation, and removal of any
//! thread in constant time.
//!
//! A thread is in one list at most. The links belong to the lock that protects the list;
//! every list lies behind a dispatcher lock ([`crate::disp_lock::Guarded`]) and is reached
//! with that lock held.

use crate::thread::Thread;
use core::ptr;

/// A thread's neighbours in the list that it is in.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    next: Option<&'static Thread>,
    previous: Option<&'static Thread>,
    listed: bool,
}

impl Links {
    pub(crate) const NONE: Links = Links { next: None, previous: None, listed: false };
}

/// A list. See the module.
#[derive(Clone, Copy)]
pub(crate) struct ThreadList {
    first: Option<&'static Thread>,
    last: Option<&'static Thread>,
}

/// What a thread's links say, or are made to say.
#[inline]
fn links<R>(thread: &Thread, act: impl FnOnce(&mut Links) -> R) -> R {
    // SAFETY: whoever has a list holds its lock, and so the links of every thread in it; a thread
    // that is about to be put into a list is in nobody else's.
    let mut links = unsafe { thread.links.access() };
    act(&mut links)
}

#[cold]
fn is_listed(thread: &Thread) -> ! {
    panic!("a thread is put into two lists: {thread:?}");
}

#[cold]
fn is_not_listed(thread: &Thread) -> ! {
    panic!("a thread is taken from a list that it is not in: {thread:?}");
}

impl ThreadList {
    pub(crate) const EMPTY: ThreadList = ThreadList { first: None, last: None };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline]
    pub(crate) fn first(&self) -> Option<&'static Thread> {
        self.first
    }

    /// The thread after this one, which is in the list.
    pub(crate) fn after(thread: &Thread) -> Option<&'static Thread> {
        links(thread, |links| links.next)
    }

    /// The thread before this one, which is in the list.
    pub(crate) fn before(thread: &Thread) -> Option<&'static Thread> {
        links(thread, |links| links.previous)
    }

    /// The threads of the list, from the first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Thread> {
        core::iter::successors(self.first, |thread| ThreadList::after(thread))
    }

    #[inline]
    pub(crate) fn push_front(&mut self, thread: &'static Thread) {
        self.insert(thread, None, self.first);
    }

    #[inline]
    pub(crate) fn push_back(&mut self, thread: &'static Thread) {
        self.insert(thread, self.last, None);
    }

    /// Behind all threads whose priority is not lower: the list stays in order of priority,
    /// and in order of arrival within one. Looks from the end, as most arrive with the
    /// priority of the others.
    pub(crate) fn insert_by_priority(&mut self, thread: &'static Thread) {
        let priority = thread.dispatch_priority();
        let mut previous = self.last;
        while let Some(candidate) = previous
            && candidate.dispatch_priority() < priority
        {
            previous = ThreadList::before(candidate);
        }
        let next = match previous {
            Some(previous) => ThreadList::after(previous),
            None => self.first,
        };
        self.insert(thread, previous, next);
    }

    #[inline]
    fn insert(
        &mut self,
        thread: &'static Thread,
        previous: Option<&'static Thread>,
        next: Option<&'static Thread>,
    ) {
        links(thread, |links| {
            if links.listed {
                is_listed(thread);
            }
            *links = Links { next, previous, listed: true };
        });
        match previous {
            Some(previous) => links(previous, |links| links.next = Some(thread)),
            None => self.first = Some(thread),
        }
        match next {
            Some(next) => links(next, |links| links.previous = Some(thread)),
            None => self.last = Some(thread),
        }
    }

    /// Takes out a thread, which must be in this list.
    #[inline]
    pub(crate) fn remove(&mut self, thread: &Thread) {
        let old = links(thread, |links| core::mem::replace(links, Links::NONE));
        if !old.listed {
            is_not_listed(thread);
        }
        match old.previous {
            Some(previous) => links(previous, |links| links.next = old.next),
            None => {
                debug_assert!(self.first.is_some_and(|first| ptr::eq(first, thread)));
                self.first = old.next;
            }
        }
        match old.next {
            Some(next) => links(next, |links| links.previous = old.previous),
            None => {
                debug_assert!(self.last.is_some_and(|last| ptr::eq(last, thread)));
                self.last = old.previous;
            }
        }
    }

    #[inline]
    pub(crate) fn pop_front(&mut self) -> Option<&'static Thread> {
        let first = self.first?;
        let old = links(first, |links| core::mem::replace(links, Links::NONE));
        if !old.listed {
            is_not_listed(first);
        }
        self.first = old.next;
        match old.next {
            Some(next) => links(next, |links| links.previous = None),
            None => self.last = None,
        }
        Some(first)
    }
}
