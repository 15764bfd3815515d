//! A process's timer: SIGALRM after a time, and then again and again if so wished.
//!
//! One callout per process ([`dispatch::Callout`]). Its handler sends the signal, which never sleeps, and arms it anew.
//! A child has none of its parent's; a new program keeps it.

use super::{Information, SIGALRM, send};
use crate::process::Process;
use core::pin::Pin;
use dispatch::Callout;
use machine::{Atomic, SpinLock, time};

/// The timer of a process.
pub struct Alarm {
    callout: Callout,
    times: SpinLock<Times, 13>,
}

/// In ticks of the clock; 0: never.
#[derive(Clone, Copy, Default)]
struct Times {
    due: u64,
    interval: u64,
}

impl Alarm {
    /// One that is not set.
    pub fn new() -> Alarm {
        Alarm { callout: Callout::new(), times: SpinLock::new(Times::default()) }
    }

    /// How long until it is due, and the interval then; 0 for never.
    pub fn left(&self) -> (u64, u64) {
        let times = *self.times.lock_anywhere();
        let left = if times.due == 0 { 0 } else { times.due.saturating_sub(time::now()).max(1) };
        (left, times.interval)
    }
}

/// Sets a process's timer; `after` 0: not any longer. Returns what [`Alarm::left`] said before. For who holds the
/// process's `control`.
pub fn set(process: &'static Process, after: u64, interval: u64) -> (u64, u64) {
    let alarm = &process.alarm;
    alarm.callout.cancel_and_wait();
    let before = alarm.left();
    let due = if after == 0 { 0 } else { time::now().saturating_add(after) };
    let interval = if after == 0 { 0 } else { interval };
    *alarm.times.lock_anywhere() = Times { due, interval };
    if due != 0 {
        arm(process, due);
    }
    before
}

fn arm(process: &'static Process, due: u64) {
    let argument = core::ptr::from_ref(process).expose_provenance();
    Pin::static_ref(&process.alarm.callout).arm(due, ring, argument);
}

/// The callout's handler.
fn ring(process: usize, _: &Atomic) {
    // SAFETY: `arm` passed the address of a process, which waits for this handler before it goes.
    let process: &'static Process =
        unsafe { &*core::ptr::with_exposed_provenance::<Process>(process) };
    let mut times = process.alarm.times.lock_anywhere();
    times.due = if times.interval == 0 {
        0
    } else {
        // Without drift; what was missed stays missed.
        let now = time::now();
        let next = times.due.saturating_add(times.interval);
        if next > now { next } else { now.saturating_add(times.interval) }
    };
    let due = times.due;
    drop(times);
    if due != 0 {
        arm(process, due);
    }
    send::to_process(process, &Information::from_kernel(SIGALRM));
}
