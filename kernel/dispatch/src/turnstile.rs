//! Turnstiles.

/// A thread's part in turnstiles.
pub(crate) struct Donation;

impl Donation {
    pub(crate) fn new() -> Donation {
        Donation
    }
}

/// All turnstile chains of a system.
pub(crate) struct TurnstileTable;

impl TurnstileTable {
    pub(crate) fn new() -> TurnstileTable {
        TurnstileTable
    }
}
