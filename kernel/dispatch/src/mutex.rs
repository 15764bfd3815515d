//! Adaptive mutexes.
//!
//! A mutex is one word ([`crate::turnstile`] has its layout): 0, or its owner's address, with a
//! bit that says that somebody sleeps for it. Taking and releasing one that nobody else wants is
//! one compare-and-exchange each.
//!
//! Who finds it held looks at what the owner does. While that runs, on another processor, the mutex
//! will be free in a moment, so one spins for a while ([`crate::patience`]). If the owner does not
//! run, one sleeps in the mutex' turnstile, and the owner inherits one's priority.
//!
//! Whoever releases the mutex wakes all sleepers, and they try again. Handing it to one of them
//! would make everybody else wait until that one has got a processor.
//!
//! # No wake-up is lost
//!
//! The bit is set, and the thread put to sleep, under the turnstile chain's lock; and a release
//! that finds the bit takes that lock. What could go wrong is a release between the sleeper's look
//! at the word and its setting the bit. But both are compare-and-exchanges of the same word: either
//! the release comes first, and the bit is not set, as the word has changed; or the bit does, and
//! the release finds it. (Solaris releases with a plain load and store, for speed, and an interrupt
//! between the two has to set the program counter back. Here nothing of the kind is needed.)
//!
//! Solaris: `mutex_enter`, `mutex_vector_enter`, `mutex_exit`.

use crate::may_block::MayBlock;
use crate::patience::Patience;
use crate::swtch::swtch;
use crate::thread::Thread;
use crate::turnstile::{LockedChain, Queue, WAITERS, mark_of, owner_of};
use atomics::cell::{Access, SharedCell};
use atomics::{AtomicUsize, Ordering};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr;
use machine::{Pil, pil};

/// Nobody holds the mutex.
const FREE: usize = 0;

/// A value that one thread at a time may use; the others wait.
pub struct Mutex<T> {
    word: Word,
    value: SharedCell<T>,
}

// SAFETY: the mutex hands out the value to one thread at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}
// SAFETY: a mutex that nobody can hold a reference to is as good as its value.
unsafe impl<T: Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free mutex around `value`.
    pub fn new(value: T) -> Mutex<T> {
        Mutex { word: Word::new(), value: SharedCell::new(value) }
    }

    /// Takes the mutex; waits while another thread has it. Panics if the caller itself has it.
    #[inline]
    pub fn lock(&self, may_block: &mut impl MayBlock) -> MutexGuard<'_, T> {
        let me = Thread::running();
        if !self.word.try_take(mark_of(me)) {
            self.lock_contended(me, may_block);
        }
        self.guard()
    }

    /// Takes the mutex if it is free.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let me = Thread::running();
        self.word.try_take(mark_of(me)).then(|| self.guard())
    }

    /// The thread that has it, at this moment.
    pub fn owner(&self) -> Option<&'static Thread> {
        owner_of(self.word.0.load(Ordering::Relaxed))
    }

    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            mutex: self,
            // SAFETY: the mutex is held.
            value: ManuallyDrop::new(unsafe { self.value.access() }),
            not_send: PhantomData,
        }
    }

    #[cold]
    fn lock_contended(&self, me: &'static Thread, may_block: &mut impl MayBlock) {
        let mut patience = Patience::new();
        loop {
            let owner = self.owner();
            if owner.is_none() && self.word.try_take(mark_of(me)) {
                return;
            }
            assert!(
                !owner.is_some_and(|owner| ptr::eq(owner, me)),
                "{me:?} takes a mutex that it already has, at {:p}",
                &self.word
            );
            if patience.suffices_for(owner) {
                patience.spin();
                continue;
            }
            let level = may_block.raise();
            let chain = LockedChain::of(&self.word.0, level.atomic());
            if self.word.announce_waiter(|owner| !patience.suffices_for(Some(owner))) {
                chain.sleep(Queue::Writers);
                swtch(level);
                patience = Patience::new();
            }
        }
    }

    /// Somebody sleeps for the mutex.
    #[cold]
    fn unlock_contended(&self) {
        let level = pil::raise_anywhere(Pil::DISP);
        let mut chain = LockedChain::of(&self.word.0, level.atomic());
        self.word.release_with_waiters();
        // From here on the mutex may be another's, and gone as soon as the sleepers are awake: only
        // the turnstile is looked at.
        chain.waive();
        chain.wake_all();
    }
}

/// The word of a mutex. See the module.
struct Word(AtomicUsize);

impl Word {
    fn new() -> Word {
        Word(AtomicUsize::new(FREE))
    }

    #[inline]
    fn try_take(&self, mark: usize) -> bool {
        self.0.compare_exchange(FREE, mark, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Releases the mutex, unless somebody sleeps for it: then nothing has happened yet.
    #[inline]
    fn try_release(&self) -> bool {
        // The caller is the owner: nobody changes the word but for the bit.
        let mark = self.0.load(Ordering::Relaxed) & !WAITERS;
        self.0.compare_exchange(mark, FREE, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Releases the mutex and takes the bit back. The caller holds the turnstile chain's lock, and
    /// wakes the sleepers before it releases that.
    fn release_with_waiters(&self) {
        self.0.store(FREE, Ordering::Release);
    }

    /// Says in the word that somebody sleeps for the mutex. Not if it is free, or `is_to_sleep`
    /// thinks otherwise of the owner. The caller holds the turnstile chain's lock.
    fn announce_waiter(&self, is_to_sleep: impl Fn(&'static Thread) -> bool) -> bool {
        loop {
            let word = self.0.load(Ordering::Relaxed);
            match owner_of(word) {
                Some(owner) if is_to_sleep(owner) => {}
                _ => return false,
            }
            let announced = word | WAITERS;
            if word == announced
                || self
                    .0
                    .compare_exchange(word, announced, Ordering::Relaxed, Ordering::Relaxed)
                    .is_ok()
            {
                return true;
            }
            machine::spin();
        }
    }
}

/// A held mutex; dropping it releases the mutex, at any level and even on the way to sleep for
/// something else, but not while a dispatcher lock is held. The thread that took it is the one
/// that releases it:
///
/// ```compile_fail,E0277
/// fn needs_send<T: Send>() {}
/// needs_send::<dispatch::MutexGuard<'static, u32>>();
/// ```
#[must_use = "the mutex is released when this is dropped"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    value: ManuallyDrop<Access<'a, T>>,
    not_send: PhantomData<*mut ()>,
}

impl<'a, T> MutexGuard<'a, T> {
    /// The mutex.
    pub fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: dropped once, here; the access ends before anybody else can have one.
        unsafe { ManuallyDrop::drop(&mut self.value) };
        if !self.mutex.word.try_release() {
            self.mutex.unlock_contended();
        }
    }
}

#[cfg(test)]
mod tests {
    //! The protocol of the word alone, without a dispatcher: so loom can look at all of it.

    use super::*;
    use machine::SpinLock;
    use machine::sim::{self, Quiet};

    struct Model {
        word: Word,
        value: SharedCell<u32>,
        /// The turnstile chain: whether somebody sleeps.
        chain: SpinLock<bool, 11>,
    }

    // SAFETY: the value is reached with the word taken; that it is so is what the model shows.
    unsafe impl Sync for Model {}

    impl Model {
        fn with_value(&self) {
            // SAFETY: the caller has taken the word, or is alone.
            *unsafe { self.value.access() } += 1;
        }

        /// Takes the word, or falls asleep; and that is all that happens to who does.
        fn lock(&self, mark: usize) -> bool {
            loop {
                if self.word.try_take(mark) {
                    return true;
                }
                let mut asleep = self.chain.lock_anywhere();
                if self.word.announce_waiter(|_| true) {
                    *asleep = true;
                    return false;
                }
            }
        }

        fn unlock(&self) {
            if !self.word.try_release() {
                let mut asleep = self.chain.lock_anywhere();
                self.word.release_with_waiters();
                *asleep = false;
            }
        }
    }

    #[test]
    fn no_wake_up_is_lost_and_each_holder_sees_what_the_last_has_written() {
        sim::model(|| {
            sim::run(3, Quiet, |machine| {
                let model = machine.keep(Model {
                    word: Word::new(),
                    value: SharedCell::new(0),
                    chain: SpinLock::new(false),
                });
                let mark = || mark_of(machine.keep(Thread::unused()));
                let (owner, waiter, passer_by) = (mark(), mark(), mark());
                assert!(model.word.try_take(owner));
                machine.start(0, move |_| {
                    model.with_value();
                    model.unlock();
                });
                machine.start(1, move |_| {
                    if model.lock(waiter) {
                        model.with_value();
                        model.unlock();
                    }
                });
                machine.start(2, move |_| {
                    if model.word.try_take(passer_by) {
                        model.with_value();
                        model.unlock();
                    }
                });
                machine.join();
                let asleep = machine.on(0, |_| *model.chain.lock_anywhere());
                assert!(!asleep, "a wake-up was lost");
                assert_eq!(model.word.0.load(Ordering::Relaxed), FREE);
            });
        });
    }
}
