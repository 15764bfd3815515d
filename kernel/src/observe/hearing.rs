//! The observer: it waits for what happens, and decides how it goes on.

use super::standing::Decision;
use super::{All, Watched};
use crate::kernel::Kernel;
use crate::lwp::Lwp;
use abi::errno::Errno;
use abi::observe::ObserveEvent;
use core::sync::atomic::Ordering;
use dispatch::Woken;
use machine::MayFault;

/// The first event that an observer has not heard of: its place in the order, and what it is.
fn first_untold(all: &All, observer: u64) -> Option<(u64, ObserveEvent)> {
    let ends = all.watches.iter().filter(|watch| watch.observer == observer);
    let ends = ends.filter_map(|watch| match &watch.state {
        Watched::End { sequence, event, is_told: false } => Some((*sequence, *event)),
        _ => None,
    });
    let processes = all.observed_by(observer);
    let some = processes.filter(|process| process.observed.untold.load(Ordering::Relaxed) > 0);
    let stops = some.filter_map(|process| {
        let lwps = process.lwps.lock_anywhere();
        let stops = lwps.iter().filter_map(|lwp| lwp.observed.undecided());
        let untold = stops.filter(|(_, _, is_told)| !is_told);
        untold.map(|(sequence, event, _)| (sequence, event)).min_by_key(|(sequence, _)| *sequence)
    });
    ends.chain(stops).min_by_key(|(sequence, _)| *sequence)
}

/// Notes that the observer has, or has not, been told of an event.
fn set_told(all: &mut All, observer: u64, sequence: u64, is_told: bool) {
    for watch in all.watches.iter_mut().filter(|watch| watch.observer == observer) {
        match &mut watch.state {
            Watched::End { sequence: own, is_told: told, .. } if *own == sequence => {
                *told = is_told;
            }
            Watched::Process(process) => {
                let lwps = process.lwps.lock_anywhere();
                let is_meant = |lwp: &&'static Lwp| {
                    lwp.observed
                        .undecided()
                        .is_some_and(|(own, _, told)| own == sequence && told != is_told)
                };
                let Some(lwp) = lwps.iter().find(is_meant) else { continue };
                lwp.observed.set_told(is_told);
                if is_told {
                    process.observed.untold.fetch_sub(1, Ordering::Relaxed);
                } else {
                    process.observed.untold.fetch_add(1, Ordering::Relaxed);
                }
            }
            Watched::End { .. } => {}
        }
    }
}

/// Waits for an event, until `deadline` at the latest (none: for ever), and has `tell` tell it. One that cannot be told
/// is kept for the next time.
pub fn wait(
    kernel: &'static Kernel,
    observer: u64,
    deadline: Option<u64>,
    may_fault: &mut MayFault,
    tell: impl FnOnce(&ObserveEvent, &mut MayFault) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let observations = &kernel.observations;
    let mut all = observations.all.lock(may_fault);
    let mut is_late = false;
    let (sequence, event) = loop {
        if let Some(first) = first_untold(&all, observer) {
            break first;
        }
        if !all.watches.iter().any(|watch| watch.observer == observer) {
            return Err(Errno::ECHILD);
        }
        if is_late {
            return Err(Errno::ETIMEDOUT);
        }
        let (guard, woken) = match deadline {
            Some(deadline) => observations.heard.wait_interruptible_until(all, deadline, may_fault),
            None => observations.heard.wait_interruptible(all, may_fault),
        };
        all = guard;
        match woken {
            Woken::BySignal => return Err(Errno::EINTR),
            Woken::ByTime => is_late = true,
            _ => {}
        }
    };
    set_told(&mut all, observer, sequence, true);
    drop(all);
    let told = tell(&event, may_fault);
    let mut all = observations.all.lock(may_fault);
    if told.is_err() {
        set_told(&mut all, observer, sequence, false);
        observations.heard.broadcast();
    } else {
        // An end has been heard of: there is nothing more.
        all.watches.retain(|watch| match watch.state {
            Watched::End { sequence: own, .. } => own != sequence,
            Watched::Process(_) => true,
        });
        observations.heard.broadcast();
    }
    told
}

/// The LWP with a number, if it stands and an observer is to decide; as long as the mutex is held.
fn standing(all: &All, observer: u64, number: u64) -> Option<(&'static Lwp, ObserveEvent)> {
    all.observed_by(observer).find_map(|process| {
        let lwp = process.lwps.lock_anywhere().find(number)?;
        let (_, event, _) = lwp.observed.undecided()?;
        Some((lwp, event))
    })
}

/// Decides about an LWP that stands. `choose` makes a decision of what the LWP stands at.
pub fn decide(
    kernel: &'static Kernel,
    observer: u64,
    number: u64,
    may_fault: &mut MayFault,
    choose: impl FnOnce(u32) -> Result<Decision, Errno>,
) -> Result<(), Errno> {
    let all = kernel.observations.all.lock(may_fault);
    let (lwp, event) = standing(&all, observer, number).ok_or(Errno::ESRCH)?;
    let decision = choose(event.kind)?;
    if let Some((_, _, false)) = lwp.observed.undecided() {
        // It is decided about before it was heard of: nobody will hear of it.
        lwp.observed.set_told(true);
        lwp.process.observed.untold.fetch_sub(1, Ordering::Relaxed);
    }
    lwp.observed.decide(decision);
    Ok(())
}
