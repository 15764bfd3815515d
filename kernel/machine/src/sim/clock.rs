//! Virtual time: a number per system that stands still until a test moves it on, and a one-shot
//! timer per processor.
//!
//! The numbers are the host's own atomics in every flavour: what the checkers explore is when the
//! timer's interrupt is taken, not the arithmetic.

use super::baton::{current_cpu, current_system};
use crate::capability::Atomic;
use crate::{Cpu, System, time};
use core::sync::atomic::{AtomicU64, Ordering};

/// A system's time.
pub(crate) struct Clock(AtomicU64);

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock(AtomicU64::new(0))
    }
}

/// No deadline.
const NEVER: u64 = u64::MAX;

/// A processor's timer: its deadline.
pub(crate) struct Timer(AtomicU64);

impl Timer {
    pub(crate) fn new() -> Timer {
        Timer(AtomicU64::new(NEVER))
    }
}

/// The current system's time.
pub fn now() -> u64 {
    current_system().backend.clock.0.load(Ordering::SeqCst)
}

/// Moves the time of a system on and fires the timers that have run out.
pub fn advance(system: &System, ticks: u64) {
    let now = system.backend.clock.0.fetch_add(ticks, Ordering::SeqCst) + ticks;
    for cpu in system.cpus() {
        fire(cpu, now);
    }
}

/// Sets the current processor's timer.
pub fn set_timer(atomic: &Atomic, deadline: u64) {
    let cpu = Cpu::current(atomic);
    cpu.backend.timer.0.store(deadline, Ordering::SeqCst);
    // Whoever moves the time on either sees the deadline or has moved it on before this look.
    fire(cpu, now());
}

/// Takes the current processor's deadline away. An interrupt that is on its way still comes.
pub fn stop_timer(atomic: &Atomic) {
    let _ = atomic;
    current_cpu().backend.timer.0.store(NEVER, Ordering::SeqCst);
}

/// Raises the timer's interrupt if the timer has run out, once per deadline.
fn fire(cpu: &Cpu, now: u64) {
    let timer = &cpu.backend.timer.0;
    let deadline = timer.load(Ordering::SeqCst);
    if deadline <= now
        && deadline != NEVER
        && timer.compare_exchange(deadline, NEVER, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    {
        cpu.backend.wires.raise(time::TIMER_LEVEL, time::TIMER_LINE);
    }
}
