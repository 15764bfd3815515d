//! A processor's time in user mode: what the LWPs spend there while they have it.
//!
//! An LWP's own accounts have its time in user mode. Its processor notes what they said when the LWP came, and counts
//! what they have gained when it leaves. So that a program which never leaves is seen too, the timer's interrupt does
//! the same (as long as anything runs, that comes once per clock tick), and so does a call that asks about its own
//! processor. What is neither user mode nor idle nor off line is the system's.
//!
//! Only the processor itself writes: at the dispatcher's level, or in the timer's interrupt while the LWP is in user
//! mode, so that neither interrupts the other.

use super::Lwp;
use accounting::Microstate;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use machine::{Atomic, Cpu, time};

/// A processor's time in user mode, in ticks of the clock.
pub struct UserTime {
    total: AtomicU64,
    /// What the accounts of the LWP that runs here said when its time was last counted.
    counted: AtomicU64,
}

impl UserTime {
    /// None.
    pub const fn new() -> UserTime {
        UserTime { total: AtomicU64::new(0), counted: AtomicU64::new(0) }
    }

    /// What has been counted.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// An LWP comes, and has not been in user mode since.
    pub fn begin(&self, lwp: &Lwp) {
        self.counted.store(lwp.accounts.past_user_time(), Relaxed);
    }

    /// Counts what the LWP has spent that runs here and is not in user mode.
    pub fn count(&self, lwp: &Lwp) {
        self.count_up_to(lwp.accounts.past_user_time());
    }

    fn count_up_to(&self, time: u64) {
        let counted = self.counted.load(Relaxed);
        if time > counted {
            self.total.store(self.total.load(Relaxed) + (time - counted), Relaxed);
            self.counted.store(time, Relaxed);
        }
    }

    /// The timer has interrupted what runs here: if that is an LWP in user mode, counts its time.
    pub fn count_interrupted(&self, cpu: &Cpu, _: &Atomic) {
        if let Some(lwp) = super::on(cpu)
            && lwp.accounts.state() == Microstate::User
        {
            self.count_up_to(lwp.accounts.own(time::now()).of(Microstate::User));
        }
    }
}
