//! Thread-local values.

use crate::control::ControlBlock;

/// Drops the values of a thread that is about to be over.
pub fn drop_all(thread: &ControlBlock) {
    debug_assert!(thread.locals.get().is_null(), "no key has been made");
}
