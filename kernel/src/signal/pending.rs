//! Signals that have been sent and not acted on, and an LWP's part: what it holds back, its alternate stack.

use super::{Information, SYNCHRONOUS, UNSTOPPABLE, bit};
use abi::signals::{SS_DISABLE, SS_ONSTACK, SigStack};
use core::sync::atomic::{AtomicU64, Ordering};
use machine::SpinLock;

/// Information that an LWP keeps; of more signals at once only that they are pending.
const KEPT_PER_LWP: usize = 4;

/// Pending signals, with the information of `KEPT` of them.
pub struct Pending<const KEPT: usize> {
    /// The set, to be looked at without the lock; changed with it.
    set: AtomicU64,
    kept: SpinLock<[Information; KEPT], 13>,
}

impl<const KEPT: usize> Pending<KEPT> {
    /// None.
    pub fn new() -> Pending<KEPT> {
        Pending {
            set: AtomicU64::new(0),
            kept: SpinLock::new(
                [const { Information { signal: 0, code: 0, process: 0, address: 0, value: 0 } };
                    KEPT],
            ),
        }
    }

    /// The set of them.
    pub fn set(&self) -> u64 {
        self.set.load(Ordering::Acquire)
    }

    /// Adds one, unless it is pending.
    pub fn add(&self, information: &Information) {
        let mut kept = self.kept.lock_anywhere();
        let set = self.set.load(Ordering::Relaxed);
        if set & bit(information.signal) != 0 {
            return;
        }
        if let Some(place) = kept.iter_mut().find(|place| place.signal == 0) {
            *place = *information;
        }
        self.set.store(set | bit(information.signal), Ordering::Release);
    }

    /// Removes those of a set.
    pub fn remove(&self, signals: u64) {
        let mut kept = self.kept.lock_anywhere();
        let set = self.set.load(Ordering::Relaxed);
        let goes = |place: &&mut Information| place.signal != 0 && bit(place.signal) & signals != 0;
        kept.iter_mut().filter(goes).for_each(|place| *place = Information::default());
        self.set.store(set & !signals, Ordering::Release);
    }

    /// Takes the first of those in a set: those that an instruction caused go before others, then low numbers.
    pub fn take(&self, signals: u64) -> Option<Information> {
        if self.set() & signals == 0 {
            return None;
        }
        let mut kept = self.kept.lock_anywhere();
        let set = self.set.load(Ordering::Relaxed);
        let meant = set & signals;
        let first = if meant & SYNCHRONOUS != 0 { meant & SYNCHRONOUS } else { meant };
        if first == 0 {
            return None;
        }
        let signal = first.trailing_zeros() as u8 + 1;
        self.set.store(set & !bit(signal), Ordering::Release);
        let place = kept.iter_mut().find(|place| place.signal == signal);
        let lost = Information { signal, ..Information::default() };
        Some(place.map_or(lost, core::mem::take))
    }
}

/// An LWP's part.
pub struct OfLwp {
    /// What it holds back. Only the LWP itself changes it.
    mask: AtomicU64,
    /// The mask to go back to after `rt_sigsuspend` or `ppoll`, if `has_saved`.
    saved: SpinLock<Option<u64>, 13>,
    /// What it waits for (`rt_sigtimedwait`), although it may hold it back.
    awaited: AtomicU64,
    /// Pending for this LWP alone.
    pub pending: Pending<KEPT_PER_LWP>,
    /// The alternate stack; its size is 0 if there is none.
    stack: SpinLock<(u64, u64), 13>,
}

impl OfLwp {
    /// Of an LWP that holds these back.
    pub fn new(mask: u64) -> OfLwp {
        OfLwp {
            mask: AtomicU64::new(mask),
            saved: SpinLock::new(None),
            awaited: AtomicU64::new(0),
            pending: Pending::new(),
            stack: SpinLock::new((0, 0)),
        }
    }

    /// The first LWP of a child has its parent's alternate stack, in its copy of the memory.
    pub fn inherit(&self, parent: &OfLwp) {
        let stack = *parent.stack.lock_anywhere();
        *self.stack.lock_anywhere() = stack;
    }

    /// What it holds back.
    pub fn mask(&self) -> u64 {
        self.mask.load(Ordering::Acquire)
    }

    /// Holds these back from now on; see [`super::redistribute`].
    pub fn set_mask(&self, mask: u64) {
        self.mask.store(mask & !UNSTOPPABLE, Ordering::Release);
    }

    /// Holds others back until a handler is about to run, or the call is over: then this mask comes back.
    pub fn set_mask_for_a_while(&self, mask: u64) {
        let before = self.mask();
        self.saved.lock_anywhere().get_or_insert(before);
        self.set_mask(mask);
    }

    /// The mask to go back to, if another is in force for a while. Taken once.
    pub fn take_saved_mask(&self) -> Option<u64> {
        self.saved.lock_anywhere().take()
    }

    /// What it waits for.
    pub fn awaited(&self) -> u64 {
        self.awaited.load(Ordering::Acquire)
    }

    /// Waits for these from now on.
    pub fn set_awaited(&self, signals: u64) {
        self.awaited.store(signals, Ordering::Release);
    }

    /// Whether it would act on a signal.
    pub fn takes(&self, signal: u8) -> bool {
        bit(signal) & (!self.mask() | self.awaited()) != 0
    }

    /// Its alternate stack, for code whose stack pointer is this.
    pub fn stack(&self, stack_pointer: u64) -> SigStack {
        let (base, size) = *self.stack.lock_anywhere();
        let flags = match size {
            0 => SS_DISABLE,
            _ if stack_pointer.wrapping_sub(base) <= size && stack_pointer > base => SS_ONSTACK,
            _ => 0,
        };
        SigStack { base, flags, padding: 0, size }
    }

    /// Sets it; size 0: there is none.
    pub fn set_stack(&self, base: u64, size: u64) {
        *self.stack.lock_anywhere() = (base, size);
    }
}
