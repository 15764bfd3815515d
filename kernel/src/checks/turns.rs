//! Checks of the clock tick: who computes without end has turns, and so have the others.
//!
//! Nearly all other checks run without a tick. Here two threads share a processor that neither of them ever gives
//! up by itself: without ticks the second one has no turn until the first has lost patience.

use super::processors::wait_until;
use super::{Outcome, Run, ensure};
use crate::kernel::Kernel;
use crate::threads;
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::class::{self, Parameters};
use dispatch::kernel_thread::{self, Attributes, Entry};
use dispatch::{Class, CpuDispatch, Priority, Thread, preempt, sleep, tick};
use machine::MayFault;

/// How many turns each of the two has to have.
const TURNS: u64 = 5;

/// The turns of the real-time threads, in clock ticks.
const QUANTUM: u32 = 2;

/// The clock ticks while it lives.
struct Ticking(&'static Kernel);

impl Ticking {
    fn start(kernel: &'static Kernel) -> Ticking {
        threads::set_tick(kernel, tick::INTERVAL);
        Ticking(kernel)
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        // As whoever runs the checks has it.
        threads::set_tick(self.0, 0);
    }
}

/// How many turns each of the two has had.
fn turns() -> [&'static AtomicU64; 2] {
    let [first, second, ..] = &Kernel::current().shared.counters;
    [first, second]
}

/// How long they sleep before they look whether they may begin, in ticks of the clock.
const NAP: u64 = 100_000;

/// Whose turn it is: 1 or 2; or [`NOBODYS`], or 0 before they may begin.
fn whose() -> &'static AtomicU64 {
    &Kernel::current().shared.counters[2]
}

/// See [`whose`].
const NOBODYS: u64 = 3;

/// How often ticks found them.
fn found() -> &'static AtomicU64 {
    &Kernel::current().shared.counters[3]
}

/// Computes until both have had their turns; `gives_way` is done again and again on the way.
fn compute(number: usize, may_fault: &mut MayFault, gives_way: impl Fn(&mut MayFault)) {
    let kernel = Kernel::current();
    // On one processor the first may come before the one that has to make the second.
    while whose().load(Ordering::Acquire) == 0 {
        sleep::delay(NAP, may_fault);
    }
    let me = number as u64 + 1;
    let came = wait_until(kernel, || {
        gives_way(may_fault);
        // Whoever finds that the other was last begins a turn.
        if whose().swap(me, Ordering::AcqRel) != me {
            turns()[number].fetch_add(1, Ordering::Relaxed);
        }
        turns().iter().all(|turns| turns.load(Ordering::Relaxed) >= TURNS)
    });
    if !came {
        kernel.shared.flag.store(true, Ordering::Relaxed);
    }
    found().fetch_add(Thread::running().ticks(), Ordering::Relaxed);
}

/// A program that computes, as far as the dispatcher can tell: it is asked to give way when it would return
/// to user mode.
fn in_user_mode(number: usize, may_fault: &mut MayFault) -> usize {
    compute(number, may_fault, preempt::asynchronous_work);
    0
}

/// A real-time thread that computes in the kernel, where it is preempted at any instruction.
fn in_the_kernel(number: usize, may_fault: &mut MayFault) -> usize {
    let priority = Thread::running().own_priority();
    let parameters = Parameters::RealTime { priority, quantum: QUANTUM };
    let set = class::set(Thread::running(), parameters);
    debug_assert!(set.is_ok(), "the priority is real time's");
    compute(number, may_fault, |_| ());
    0
}

/// Lets two equal threads share the last processor.
fn share(run: &mut Run<'_>, class: Class, priority: u8, entry: Entry) -> Outcome {
    run.kernel.shared.reset();
    let cpus = run.kernel.system.cpu_count();
    let last = CpuDispatch::of(run.kernel.system.cpu(cpus - 1).expect("there is such a processor"));
    let ticks = || last.counts().ticks.load(Ordering::Relaxed);
    let before = ticks();
    let attributes =
        Attributes::system("check").scheduled(class, Priority::new(priority)).bound(last);
    let both = [0, 1].map(|number| kernel_thread::create(&attributes, entry, number));
    whose().store(NOBODYS, Ordering::Release);
    let mut made = 0;
    for thread in both.into_iter().flatten() {
        thread.join(run.may_fault);
        made += 1;
    }
    ensure!(made == 2, "no memory for a thread");
    let ticks = ticks() - before;
    let [first, second] = turns().map(|turns| turns.load(Ordering::Relaxed));
    ensure!(
        !run.kernel.shared.flag.load(Ordering::Relaxed),
        "{class:?}: {first} and {second} turns of {TURNS}, with {ticks} ticks"
    );
    // Nothing but ticks ends a turn, and each takes two of them at least: all but the last of each thread,
    // and one that is cut short because the other has starved for a second.
    let found = found().load(Ordering::Relaxed);
    ensure!(
        found >= 2 * TURNS,
        "{class:?}: {first} and {second} turns, and ticks found them {found} times"
    );
    Ok(())
}

pub fn time_slices(run: &mut Run<'_>) -> Outcome {
    let _ticking = Ticking::start(run.kernel);
    // At the top of time sharing, from where both sink side by side.
    share(run, Class::TimeSharing, 59, in_user_mode)?;
    share(run, Class::RealTime, 120, in_the_kernel)
}
