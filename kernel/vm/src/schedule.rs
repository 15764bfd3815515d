//! Schedule points: named places where a test may hold a thread, to make it meet another one there.
//!
//! In debug builds a hook is called at each, which may sleep; elsewhere they are nothing. The host's tests use them to try every
//! order of a few threads' steps through the shipped code, and the kernel's checks to replay single orders.

use crate::Vm;
use machine::MayFault;

/// The places. The histories in `docs/history` name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// A fault has found its entry and is about to look at the object.
    FaultLooks,
    /// A write has claimed its page in the first object and is about to go down.
    FaultClaimed,
    /// A fault is about to leave an object for the next one down the chain.
    FaultGoesDown,
    /// A fault has its source page exclusively.
    FaultHasSource,
    /// A fault has copied its source.
    FaultCopied,
    /// A fault that had let go of the map is about to look at it again.
    FaultLooksAgain,
    /// A fault is about to change the entry of the page table.
    FaultEnters,
    /// A fault has put the new page in, and not yet made it writable.
    FaultEntered,
    /// A fault is about to let go of its pages.
    FaultEnds,
    /// A collapse is about to decide what becomes of a page.
    CollapseLooks,
}

/// What is called at schedule points.
pub type Hook = fn(Point, &mut MayFault);

/// A schedule point.
#[inline]
pub(crate) fn point(point: Point, may_fault: &mut MayFault) {
    if cfg!(debug_assertions)
        && let Some(hook) = Vm::current().schedule_hook()
    {
        hook(point, may_fault);
    }
}
