//! Faults on purpose, so that what depends on a disk can be tried against one that fails or hangs.
//!
//! A request that is to fail asks the device for what it does not have, so that the error is the device's own.
//!
//! Only checks ask for faults. While nobody does, they cost a request one test of a byte and its completion
//! another.

use super::Operation;
use core::ops::Range;
use core::sync::atomic::{AtomicU8, Ordering};
use machine::SpinLock;

const FAILING: u8 = 1 << 0;
const FROZEN: u8 = 1 << 1;

/// Which requests are to fail: as many as `count` that do this and touch one of these pages.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Reads, writes, or (`None`) both.
    pub operation: Option<Operation>,
    /// The pages.
    pub pages: Range<u64>,
    /// How many requests fail; the next ones succeed again.
    pub count: u64,
}

/// What is wrong with a disk at the moment.
pub struct Injection {
    /// Whether anything is.
    what: AtomicU8,
    fault: SpinLock<Option<Fault>, 13>,
}

impl Injection {
    /// Nothing.
    pub fn new() -> Injection {
        Injection { what: AtomicU8::new(0), fault: SpinLock::new(None) }
    }

    /// Lets requests fail, or (`None`) no more of them. Takes the place of what was asked before.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut place = self.fault.lock_anywhere();
        self.set(FAILING, fault.is_some());
        *place = fault;
    }

    /// Keeps completions back, or no longer.
    pub fn set_frozen(&self, frozen: bool) {
        self.set(FROZEN, frozen);
    }

    fn set(&self, bit: u8, on: bool) {
        if on {
            self.what.fetch_or(bit, Ordering::AcqRel);
        } else {
            self.what.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    /// Whether completions are kept back.
    #[inline]
    pub fn is_frozen(&self) -> bool {
        self.what.load(Ordering::Acquire) & FROZEN != 0
    }

    /// Whether this request is to fail; one that is counts.
    #[inline]
    pub fn fails(&self, operation: Operation, pages: Range<u64>) -> bool {
        self.what.load(Ordering::Acquire) & FAILING != 0 && self.take(operation, pages)
    }

    #[cold]
    fn take(&self, operation: Operation, pages: Range<u64>) -> bool {
        let mut place = self.fault.lock_anywhere();
        let Some(fault) = place.as_mut() else { return false };
        let touched = fault.pages.start < pages.end && pages.start < fault.pages.end;
        if !touched || fault.operation.is_some_and(|meant| meant != operation) {
            return false;
        }
        let fails = fault.count > 0;
        fault.count = fault.count.saturating_sub(1);
        if fault.count == 0 {
            *place = None;
            self.set(FAILING, false);
        }
        fails
    }
}
