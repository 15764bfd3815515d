//! Parking: an LWP waits until somebody unparks it. What locks of user space are made of.
//!
//! An unpark that comes first is kept, and one is as good as many. The time counts as waiting for a lock
//! ([`accounting::Microstate::UserLock`]).
//!
//! Solaris: `lwp_park`, `lwp_unpark`.

use super::Lwp;
use crate::process::Process;
use abi::errno::Errno;
use accounting::Microstate;
use dispatch::Woken;
use machine::MayFault;

/// Parks the running LWP, until `deadline` at the latest, in ticks of the clock.
pub fn park(lwp: &Lwp, deadline: Option<u64>, may_fault: &mut MayFault) -> Result<(), Errno> {
    let before = lwp.accounts.sleeps_as(Microstate::UserLock);
    let woken = lwp.parking.p_interruptible_until(deadline, may_fault);
    lwp.accounts.sleeps_as(before);
    match woken {
        Woken::ByTime => Err(Errno::ETIMEDOUT),
        Woken::BySignal => Err(Errno::EINTR),
        Woken::ByEvent | Woken::NotYet => Ok(()),
    }
}

/// Unparks an LWP of a process.
pub fn unpark(process: &Process, number: u64) -> Result<(), Errno> {
    // With the list locked, so that it stays, and so that there is one unit at most.
    let lwps = process.lwps.lock_anywhere();
    let lwp = lwps.find(number).filter(|lwp| !lwp.has_ended()).ok_or(Errno::ESRCH)?;
    if lwp.parking.units() == 0 {
        lwp.parking.v();
    }
    Ok(())
}
