//! How long one spins for a lock before one sleeps for it.
//!
//! While the owner runs, on another processor, the lock will be free in a moment:
//! sooner than falling asleep and waking up takes. So one spins. But not for ever:
//! owners that run might spin for each other's locks, and only sleepers are noticed to
//! wait in a circle ([`crate::priority_inheritance`]).

use crate::thread::Thread;

/// How often one looks: for longer than anybody keeps a lock who does not sleep with it. Model
/// checkers pay for each look; loom's schedules, of few preemptions, would end before the patience does.
const LOOKS: u32 = match () {
    () if cfg!(feature = "loom") => 0,
    () if cfg!(feature = "shuttle") => 4,
    () => 10_000,
};

/// What is left of a waiting thread's patience.
pub(crate) struct Patience(u32);

impl Patience {
    /// All of it.
    pub(crate) fn new() -> Patience {
        Patience(LOOKS)
    }

    /// Whether it is worth while to spin for a lock with this owner, if it has one.
    pub(crate) fn suffices_for(&self, owner: Option<&'static Thread>) -> bool {
        owner.is_none_or(|owner| self.0 > 0 && owner.is_running())
    }

    /// One turn of the loop.
    pub(crate) fn spin(&mut self) {
        self.0 = self.0.saturating_sub(1);
        machine::spin();
    }
}
