//! Filling whole pages, with what the processor has for that.
//!
//! A copy takes as long as a whole fault does otherwise. So it is lent the processor's vector unit
//! ([`machine::vector_unit`]), and may be preempted, but must end where it began. That is what weak binding is for.

use crate::page::Exclusive;
use dispatch::weak_binding::nomigrate;
use machine::vector_unit;

/// Copies a page's contents.
pub(crate) fn copy(from: &Exclusive, to: &Exclusive) {
    let _bound = nomigrate();
    let (from, to) = (from.page().address(), to.page().address());
    // SAFETY: weakly bound; both frames are those of pages that are exclusively ours, and `to` is not valid: nobody
    // reads it.
    unsafe { vector_unit::copy(from, to) };
}

/// Fills a new page with zeros.
pub(crate) fn clear(page: &Exclusive) {
    let _bound = nomigrate();
    // SAFETY: weakly bound; the frame is the page's, which is exclusively ours and not valid: nobody reads it.
    unsafe { vector_unit::clear(page.page().address()) };
}

#[cfg(test)]
#[path = "tests/bulk_copy.rs"]
mod tests;
