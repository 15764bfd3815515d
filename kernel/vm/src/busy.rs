//! Busy pages: who may work on a page, and who must wait.
//!
//! A page is *exclusively* busy while somebody fills it, copies from it, moves it to another object, writes
//! it out or frees it: nobody else does any of these meanwhile, nor maps it. It is *shared* busy while
//! somebody maps it as it is: others may do that too, but nobody may take it away.
//!
//! | held by | excludes | is excluded by |
//! |---|---|---|
//! | exclusive: the fault's new page and its source, page-in, page-out, collapse, freeing | everybody | everybody |
//! | shared: mapping a valid page | exclusive | exclusive |
//!
//! Rules:
//!
//! 1. Busy states are *tried* while locks are held (an object's, a queue's), never waited for. Who fails lets
//!    go of everything, waits ([`Busy::wait`]) and begins again. So they stand above all locks in the order:
//!    a holder may take an object's lock.
//! 2. A page leaves its object, and changes its object, only while exclusively busy. So who has tried a page
//!    with success knows that it stays where it was found.
//! 3. A busy state need not be released by the thread that took it: a page on its way to or from a device
//!    belongs to the transfer.
//!
//! One word per page, so that the common case is one compare-and-exchange; sleepers are marked in it and
//! wait on one of a few channels that all pages share ([`BusyChannels`]).
//!
//! FreeBSD: `vm_page_tryxbusy`, `vm_page_trysbusy`, `vm_page_busy_sleep`; 4.4BSD's `PG_BUSY` and `PG_WANTED`.

use crate::Vm;
use atomics::{AtomicU32, Ordering};
use core::ptr;
use dispatch::{MayBlock, WaitChannel, Woken};

/// Nobody has it, nobody waits.
const FREE: u32 = 0;
/// Somebody has it exclusively.
const EXCLUSIVE: u32 = 1 << 31;
/// Somebody waits until it changes.
const WAITED_FOR: u32 = 1 << 30;
/// How many share it.
const SHARERS: u32 = WAITED_FOR - 1;

/// How many channels the pages of a system share. Few under the checkers, so that pages meet.
const CHANNELS: usize = if cfg!(any(feature = "loom", feature = "shuttle")) { 2 } else { 128 };

/// The wait channels of all pages.
pub(crate) struct BusyChannels([WaitChannel; CHANNELS]);

impl BusyChannels {
    pub(crate) fn new() -> BusyChannels {
        BusyChannels(core::array::from_fn(|_| WaitChannel::new()))
    }

    /// The channel of a page, which others share.
    pub(crate) fn of(&self, busy: &Busy) -> &WaitChannel {
        let mixed = (ptr::from_ref(busy).addr() as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.0[(mixed >> 40) as usize % CHANNELS]
    }
}

/// Whether somebody works on a page. Part of the page.
pub struct Busy(AtomicU32);

impl Busy {
    pub(crate) fn new() -> Busy {
        Busy(AtomicU32::new(FREE))
    }

    /// Takes it exclusively, if nobody has it at all.
    #[inline]
    pub(crate) fn try_exclusive(&self) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        // Who waits marks the word also when it has just become free, and will look again.
        word & !WAITED_FOR == FREE
            && self
                .0
                .compare_exchange(word, word | EXCLUSIVE, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    /// Takes it shared, if nobody has it exclusively.
    #[inline]
    pub(crate) fn try_share(&self) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & EXCLUSIVE != 0 {
                return false;
            }
            debug_assert!(word & SHARERS != SHARERS, "a page has more sharers than can be counted");
            match self.0.compare_exchange_weak(word, word + 1, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }

    /// Lets go of what was taken exclusively.
    #[inline]
    pub(crate) fn release_exclusive(&self) {
        let word = self.0.swap(FREE, Ordering::Release);
        debug_assert!(word & EXCLUSIVE != 0, "a page that nobody has exclusively is released");
        if word & WAITED_FOR != 0 {
            self.wake();
        }
    }

    /// Lets go of what was shared.
    #[inline]
    pub(crate) fn release_shared(&self) {
        let before = self.0.fetch_sub(1, Ordering::Release);
        debug_assert!(before & SHARERS != 0, "a page that nobody shares is released");
        if before & SHARERS == 1 && before & WAITED_FOR != 0 {
            // Others may have taken it meanwhile; then those who wake wait for them.
            self.0.fetch_and(!WAITED_FOR, Ordering::Relaxed);
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        Vm::current().busy.of(self).wake_all();
    }

    /// Whether somebody has it exclusively, at this moment.
    #[inline]
    pub fn is_exclusive(&self) -> bool {
        self.0.load(Ordering::Relaxed) & EXCLUSIVE != 0
    }

    /// Whether somebody has it, at this moment.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.0.load(Ordering::Relaxed) & !WAITED_FOR != FREE
    }

    /// Sleeps until it is no longer as busy as it was; the caller holds no lock and begins again. A page
    /// may be another's by then, which does no harm.
    pub(crate) fn wait(&self, may_block: &mut impl MayBlock) {
        Vm::current().busy.of(self).sleep_while(|| self.mark_waited_for(), may_block);
    }

    /// The same until the thread is interrupted at the latest.
    pub(crate) fn wait_interruptible(&self, may_block: &mut impl MayBlock) -> Woken {
        let channel = Vm::current().busy.of(self);
        channel.sleep_while_interruptible(|| self.mark_waited_for(), may_block)
    }

    /// Marks it as waited for; false if nobody has it any more.
    fn mark_waited_for(&self) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & !WAITED_FOR == FREE {
                return false;
            }
            let marked = word | WAITED_FOR;
            match self.0.compare_exchange(word, marked, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/busy.rs"]
mod tests;
