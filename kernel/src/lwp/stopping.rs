//! Standing still: LWPs that are suspended, and LWPs of a process that a signal has stopped.
//!
//! There is one place for it ([`stand_still`]), on the way to user mode, where an LWP holds nothing. So who asks an LWP
//! that sleeps in the kernel to stop interrupts its sleep: the call is over, and begins again when the LWP goes on.
//!
//! Solaris: `holdlwp`, `stop`; the dispatcher's own stop ([`dispatch::stop`]) stops threads wherever they are.

use super::Lwp;
use crate::process::Process;
use abi::errno::Errno;
use accounting::Microstate;
use core::sync::atomic::Ordering;
use dispatch::{Woken, sleep_queue};
use machine::MayFault;

impl Lwp {
    /// Whether it is to stand still.
    pub fn is_to_stop(&self) -> bool {
        let process = self.process;
        !process.is_ending()
            && !process.is_becoming_another(self)
            && (self.is_suspended.load(Ordering::Acquire) || process.is_stopped())
    }
}

/// Stands still as long as it is asked to.
pub fn stand_still(lwp: &Lwp, may_fault: &mut MayFault) {
    let process = lwp.process;
    let before = lwp.accounts.sleeps_as(Microstate::Stopped);
    let mut control = process.control.lock(may_fault);
    loop {
        // What comes after this look interrupts the wait.
        sleep_queue::take_interrupt();
        if !lwp.is_to_stop() {
            break;
        }
        if !lwp.is_stopped.swap(true, Ordering::AcqRel) {
            process.changed.broadcast();
        }
        control = process.standing.wait_interruptible(control, may_fault).0;
    }
    lwp.is_stopped.store(false, Ordering::Release);
    drop(control);
    lwp.accounts.sleeps_as(before);
}

/// Suspends an LWP of the running process; returns when it stands still or has ended.
pub fn suspend(number: u64, may_fault: &mut MayFault) -> Result<(), Errno> {
    let own = super::current();
    let process = own.process;
    let is_own = number == own.number();
    {
        let lwps = process.lwps.lock_anywhere();
        let lwp = lwps.find(number).filter(|lwp| !lwp.has_ended()).ok_or(Errno::ESRCH)?;
        if !others_run(&lwps, lwp) {
            return Err(Errno::EDEADLK);
        }
        lwp.is_suspended.store(true, Ordering::Release);
        lwp.notify();
    }
    if is_own {
        // On the way to user mode.
        return Ok(());
    }
    let mut control = process.control.lock(may_fault);
    loop {
        let done = process.lwps.lock_anywhere().find(number).is_none_or(|lwp| {
            lwp.has_ended() || lwp.is_stopped() || !lwp.is_suspended.load(Ordering::Acquire)
        });
        if done {
            return Ok(());
        }
        let (guard, woken) = process.changed.wait_interruptible(control, may_fault);
        control = guard;
        if woken == Woken::BySignal {
            // It stays suspended, and says so when it is asked again.
            return Err(Errno::EINTR);
        }
    }
}

/// Whether somebody would be left who could let the LWP continue.
fn others_run(lwps: &super::Lwps, but: &Lwp) -> bool {
    lwps.iter().any(|lwp| {
        !core::ptr::eq(lwp, but) && !lwp.has_ended() && !lwp.is_suspended.load(Ordering::Acquire)
    })
}

/// Lets a suspended LWP go on.
pub fn continue_lwp(process: &Process, number: u64) -> Result<(), Errno> {
    let lwps = process.lwps.lock_anywhere();
    let lwp = lwps.find(number).filter(|lwp| !lwp.has_ended()).ok_or(Errno::ESRCH)?;
    lwp.is_suspended.store(false, Ordering::Release);
    lwp.notify();
    Ok(())
}
