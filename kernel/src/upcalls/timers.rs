//! Timers whose end is an event (`timer_create` with `SIGEV_SA`): SIGEV, on one virtual processor or on any.
//!
//! A few per process, each a callout ([`dispatch::Callout`]). A timer that is meant for who runs on a virtual processor
//! (a time slice) wakes nobody there that idles.

use super::Activations;
use super::memory::Words;
use abi::activations::{SA_NONE, SA_WHILE_IT_RUNS};
use abi::errno::Errno;
use activations::{Posted, VirtualProcessor};
use alloc::vec::Vec;
use core::pin::Pin;
use dispatch::Callout;
use machine::{Atomic, SpinLock, time};

/// How many timers a process can have: a time slice for each virtual processor, and a few more.
pub const TIMERS_MAX: usize = 80;

/// A timer.
pub struct Timer {
    callout: Callout,
    state: SpinLock<State, 13>,
}

#[derive(Clone, Copy, Default)]
struct State {
    is_made: bool,
    /// Whose event it is: the number of a virtual processor, with `SA_WHILE_IT_RUNS` or without, or `SA_NONE`.
    whose: u32,
    /// In ticks of the clock; 0: never.
    due: u64,
    interval: u64,
    /// Of its process's.
    of: usize,
}

impl Timer {
    /// One that is not made.
    pub fn new() -> Timer {
        Timer { callout: Callout::new(), state: SpinLock::new(State::default()) }
    }
}

/// The timers of a process, none of which is made.
pub fn all() -> Result<Vec<Timer>, Errno> {
    let mut all = Vec::new();
    all.try_reserve_exact(TIMERS_MAX).map_err(|_| Errno::ENOMEM)?;
    all.extend((0..TIMERS_MAX).map(|_| Timer::new()));
    Ok(all)
}

impl Activations {
    /// Makes a timer; returns its number.
    pub fn make_timer(&self, whose: u32) -> Result<u64, Errno> {
        let of = core::ptr::from_ref(self).expose_provenance();
        let processor = whose & !SA_WHILE_IT_RUNS;
        if whose != SA_NONE && !self.lock().protocol.has_processor(processor) {
            return Err(Errno::EINVAL);
        }
        for (number, timer) in self.timers.iter().enumerate() {
            let mut state = timer.state.lock_anywhere();
            if !state.is_made {
                *state = State { is_made: true, whose, of, ..State::default() };
                return Ok(number as u64);
            }
        }
        Err(Errno::EAGAIN)
    }

    fn timer(&self, number: u32) -> Result<&Timer, Errno> {
        let timer = self.timers.get(number as usize).ok_or(Errno::EINVAL)?;
        let is_made = timer.state.lock_anywhere().is_made;
        if is_made { Ok(timer) } else { Err(Errno::EINVAL) }
    }

    /// How long until a timer is due, and the interval then, in ticks; 0 for never.
    pub fn timer_left(&self, number: u32) -> Result<(u64, u64), Errno> {
        let state = *self.timer(number)?.state.lock_anywhere();
        let left = if state.due == 0 { 0 } else { state.due.saturating_sub(time::now()).max(1) };
        Ok((left, state.interval))
    }

    /// Sets a timer to a time of the clock, in ticks (0: never), and an interval after that. For one LWP at a time.
    pub fn set_timer(&self, number: u32, due: u64, interval: u64) -> Result<(), Errno> {
        let timer = self.timer(number)?;
        timer.callout.cancel_and_wait();
        let mut state = timer.state.lock_anywhere();
        (state.due, state.interval) = (due, if due == 0 { 0 } else { interval });
        drop(state);
        if due != 0 {
            // SAFETY: `Activations` lie in a place of their own, and wait for this callout before they go.
            let callout = unsafe { &*core::ptr::from_ref(&timer.callout) };
            Pin::static_ref(callout).arm(due, ring, core::ptr::from_ref(timer).expose_provenance());
        }
        Ok(())
    }

    /// Deletes a timer. For one LWP at a time.
    pub fn delete_timer(&self, number: u32) -> Result<(), Errno> {
        self.set_timer(number, 0, 0)?;
        self.timer(number)?.state.lock_anywhere().is_made = false;
        Ok(())
    }

    /// No timer is set any longer, and none is about to ring.
    pub(super) fn stop_timers(&self) {
        for timer in &self.timers {
            timer.callout.cancel_and_wait();
        }
    }
}

/// The callout's handler.
fn ring(timer: usize, _: &Atomic) {
    // SAFETY: `set_timer` passed the address of a timer, which waits for this handler before it goes.
    let timer: &'static Timer = unsafe { &*core::ptr::with_exposed_provenance::<Timer>(timer) };
    let mut state = timer.state.lock_anywhere();
    state.due = if state.interval == 0 {
        0
    } else {
        // Without drift; what was missed stays missed.
        let now = time::now();
        let next = state.due.saturating_add(state.interval);
        if next > now { next } else { now.saturating_add(state.interval) }
    };
    let State { whose, due, of, .. } = *state;
    drop(state);
    if due != 0 {
        let argument = core::ptr::from_ref(timer).expose_provenance();
        Pin::static_ref(&timer.callout).arm(due, ring, argument);
    }
    // SAFETY: as above: the timer is a part of it.
    let of = unsafe { &*core::ptr::with_exposed_provenance::<Activations>(of) };
    let to = (whose != SA_NONE).then(|| VirtualProcessor::new(whose & !SA_WHILE_IT_RUNS));
    let mut state = of.lock();
    if whose != SA_NONE
        && whose & SA_WHILE_IT_RUNS != 0
        && !to.is_some_and(|home| state.protocol.is_running(home))
    {
        return;
    }
    let nudge = state.protocol.post(Posted::SIGEV, to, &mut Words(&of.shared));
    state.act(nudge);
}
