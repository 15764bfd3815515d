//! Sending signals. Never sleeps: also for handlers, up to the dispatcher's level.

use super::{Information, SIGCONT, SIGKILL, STOPS, bit};
use crate::lwp::Lwp;
use crate::process::{Outcome, Process};

/// What happens when a signal is sent, whether or not anybody holds it back. Says whether it is to be noted.
fn note(process: &Process, signal: u8) -> bool {
    match signal {
        SIGKILL => {
            process.end(Outcome::Killed(SIGKILL));
            return false;
        }
        SIGCONT => {
            remove_everywhere(process, STOPS);
            process.go_on();
        }
        _ if bit(signal) & STOPS != 0 => remove_everywhere(process, bit(SIGCONT)),
        _ => {}
    }
    true
}

fn remove_everywhere(process: &Process, signals: u64) {
    process.signals.pending.remove(signals);
    process.lwps.lock_anywhere().iter().for_each(|lwp| lwp.signals.pending.remove(signals));
}

/// Sends a signal to a process: to whichever of its LWPs does not hold it back.
pub fn to_process(process: &Process, information: &Information) {
    let signal = information.signal;
    if !note(process, signal) {
        return;
    }
    let lwps = process.lwps.lock_anywhere();
    let takes = |lwp: &&'static Lwp| !lwp.has_ended() && lwp.signals.takes(signal);
    // An activation that waits to be started acts on nothing.
    let is_about = |lwp: &&'static Lwp| takes(lwp) && !lwp.activation.is_parked();
    let taker = lwps.iter().find(is_about).or_else(|| lwps.iter().find(takes));
    // What is ignored goes, unless it is held back: then somebody may still want it.
    let is_wanted =
        lwps.iter().any(|lwp| bit(signal) & (lwp.signals.mask() | lwp.signals.awaited()) != 0);
    if process.signals.is_ignored(signal) && !is_wanted {
        return;
    }
    process.signals.pending.add(information);
    if let Some(lwp) = taker {
        lwp.notify();
    }
}

/// Sends a signal to an LWP, which the caller keeps from going.
pub fn to_lwp(lwp: &Lwp, information: &Information) {
    let signal = information.signal;
    if !note(lwp.process, signal) {
        return;
    }
    if lwp.process.signals.is_ignored(signal)
        && bit(signal) & (lwp.signals.mask() | lwp.signals.awaited()) == 0
    {
        return;
    }
    lwp.signals.pending.add(information);
    if lwp.signals.takes(signal) {
        lwp.notify();
    }
}

/// Notifies LWPs of what is pending for their process: one that was notified may not act on it any longer.
pub fn redistribute(process: &Process) {
    let mut left = process.signals.pending.set();
    if left == 0 {
        return;
    }
    for lwp in process.lwps.lock_anywhere().iter().filter(|lwp| !lwp.has_ended()) {
        let takes = left & (!lwp.signals.mask() | lwp.signals.awaited());
        if takes != 0 {
            lwp.notify();
            left &= !takes;
        }
    }
}
