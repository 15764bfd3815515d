//! Callouts.

/// The callouts of a processor.
pub(crate) struct CalloutQueue;

impl CalloutQueue {
    pub(crate) fn new() -> CalloutQueue {
        CalloutQueue
    }
}
