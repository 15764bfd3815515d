//! The two sides of a transfer, and nothing else: so loom can look at all of it.

use super::*;
use atomics::AtomicU32;
use atomics::cell::SharedCell;
use machine::sim::{self, Quiet, model};
use std::sync::Arc;

/// What both sides have, and one of them frees.
struct Shared {
    ending: Ending,
    /// Written by who answers, before that; afterwards by who frees it.
    content: SharedCell<u32>,
    freed: AtomicU32,
}

// SAFETY: `content` belongs to one side at a time: that is what is tested.
unsafe impl Sync for Shared {}

impl Shared {
    fn free(&self) {
        // SAFETY: the other side has had it.
        let content = unsafe { self.content.access() };
        assert_eq!(*content, 1, "freed before it was answered");
        self.freed.fetch_add(1, Ordering::Relaxed);
    }
}

/// One processor answers, the other one waits: `waits` says whether it has it.
fn two(is_read: bool, waits: fn(&Shared) -> bool) {
    model(move || {
        let shared = Arc::new(Shared {
            ending: Ending::new(),
            content: SharedCell::new(0),
            freed: AtomicU32::new(0),
        });
        sim::run(2, Quiet, |machine| {
            let answers = Arc::clone(&shared);
            machine.start(0, move |_| {
                // SAFETY: nobody else touches it before the answer.
                *unsafe { answers.content.access() } = 1;
                if !answers.ending.end(is_read) {
                    answers.free();
                }
            });
            let waiter = Arc::clone(&shared);
            machine.start(1, move |_| {
                if waits(&waiter) {
                    assert_eq!(waiter.ending.is_read(), is_read);
                    waiter.free();
                }
            });
        });
        assert_eq!(shared.freed.load(Ordering::Relaxed), 1, "freed by both, or by nobody");
    });
}

#[test]
fn a_transfer_that_is_abandoned_at_any_moment_is_freed_by_one_side() {
    two(true, |shared| !shared.ending.abandon());
    two(false, |shared| !shared.ending.abandon());
}

#[test]
fn who_finds_a_transfer_over_sees_what_the_device_wrote() {
    let looks = |shared: &Shared| !shared.ending.is_waited_for() || !shared.ending.abandon();
    two(true, looks);
    two(false, looks);
}
