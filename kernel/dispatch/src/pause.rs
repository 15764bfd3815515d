//! Pausing all processors.

/// A processor's part in a pause.
pub(crate) struct PausePart;

impl PausePart {
    pub(crate) fn new() -> PausePart {
        PausePart
    }
}
