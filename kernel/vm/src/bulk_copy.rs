//! Copying pages, on a processor that the thread does not leave meanwhile.
//!
//! A copy takes as long as a whole fault does otherwise, so it is neither a critical section nor may it lose what it
//! has of its processor half way. That is what weak binding is for: the thread may be preempted, and comes back to
//! the same processor.

use crate::page::Exclusive;
use dispatch::weak_binding::nomigrate;
use machine::MayFault;

/// Copies a page's contents.
pub(crate) fn copy(from: &Exclusive, to: &Exclusive, may_fault: &mut MayFault) {
    let _ = may_fault;
    let _bound = nomigrate();
    let (from, to) = (from.page().address(), to.page().address());
    // SAFETY: both frames are those of pages that are exclusively ours, and `to` is not valid: nobody reads it.
    unsafe { machine::content::copy(from, to) };
}
