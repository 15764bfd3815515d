//! What must be so when nothing goes on any longer.

use abi::activations::{SA_BLOCKED, SA_UNBLOCKED, SA_USER};
use core::sync::atomic::Ordering::Relaxed;
use libsa::processor::PROCESSORS;
use libsa::{runtime, thread, withheld};
use threaded::many::Outcome;
use userland::system::raw;
use userland::{clock, fail};

/// What has not come by then does not come.
const PATIENCE: u64 = 20 * clock::SECOND;

/// Waits until something is so; says whether that came in time. Never sleeps in the kernel.
fn comes(mut is_so: impl FnMut() -> bool) -> bool {
    let end = clock::nanoseconds() + PATIENCE;
    while !is_so() {
        if clock::nanoseconds() > end {
            return false;
        }
        thread::yield_now();
    }
    true
}

/// As many threads have come back as have blocked, and all stacks and slots are the kernel's again.
pub fn is_quiet() -> Outcome {
    let is_even = || {
        let counts = runtime::counts();
        let [blocked, unblocked] =
            [SA_BLOCKED, SA_UNBLOCKED].map(|kind| counts.events[kind as usize]);
        blocked == unblocked + counts.put_back
    };
    if !comes(|| is_even() && runtime::lent() == (0, 0)) {
        let (stacks, slots) = runtime::lent();
        fail!(
            "{stacks} stacks and {slots} slots are out, {:?} kept; {:?}",
            withheld::kept(),
            runtime::counts().events
        );
    }
    Ok(())
}

/// Each virtual processor is posted to once more, and hears it.
pub fn all_hear() -> Outcome {
    let processors = runtime::scheduler().processors();
    for (number, processor) in PROCESSORS.iter().enumerate().take(processors) {
        let heard = &processor.counts[SA_USER as usize];
        let before = heard.load(Relaxed);
        // SAFETY: the call writes to no memory.
        let posted = unsafe { raw::sa_preempt(number as u32) };
        if posted.is_err() || !comes(|| heard.load(Relaxed) != before) {
            fail!("virtual processor {number} does not hear: {posted:?}");
        }
    }
    Ok(())
}
