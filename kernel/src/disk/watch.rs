//! Saying so when a transfer does not come back.
//!
//! A disk that hangs takes its waiters with it, and from outside they look like any sleeping thread. So there
//! is a message for each transfer that has been under way for [`LIMIT`], once. Nothing else happens to
//! it: a transfer that is given up cannot be told from one that will still write to memory.
//!
//! The watch is set by the first transfer, looks again as long as there are any that may become late,
//! and costs nothing in between.

use super::{Disk, add};
use crate::kernel::Kernel;
use core::pin::Pin;
use core::sync::atomic::Ordering;
use machine::{Atomic, time};

/// After how long a transfer is late, in nanoseconds.
pub const LIMIT: u64 = 10_000_000_000;

impl Disk {
    /// The limit in ticks of the clock.
    fn limit(&self) -> u64 {
        let nanoseconds = self.limit.load(Ordering::Relaxed);
        let frequency = Kernel::current().system.backend.clock.frequency();
        frequency.map_or(u64::MAX, |frequency| frequency.ticks(nanoseconds))
    }

    /// Changes the limit, in nanoseconds. For checks.
    pub fn set_limit(&'static self, nanoseconds: u64) {
        self.limit.store(nanoseconds, Ordering::Relaxed);
        self.requests.lock_anywhere().watched = true;
        self.set_watch(time::now());
    }

    /// Lets the disk be looked at when a transfer that was made at `since` has become late.
    pub(super) fn set_watch(&'static self, since: u64) {
        let argument = core::ptr::from_ref(self).expose_provenance();
        Pin::static_ref(&self.watch).arm(since.saturating_add(self.limit()), look, argument);
    }
}

/// Names the transfers that are late.
fn look(argument: usize, _: &Atomic) {
    // SAFETY: `set_watch` passes the address of a disk, which lives for ever.
    let disk: &'static Disk = unsafe { &*core::ptr::with_exposed_provenance::<Disk>(argument) };
    let until = time::now().saturating_sub(disk.limit());
    loop {
        let mut requests = disk.requests.lock_anywhere();
        if let Some(late) = requests.report_one(until) {
            add(&disk.counts.late, 1);
            drop(requests);
            log::error!(
                "disk {}: indefinite wait: {:?} of {} pages at {}",
                disk.name(),
                late.operation,
                late.count(),
                late.page
            );
            continue;
        }
        let next = requests.oldest_unreported();
        requests.watched = next.is_some();
        drop(requests);
        if let Some(since) = next {
            disk.set_watch(since);
        }
        return;
    }
}
