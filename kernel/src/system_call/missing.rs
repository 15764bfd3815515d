//! Calls that programs make and this kernel does not have: each is named once in the log.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Numbers that are remembered one by one.
const REMEMBERED: usize = 512;

/// Which have been named.
pub struct Missing {
    named: [AtomicU64; REMEMBERED / 64],
    others: AtomicBool,
}

impl Missing {
    /// None.
    pub const fn new() -> Missing {
        Missing {
            named: [const { AtomicU64::new(0) }; REMEMBERED / 64],
            others: AtomicBool::new(false),
        }
    }

    /// Names a number, if it is the first time.
    pub fn note(&self, number: u64) {
        let word = usize::try_from(number / 64).ok().and_then(|word| self.named.get(word));
        let is_first = match word {
            Some(word) => {
                let bit = 1 << (number % 64);
                word.fetch_or(bit, Ordering::Relaxed) & bit == 0
            }
            None => !self.others.swap(true, Ordering::Relaxed),
        };
        if is_first {
            log::info!(
                "no system call has the number {number:#x} ({number}); the caller gets ENOSYS"
            );
        }
    }
}
