//! Readers-writer locks: many threads may read at a time, or one may write.
//!
//! A lock is one word, laid out as [`crate::turnstile`] says. Who has to wait sleeps in the lock's
//! turnstile, readers and writers in a queue each.
//!
//! # Who is next
//!
//! Unlike a mutex, the lock is *handed over*: whoever releases it chooses the next holders and
//! writes them into the word, and they wake up as holders. Otherwise readers who keep coming would
//! keep a writer out for ever.
//!
//! - While a writer waits, no new reader gets in.
//! - The last reader to leave hands the lock to the best writer.
//! - A writer that leaves hands it to all readers whose priority is not below that of the best
//!   waiting writer; if there are none, to that writer.
//!
//! So whoever sleeps in a lock that readers hold is a writer, or waits behind one: `WAITERS`
//! without a writer as the owner implies `WRITER_WAITS`, and a lock that somebody waits for
//! is never free.
//!
//! Only a writer inherits priority: readers are many, and the word does not know them. A thread
//! that reads must not begin to read again before it has left: a writer may wait by then, and they
//! would wait for each other.
//!
//! Solaris: `rw_enter`, `rw_exit`, `rw_tryenter`, `rw_downgrade`.

use crate::may_block::MayBlock;
use crate::patience::Patience;
use crate::priority::Priority;
use crate::swtch::swtch;
use crate::thread::Thread;
use crate::turnstile::{
    LockedChain, Queue, READERS, WAITERS, WRITER_WAITS, mark_of, owner_of, wake,
};
use atomics::cell::{Access, Shared, SharedCell};
use atomics::{AtomicUsize, Ordering};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr;
use machine::{Pil, pil};

/// Nobody holds the lock.
const FREE: usize = 0;
/// One reader, as part of the word.
const READER: usize = 1 << 3;

/// A value that many may read, or one may write.
pub struct RwLock<T> {
    word: AtomicUsize,
    value: SharedCell<T>,
}

// SAFETY: the lock hands out the value to one writer or to readers, in several threads at
// the same time.
unsafe impl<T: Send + Sync> Sync for RwLock<T> {}
// SAFETY: a lock that nobody can hold a reference to is as good as its value.
unsafe impl<T: Send> Send for RwLock<T> {}

/// Whether a reader gets in, and the word with it.
fn with_reader(word: usize) -> Option<usize> {
    match word {
        FREE => Some(READER | READERS),
        _ if word & READERS != 0 && word & WRITER_WAITS == 0 => Some(word + READER),
        _ => None,
    }
}

/// Whether the writer `me` gets in, and the word with it.
fn with_writer(word: usize, me: &'static Thread) -> Option<usize> {
    (word == FREE).then(|| mark_of(me))
}

impl<T> RwLock<T> {
    /// A free lock around `value`.
    pub fn new(value: T) -> RwLock<T> {
        RwLock { word: AtomicUsize::new(FREE), value: SharedCell::new(value) }
    }

    /// Takes the lock for reading; waits while a thread writes or waits to write. Panics if the
    /// caller itself writes.
    #[inline]
    pub fn read(&self, may_block: &mut impl MayBlock) -> RwReadGuard<'_, T> {
        self.read_noting(|| {}, may_block)
    }

    /// [`RwLock::read`]; calls `waits` if it is not to be had at once: for who counts that.
    #[inline]
    pub fn read_noting(
        &self,
        waits: impl FnOnce(),
        may_block: &mut impl MayBlock,
    ) -> RwReadGuard<'_, T> {
        if !self.try_take(with_reader) {
            waits();
            self.take_contended(Queue::Readers, with_reader, may_block);
        }
        self.read_guard()
    }

    /// Takes the lock for writing; waits while others read or write. Panics if the
    /// caller itself writes.
    #[inline]
    pub fn write(&self, may_block: &mut impl MayBlock) -> RwWriteGuard<'_, T> {
        self.write_noting(|| {}, may_block)
    }

    /// [`RwLock::write`]; calls `waits` if it is not to be had at once.
    #[inline]
    pub fn write_noting(
        &self,
        waits: impl FnOnce(),
        may_block: &mut impl MayBlock,
    ) -> RwWriteGuard<'_, T> {
        let me = Thread::running();
        let with_me = |word| with_writer(word, me);
        if !self.try_take(with_me) {
            waits();
            self.take_contended(Queue::Writers, with_me, may_block);
        }
        self.write_guard()
    }

    /// Whether a writer waits, at this moment: for readers who can do without the lock for a while.
    #[inline]
    pub fn is_wanted_for_writing(&self) -> bool {
        self.word.load(Ordering::Relaxed) & WRITER_WAITS != 0
    }

    /// Takes the lock for reading if that is possible at once.
    #[inline]
    pub fn try_read(&self) -> Option<RwReadGuard<'_, T>> {
        self.try_take(with_reader).then(|| self.read_guard())
    }

    /// Takes the lock for writing if that is possible at once.
    #[inline]
    pub fn try_write(&self) -> Option<RwWriteGuard<'_, T>> {
        let me = Thread::running();
        self.try_take(|word| with_writer(word, me)).then(|| self.write_guard())
    }

    /// The guard of a reader, which the caller is.
    fn read_guard(&self) -> RwReadGuard<'_, T> {
        // SAFETY: while there are readers nobody writes.
        let value = ManuallyDrop::new(unsafe { self.value.share() });
        RwReadGuard { lock: self, value, not_send: PhantomData }
    }

    /// The guard of the writer, which the caller is.
    fn write_guard(&self) -> RwWriteGuard<'_, T> {
        // SAFETY: the writer is alone.
        let value = ManuallyDrop::new(unsafe { self.value.access() });
        RwWriteGuard { lock: self, value, not_send: PhantomData }
    }

    /// The thread that writes, at this moment.
    pub fn writer(&self) -> Option<&'static Thread> {
        owner_of(self.word.load(Ordering::Relaxed))
    }

    /// How many threads read, at this moment.
    pub fn readers(&self) -> usize {
        let word = self.word.load(Ordering::Relaxed);
        if word & READERS == 0 { 0 } else { word / READER }
    }

    /// Changes the word as `with` says, if it lets the caller in.
    #[inline]
    fn try_take(&self, with: impl Fn(usize) -> Option<usize>) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while let Some(new) = with(word) {
            match self.change(word, new, Ordering::Acquire) {
                Ok(()) => return true,
                Err(now) => word = now,
            }
            machine::spin();
        }
        false
    }

    #[inline]
    fn change(&self, from: usize, to: usize, order: Ordering) -> Result<(), usize> {
        self.word.compare_exchange(from, to, order, Ordering::Relaxed).map(|_| ())
    }

    #[cold]
    fn take_contended(
        &self,
        queue: Queue,
        with: impl Fn(usize) -> Option<usize>,
        may_block: &mut impl MayBlock,
    ) {
        let me = Thread::running();
        let mut patience = Patience::new();
        loop {
            if self.try_take(&with) {
                return;
            }
            let writer = self.writer();
            assert!(
                !writer.is_some_and(|writer| ptr::eq(writer, me)),
                "{me:?} takes a readers-writer lock in which it writes, at {:p}",
                &self.word
            );
            if writer.is_some() && patience.suffices_for(writer) {
                patience.spin();
                continue;
            }
            let level = may_block.raise();
            let chain = LockedChain::of(&self.word, level.atomic());
            if self.announce_waiter(queue, &with, &patience) {
                chain.sleep(queue);
                swtch(level);
                // Whoever woke us has written us into the word.
                debug_assert!(
                    self.word.load(Ordering::Relaxed) != FREE,
                    "the lock was handed over"
                );
                return;
            }
        }
    }

    /// Says in the word that somebody sleeps for the lock. Not if it could be had, or it is worth
    /// while to spin. The caller holds the turnstile chain's lock.
    fn announce_waiter(
        &self,
        queue: Queue,
        with: impl Fn(usize) -> Option<usize>,
        patience: &Patience,
    ) -> bool {
        let bits = match queue {
            Queue::Readers => WAITERS,
            Queue::Writers => WAITERS | WRITER_WAITS,
        };
        loop {
            let word = self.word.load(Ordering::Relaxed);
            let writer = owner_of(word);
            if with(word).is_some() || writer.is_some() && patience.suffices_for(writer) {
                return false;
            }
            if word & bits == bits || self.change(word, word | bits, Ordering::Relaxed).is_ok() {
                return true;
            }
            machine::spin();
        }
    }

    #[inline]
    fn leave_reading(&self) {
        loop {
            // The last one hands over for those as well who have left before.
            let word = self.word.load(Ordering::Acquire);
            let is_last = word & !(WAITERS | WRITER_WAITS) == READER | READERS;
            if is_last && word & WAITERS != 0 {
                return self.hand_over(true);
            }
            let rest = if is_last { FREE } else { word - READER };
            if self.change(word, rest, Ordering::Release).is_ok() {
                return;
            }
            machine::spin();
        }
    }

    #[inline]
    fn leave_writing(&self) {
        // The caller is the owner: nobody changes the word but for the bits of those who wait.
        let mark = self.word.load(Ordering::Relaxed) & !(WAITERS | WRITER_WAITS);
        if self.change(mark, FREE, Ordering::Release).is_err() {
            self.hand_over(false);
        }
    }

    /// The last holder leaves, and somebody waits: chooses the next. From here on nobody
    /// else changes the word: it is neither free nor open to readers, and bits are set under
    /// the chain's lock.
    #[cold]
    fn hand_over(&self, from_reader: bool) {
        let level = pil::raise_anywhere(Pil::DISP);
        let mut chain = LockedChain::of(&self.word, level.atomic());
        chain.waive();
        let writer = chain.first(Queue::Writers).map(Thread::dispatch_priority);
        let reader = chain.first(Queue::Readers).map(Thread::dispatch_priority);
        if writer.is_some() && (from_reader || writer > reader) {
            self.hand_to_writer(&mut chain);
        } else {
            self.hand_to_readers(&mut chain, 0);
        }
    }

    fn hand_to_writer(&self, chain: &mut LockedChain<'_>) {
        let Some(transit) = chain.take_first(Queue::Writers) else {
            panic!("somebody waits for a lock that readers hold, and no writer");
        };
        let rest = self.waiting(chain);
        // Before it is woken: it may be quick to leave.
        self.word.store(mark_of(transit.thread()) | rest, Ordering::Release);
        chain.will_to(&transit);
        wake(transit);
    }

    /// Lets the readers in whose priority is not below that of the best writer, beside `already`.
    fn hand_to_readers(&self, chain: &mut LockedChain<'_>, already: usize) {
        let writer = chain.first(Queue::Writers).map_or(Priority::NONE, Thread::dispatch_priority);
        let readers = chain.count(Queue::Readers, writer);
        let rest = if writer == Priority::NONE { 0 } else { WAITERS | WRITER_WAITS };
        // Before they are woken, for the same reason.
        self.word.store(((readers + already) * READER) | READERS | rest, Ordering::Release);
        for _ in 0..readers {
            chain.take_first(Queue::Readers).into_iter().for_each(wake);
        }
    }

    /// The bits of those who wait.
    fn waiting(&self, chain: &mut LockedChain<'_>) -> usize {
        let writers = chain.first(Queue::Writers).map_or(0, |_| WAITERS | WRITER_WAITS);
        let readers = chain.first(Queue::Readers).map_or(0, |_| WAITERS);
        writers | readers
    }

    /// The writer goes on as a reader, and lets in the readers that it would let in if it left.
    fn become_reader(&self) {
        let mark = self.word.load(Ordering::Relaxed) & !(WAITERS | WRITER_WAITS);
        if self.change(mark, READER | READERS, Ordering::Release).is_ok() {
            return;
        }
        let level = pil::raise_anywhere(Pil::DISP);
        let mut chain = LockedChain::of(&self.word, level.atomic());
        chain.waive();
        self.hand_to_readers(&mut chain, 1);
    }
}

/// A lock held for reading; dropping it leaves. It stays with its thread.
#[must_use = "the lock is released when this is dropped"]
pub struct RwReadGuard<'a, T> {
    lock: &'a RwLock<T>,
    value: ManuallyDrop<Shared<'a, T>>,
    not_send: PhantomData<*mut ()>,
}

impl<T> Deref for RwReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for RwReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: not used again.
        unsafe { ManuallyDrop::drop(&mut self.value) };
        self.lock.leave_reading();
    }
}

/// A lock held for writing; dropping it leaves. It stays with its thread.
#[must_use = "the lock is released when this is dropped"]
pub struct RwWriteGuard<'a, T> {
    lock: &'a RwLock<T>,
    value: ManuallyDrop<Access<'a, T>>,
    not_send: PhantomData<*mut ()>,
}

impl<'a, T> RwWriteGuard<'a, T> {
    /// Goes on reading; other readers may come in.
    pub fn downgrade(self) -> RwReadGuard<'a, T> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: not used again.
        unsafe { ManuallyDrop::drop(&mut this.value) };
        this.lock.become_reader();
        this.lock.read_guard()
    }
}

impl<T> Deref for RwWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for RwWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for RwWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: not used again.
        unsafe { ManuallyDrop::drop(&mut self.value) };
        self.lock.leave_writing();
    }
}
