//! Hand-overs as they once were: bugs 5017148 and 6294464, re-created. `docs/history`
//! tells of them.
//!
//! Both get around the same type. [`Committed`] says that a thread has been published as running
//! *here* and that the processor stays; it borrows the level, so it cannot be kept across a
//! preemption. The code below throws it away and later makes another one out of nothing
//! ([`Committed::out_of_nothing`]), which only these features let it do.

use super::{Committed, CpuDispatch, Held, State, Thread};
use crate::select;
use crate::thread_lock::{self, InTransit, publish_on_processor};
use machine::Atomic;

/// Publishes a reserved thread as running on the processor where the client happens to be,
/// as `door_get_server` did. The client has yet to release the shuttle lock, and is
/// perhaps preempted then.
pub(super) fn publish_early(transit: InTransit<'_>) {
    let atomic = transit.atomic();
    let _ = publish_on_processor(transit, CpuDispatch::current(atomic), atomic);
}

/// Resumes a thread that was published when it was reserved.
pub(super) fn resume<'c>(
    target: &'static Thread,
    cpu: &'static CpuDispatch,
    atomic: &'c Atomic,
    put_to_sleep: impl FnOnce(),
) -> Committed<'c> {
    select::publish_choice(cpu, target, target.dispatch_priority());
    put_to_sleep();
    // Without this repair the thread keeps the lock of the processor where it was published,
    // although the client may have moved since: 5017148. With it: the pointer is moved without the
    // thread's lock, so that who holds that lock holds the wrong one from here on: 6294464.
    #[cfg(feature = "bug-6294464")]
    if !core::ptr::eq(target.cpu(), cpu) {
        // SAFETY: none. Others can lock the thread; that is the bug.
        let transit = unsafe { InTransit::assume(target, atomic) };
        return publish_on_processor(transit, cpu, atomic);
    }
    Committed::out_of_nothing(target, atomic)
}

/// A hand-over has come to nothing: the thread is put back, with both locks held.
pub(super) fn take_back(thread: &'static Thread, held: &mut Held<'_>) {
    let guard = thread_lock::lock(thread, held.atomic());
    debug_assert!(guard.state() == State::OnProcessor);
    guard.sleep(held);
}
