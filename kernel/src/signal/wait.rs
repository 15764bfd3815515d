//! Waiting for signals.

use super::Information;
use crate::lwp::Lwp;
use abi::errno::Errno;
use dispatch::sleep::sleep_until_interruptible;
use dispatch::{Woken, sleep_queue};
use machine::{MayFault, time};

/// Waits for one of several signals until `deadline` at the latest (none: for ever), and takes it.
pub fn wait_for(
    lwp: &Lwp,
    signals: u64,
    deadline: Option<u64>,
    may_fault: &mut MayFault,
) -> Result<Information, Errno> {
    let pending = &lwp.process.signals.pending;
    lwp.signals.set_awaited(signals);
    let result = loop {
        let own = lwp.signals.pending.take(signals);
        if let Some(information) = own.or_else(|| pending.take(signals)) {
            break Ok(information);
        }
        // Something else than an awaited signal.
        let others = !lwp.signals.mask() & !signals;
        let is_asked = lwp.process.is_ending() || lwp.is_to_stop();
        if is_asked || (lwp.signals.pending.set() | pending.set()) & others != 0 {
            break Err(Errno::EINTR);
        }
        if deadline.is_some_and(|deadline| time::now() >= deadline) {
            break Err(Errno::EAGAIN);
        }
        match sleep_until_interruptible(deadline.unwrap_or(u64::MAX), may_fault) {
            Woken::BySignal => sleep_queue::take_interrupt(),
            _ => false,
        };
    };
    lwp.signals.set_awaited(0);
    // What interrupted it is looked at on the way to user mode.
    lwp.notify();
    result
}

/// Waits until there is a signal to act on.
pub fn wait_for_any(may_fault: &mut MayFault) -> Errno {
    while sleep_until_interruptible(u64::MAX, may_fault) != Woken::BySignal {}
    Errno::EINTR
}
