//! Virtual processors with nothing to do, and who wakes them.
//!
//! The store-load pairs that no wake-up is lost by: who makes a thread ready puts it into a queue, then looks who idles;
//! who idles says so, then looks into all queues. A full fence stands between the two on both sides, so that at least one
//! of them sees the other.
//!
//! One that has been woken, or has run out of threads, *searches*. While somebody searches nobody else is woken: the one
//! who finds something and was the last to search wakes the next, if there is more.

use atomics::{AtomicU32, AtomicU64, Ordering, fence};

/// Most virtual processors. (loom makes all of them anew for each order.)
pub const PROCESSORS_MAX: usize = if cfg!(feature = "loom") { 2 } else { 64 };

/// Who idles.
#[derive(Debug)]
pub struct Idle {
    /// A bit for each virtual processor that idles, or is about to.
    idle: AtomicU64,
    /// How many search.
    searching: AtomicU32,
}

impl Default for Idle {
    fn default() -> Idle {
        Idle::new()
    }
}

impl Idle {
    /// Nobody idles.
    pub fn new() -> Idle {
        Idle { idle: AtomicU64::new(0), searching: AtomicU32::new(0) }
    }

    /// A thread was put into a queue: says which virtual processor is to be woken for it. That one searches from now on.
    #[inline]
    pub fn wanted(&self) -> Option<usize> {
        fence(Ordering::SeqCst);
        if self.idle.load(Ordering::Relaxed) == 0 || self.searching.load(Ordering::Relaxed) != 0 {
            return None;
        }
        self.claim()
    }

    #[cold]
    fn claim(&self) -> Option<usize> {
        // Several may want somebody at the same time; one of them is enough.
        let begins = self.searching.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed);
        if begins.is_err() {
            return None;
        }
        loop {
            let idle = self.idle.load(Ordering::Relaxed);
            if idle == 0 {
                self.searching.fetch_sub(1, Ordering::AcqRel);
                return None;
            }
            let bit = idle & idle.wrapping_neg();
            if self.idle.fetch_and(!bit, Ordering::AcqRel) & bit != 0 {
                return Some(bit.trailing_zeros() as usize);
            }
        }
    }

    /// A virtual processor has run out of threads and looks into other queues.
    pub fn searches(&self) {
        self.searching.fetch_add(1, Ordering::AcqRel);
    }

    /// It has found a thread. Says whether it was the last that searched: then somebody else may be wanted.
    pub fn found(&self) -> bool {
        self.searching.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// It has found none, and idles from now on, unless it sees in a last look that there is one.
    pub fn idles(&self, processor: usize) {
        self.idle.fetch_or(1 << processor, Ordering::AcqRel);
        self.searching.fetch_sub(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    /// It idles no longer. If `false`, somebody has claimed it: it is counted as searching already, and was woken, or
    /// will be.
    pub fn wakes(&self, processor: usize) -> bool {
        self.idle.fetch_and(!(1 << processor), Ordering::AcqRel) & 1 << processor != 0
    }

    /// Who idles, and how many search, as far as one can tell.
    pub fn state(&self) -> (u64, u32) {
        (self.idle.load(Ordering::Relaxed), self.searching.load(Ordering::Relaxed))
    }
}
