//! The observed LWP: it says what it is about to do, stands still, and does what its observer has decided.
//!
//! While it stands it holds nothing but its own stack, its time counts as stopped, and the end of its process, or
//! another LWP's `execve`, makes it leave at once. Other things that it is asked meanwhile it does afterwards.

use super::Watched;
use super::reading::{self, Reading};
use crate::kernel::Kernel;
use crate::lwp::Lwp;
use crate::signal::Information;
use crate::system_call::times::to_nanoseconds;
use abi::observe::{AT_SIGNAL, OBSERVE_SIGNALS, ObserveChange, ObserveEvent};
use accounting::Microstate;
use core::sync::atomic::Ordering;
use dispatch::{Condvar, sleep_queue};
use machine::{MayFault, SpinLock, time};

/// An LWP's part.
pub struct OfLwp {
    /// Changed with the mutex of all observations held; the lock is for those who only look through a list of LWPs.
    state: SpinLock<State, 13>,
    /// Where it stands.
    standing: Condvar,
}

/// See [`OfLwp`].
struct State {
    stop: Option<Stop>,
    reading: Reading,
    call: Call,
}

/// What is known of the call that an LWP is in, or was in last.
#[derive(Clone, Copy)]
enum Call {
    /// It began when nobody watched.
    Unwatched,
    /// It is watched.
    Watched,
    /// The observer has put this one in its place.
    Made(u64, [u64; 6]),
    /// It has been made, and the observer has heard of it.
    Over,
}

/// A stop.
#[derive(Clone, Copy)]
struct Stop {
    sequence: u64,
    event: ObserveEvent,
    is_told: bool,
    decision: Option<Decision>,
}

/// What becomes of an LWP that stands.
#[derive(Clone, Copy, Debug)]
pub enum Decision {
    /// It goes on.
    GoOn,
    /// It goes on with something else.
    Change(ObserveChange),
    /// The call is not made.
    Abort,
    /// The signal is not acted on.
    Swallow,
    /// Its process is about to end, or to become another program: it does nothing more.
    Leave,
}

impl OfLwp {
    /// It does not stand.
    pub fn new() -> OfLwp {
        let state = State { stop: None, reading: Reading::Nothing, call: Call::Unwatched };
        OfLwp { state: SpinLock::new(state), standing: Condvar::new() }
    }

    /// Its stop, if its observer is to decide.
    pub(super) fn undecided(&self) -> Option<(u64, ObserveEvent, bool)> {
        let stop = self.state.lock_anywhere().stop.filter(|stop| stop.decision.is_none())?;
        Some((stop.sequence, stop.event, stop.is_told))
    }

    /// Notes whether the observer has been told of its stop.
    pub(super) fn set_told(&self, is_told: bool) {
        if let Some(stop) = &mut self.state.lock_anywhere().stop {
            stop.is_told = is_told;
        }
    }

    /// Decides, if it stands and nobody has.
    pub(super) fn decide(&self, decision: Decision) {
        let mut state = self.state.lock_anywhere();
        let stop = state.stop.as_mut().filter(|stop| stop.decision.is_none());
        let Some(stop) = stop else { return };
        stop.decision = Some(decision);
        drop(state);
        self.standing.broadcast();
    }

    /// It goes on, if it stands.
    pub(super) fn let_go(&self) {
        self.decide(Decision::GoOn);
    }

    /// Exchanges what is being read, and lets the LWP look at it.
    pub(super) fn exchange_reading(&self, new: Reading) -> Reading {
        let old = core::mem::replace(&mut self.state.lock_anywhere().reading, new);
        self.standing.broadcast();
        old
    }

    /// What is being read.
    pub(super) fn with_reading<R>(&self, look: impl FnOnce(&Reading) -> R) -> R {
        look(&self.state.lock_anywhere().reading)
    }

    /// A call begins that somebody watches.
    pub fn begin_call(&self) {
        self.state.lock_anywhere().call = Call::Watched;
    }

    /// Another call is made in its place.
    pub fn set_made(&self, (number, arguments): (u64, [u64; 6])) {
        self.state.lock_anywhere().call = Call::Made(number, arguments);
    }

    /// The call has been made. Returns the one that was made in its place, if one was.
    pub fn end_call(&self) -> Option<(u64, [u64; 6])> {
        match core::mem::replace(&mut self.state.lock_anywhere().call, Call::Over) {
            Call::Made(number, arguments) => Some((number, arguments)),
            Call::Unwatched | Call::Watched | Call::Over => None,
        }
    }

    /// Whether the call began when nobody watched.
    pub fn is_unwatched(&self) -> bool {
        matches!(self.state.lock_anywhere().call, Call::Unwatched)
    }

    /// Somebody begins to watch.
    pub(super) fn begin(&self) {
        self.state.lock_anywhere().call = Call::Unwatched;
    }

    fn decision(&self) -> Option<Decision> {
        self.state.lock_anywhere().stop.and_then(|stop| stop.decision)
    }
}

/// Stands still, with an event for the observer, until that decides. Nothing is held.
pub fn stand(lwp: &Lwp, event: ObserveEvent, may_fault: &mut MayFault) -> Decision {
    let kernel = Kernel::current();
    let observations = &kernel.observations;
    let process = lwp.process;
    let in_calls = to_nanoseconds(lwp.accounts.own(time::now()).of(Microstate::System));
    let before = lwp.accounts.sleeps_as(Microstate::Stopped);
    let mut all = observations.all.lock(may_fault);
    let is_watched = |watched: &Watched| matches!(watched, Watched::Process(_));
    if !all.watches.iter().any(|watch| watch.id == process.id && is_watched(&watch.state)) {
        drop(all);
        lwp.accounts.sleeps_as(before);
        return Decision::GoOn;
    }
    let sequence = all.next_sequence();
    let event = ObserveEvent {
        process: process.id,
        lwp: lwp.number(),
        time: kernel.uptime_nanoseconds(),
        in_calls,
        ..event
    };
    let stop = Stop { sequence, event, is_told: false, decision: None };
    lwp.observed.state.lock_anywhere().stop = Some(stop);
    process.observed.untold.fetch_add(1, Ordering::Relaxed);
    observations.heard.broadcast();

    let mut was_interrupted = false;
    let decision = loop {
        // What comes after this look interrupts the wait.
        was_interrupted |= sleep_queue::take_interrupt();
        if process.is_ending() || process.is_becoming_another(lwp) {
            break Decision::Leave;
        }
        if let Some(decision) = lwp.observed.decision() {
            break decision;
        }
        if let Some(request) = reading::take_request(lwp) {
            drop(all);
            let answer = reading::answer(request, may_fault);
            all = observations.all.lock(may_fault);
            reading::give_answer(lwp, answer);
            observations.heard.broadcast();
            continue;
        }
        all = lwp.observed.standing.wait_interruptible(all, may_fault).0;
    };
    let stop = lwp.observed.state.lock_anywhere().stop.take();
    if stop.is_some_and(|stop| !stop.is_told) {
        process.observed.untold.fetch_sub(1, Ordering::Relaxed);
    }
    // Who has asked for something to be read asks another LWP.
    let unanswered = lwp.observed.exchange_reading(Reading::Nothing);
    observations.heard.broadcast();
    drop(all);
    drop(unanswered);
    lwp.accounts.sleeps_as(before);
    if was_interrupted {
        // It looks at its flags on the way to user mode, and does not sleep before.
        lwp.notify();
    }
    decision
}

/// Whether a signal is acted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtSignal {
    /// It is.
    Act,
    /// It is not.
    Swallow,
}

/// A signal has been taken, and is about to be acted on: the observer may want to decide.
pub fn at_signal(lwp: &Lwp, information: &Information, may_fault: &mut MayFault) -> AtSignal {
    if lwp.process.observed.what() & OBSERVE_SIGNALS == 0 {
        return AtSignal::Act;
    }
    let about = if information.process != 0 { information.process } else { information.address };
    let event = ObserveEvent {
        kind: AT_SIGNAL,
        signal: u32::from(information.signal),
        arguments: [i64::from(information.code) as u64, about, 0, 0, 0, 0],
        ..ObserveEvent::default()
    };
    match stand(lwp, event, may_fault) {
        Decision::Swallow | Decision::Leave => AtSignal::Swallow,
        Decision::GoOn | Decision::Change(_) | Decision::Abort => AtSignal::Act,
    }
}
