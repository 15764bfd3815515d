//! The kernel wants processors back, for another program: the library chooses which virtual processors it gives up.
//!
//! The header that the kernel shows ([`SaHeader`]) says how many, and which notice that is; a USER event says that there is
//! a new one. Whoever hears of it looks here, where a virtual processor has heard all its events: it gives itself up, if
//! not enough others have done so for this notice. Its thread goes to its run queue, and from there to whoever has nothing
//! else to do.
//!
//! What is not given back is taken: then its thread comes with a PREEMPTED event.

use crate::dispatch;
use crate::line;
use crate::runtime;
use abi::activations::SaHeader;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Which notice, in the upper half; and how many have gone for it.
static GONE: AtomicU64 = AtomicU64::new(0);

/// Notices are not listened to.
static IS_DEAF: AtomicBool = AtomicBool::new(false);

/// For tests of the kernel: the library listens to no notice, so that processors have to be taken from it.
pub fn ignore(ignores: bool) {
    IS_DEAF.store(ignores, Ordering::Relaxed);
}

/// Whether the virtual processor that this runs on is to be given up; then it must be. In a critical section.
#[inline]
pub fn claims() -> bool {
    runtime::header()
        .is_some_and(|header| header.owed.load(Ordering::Relaxed) != 0 && claim(header))
}

#[cold]
fn claim(header: &SaHeader) -> bool {
    if IS_DEAF.load(Ordering::Relaxed) {
        return false;
    }
    let sequence = header.sequence.load(Ordering::Acquire);
    let owed = header.owed.load(Ordering::Relaxed);
    let claim = |gone: u64| {
        let count = if gone >> 32 == u64::from(sequence) { gone as u32 } else { 0 };
        (count < owed).then(|| u64::from(sequence) << 32 | u64::from(count + 1))
    };
    GONE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).is_ok()
}

/// The running thread's virtual processor is given up: somebody else goes on with the thread.
pub fn give_up() {
    line::enter();
    // SAFETY: the running thread's.
    let me = unsafe { &*line::running() };
    dispatch::leave_processor(me);
}
