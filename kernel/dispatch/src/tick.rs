//! The clock tick: a processor that runs a thread counts the time that the thread takes, and asks
//! the thread's class what that means.
//!
//! The tick is a callout of each processor's own, once per interval (10 ms by [`INTERVAL`]), and it
//! comes only while something runs: the tick that finds the idle thread is the last, until the
//! processor switches to a thread again. So a switch has one test to make, of a flag of the
//! processor's own that is nearly always false ([`note_switch`]), and an idle processor is left
//! alone after one interval at most.
//!
//! Without an interval (the default: the dispatcher does not know how long a tick of the clock is)
//! there is no tick at all, and everybody's turn is without end.
//!
//! Once a second the tick also lifts the threads that starve in the processor's queue. A processor
//! with threads in its queue is not idle, so it has a tick.
//!
//! Solaris: `clock_tick`, `CL_TICK`; there the walk over the starving is `ts_update`, for all
//! processors at once.

use crate::Dispatch;
use crate::callout::Callout;
use crate::class::{self, Verdict};
use crate::cpu::{CpuDispatch, count};
use crate::disp_lock::Held;
use crate::enqueue;
use crate::resched;
use crate::run_queue::End;
use crate::thread::Thread;
use crate::thread_lock;
use atomics::{Ordering, fence};
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use machine::{Atomic, Pil, pil, time};

/// The usual interval, in nanoseconds.
pub const INTERVAL: u64 = 10_000_000;

/// How many intervals are a second.
const PER_SECOND: u64 = 1_000_000_000 / INTERVAL;

/// How many starving threads a tick lifts at most: the queue's lock is held meanwhile.
const LIFTED_MAX: usize = 16;

/// A processor's tick. Core's atomics in every flavour: the processor's own, but for the flag,
/// which may be late.
pub(crate) struct Tick {
    /// Goes with the processor, whose queue it is in: there is nothing to wait for.
    callout: ManuallyDrop<Callout>,
    /// The next switch to a thread starts the tick.
    starts_at_switch: AtomicBool,
    /// Ticks until the next look at the starving.
    until_second: AtomicU64,
}

impl Tick {
    pub(crate) fn new() -> Tick {
        Tick {
            callout: ManuallyDrop::new(Callout::new()),
            starts_at_switch: AtomicBool::new(false),
            until_second: AtomicU64::new(PER_SECOND),
        }
    }
}

impl Dispatch {
    /// Turns the clock tick of all processors on, with so many ticks of the clock between two, or
    /// off, with 0. A processor that runs a thread now has its first when it next switches.
    pub fn set_tick_interval(&'static self, ticks: u64) {
        self.tick_interval.store(ticks, Relaxed);
        for cpu in self.cpus() {
            cpu.tick.starts_at_switch.store(ticks != 0, Relaxed);
        }
    }

    /// A second of the classes, in ticks of the clock: 0 while the clock tick is off.
    pub(crate) fn second(&self) -> u64 {
        self.tick_interval.load(Relaxed).saturating_mul(PER_SECOND)
    }
}

/// The processor runs threads from now on; the tick may have been turned on before it was known.
pub(crate) fn note_on_line(cpu: &CpuDispatch) {
    let interval = Dispatch::current().tick_interval.load(Relaxed);
    cpu.tick.starts_at_switch.store(interval != 0, Relaxed);
}

/// The processor is about to switch to a thread.
#[inline]
pub(crate) fn note_switch(cpu: &'static CpuDispatch, to: &Thread) {
    if cpu.tick.starts_at_switch.load(Relaxed) {
        start(cpu, to);
    }
}

#[cold]
fn start(cpu: &'static CpuDispatch, to: &Thread) {
    let interval = Dispatch::current().tick_interval.load(Relaxed);
    if !cpu.is_idle_thread(to) && cpu.is_online() && interval != 0 {
        cpu.tick.starts_at_switch.store(false, Relaxed);
        arm(cpu, time::now() + interval);
    }
}

fn arm(cpu: &'static CpuDispatch, deadline: u64) {
    let argument = usize::try_from(deadline).unwrap_or(usize::MAX);
    Pin::static_ref(&*cpu.tick.callout).arm(deadline, tick, argument);
}

/// Takes the tick away from a processor that goes off line. Once it is on line again, its next
/// switch to a thread brings it back.
pub(crate) fn stop(cpu: &CpuDispatch) {
    if cpu.tick.callout.cancel_and_wait() {
        cpu.tick.starts_at_switch.store(true, Relaxed);
    }
}

/// One tick. `due` is when it was to come.
fn tick(due: usize, atomic: &Atomic) {
    let cpu = CpuDispatch::current(atomic);
    let interval = Dispatch::of(atomic).tick_interval.load(Relaxed);
    count(&cpu.counts.ticks);
    let running = cpu.dispatch_thread.load(Ordering::Relaxed);
    let Some(thread) = running.filter(|thread| !cpu.is_idle_thread(thread)) else {
        cpu.tick.starts_at_switch.store(interval != 0, Relaxed);
        return;
    };
    if interval == 0 {
        return;
    }
    // Without drift; but ticks that were missed stay missed.
    let now = time::now();
    let next = due as u64 + interval;
    arm(cpu, if next > now { next } else { now + interval });
    charge(cpu, thread, atomic);
    let left = cpu.tick.until_second.load(Relaxed) - 1;
    cpu.tick.until_second.store(if left == 0 { PER_SECOND } else { left }, Relaxed);
    if left == 0 {
        cpu.heartbeat.look_at_next(cpu, atomic);
        lift_starving(cpu, now, atomic);
    }
}

/// The thread that runs here has used a tick.
fn charge(cpu: &'static CpuDispatch, thread: &'static Thread, atomic: &Atomic) {
    let level = pil::raise_within(Pil::DISP, atomic);
    let Some(guard) = thread_lock::lock_if_alive(thread, level.atomic()) else { return };
    // It may be on its way to sleep, or chosen to run elsewhere already.
    if !guard.processor().is_some_and(|at| at.is_here(level.atomic())) {
        return;
    }
    if class::tick(&guard) == Verdict::TurnOver {
        let priority = thread.dispatch_priority();
        cpu.dispatch_priority.store(priority);
        // Whoever puts a thread into a queue, *fence*, looks at what the processor runs: it has seen
        // the lower priority, or we see its thread.
        fence(Ordering::SeqCst);
        let waiting = cpu.queue.highest().max(cpu.partition().queue.highest());
        // Also to its equals.
        if waiting >= priority {
            resched::ask_to_choose(cpu, waiting, level.atomic());
        } else {
            class::gives_way_to_nobody(&guard);
        }
    }
}

/// Lifts threads that have waited too long in the processor's queue.
fn lift_starving(cpu: &'static CpuDispatch, now: u64, atomic: &Atomic) {
    let second = Dispatch::of(atomic).second();
    let level = pil::raise_within(Pil::DISP, atomic);
    for _ in 0..LIFTED_MAX {
        let mut held = cpu.queue.lock.enter_high(level.atomic());
        let Some(thread) = find_starving(cpu, &mut held, now, second) else { return };
        drop(held);
        // It may have been taken meanwhile.
        let Some(guard) = thread_lock::lock_if_alive(thread, level.atomic()) else { continue };
        if guard.run_queue().is_some_and(|queue| queue.is_of(cpu))
            && class::starves(thread, now, second)
            && let Ok(transit) = guard.take_from_queue()
        {
            class::lift(thread);
            enqueue::enqueue(transit, End::Back);
        }
    }
}

fn find_starving(
    cpu: &'static CpuDispatch,
    held: &mut Held<'_>,
    now: u64,
    second: u64,
) -> Option<&'static Thread> {
    let mut found = None;
    cpu.queue.each(held, |thread| {
        if class::starves(thread, now, second) {
            found = Some(thread);
        }
    });
    found
}
