//! Processors go off line and on line while threads work, and nobody is lost.

use super::super::{Outcome, Run, Wrong, ensure};
use super::{cpu, ensure_last_stays, last_cpu, run_threads, system};
use crate::kernel::Kernel;
use crate::threads::{self, KernelDuties};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dispatch::binding::affinity_set;
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{OffLineError, cpu_offline, cpu_online};
use dispatch::weak_binding::nomigrate;
use dispatch::{Condvar, CpuDispatch, Mutex, Semaphore, Thread, preempt, sleep, tick};
use machine::MayFault;

/// Times that a processor goes off and on line, one after the other. `scale=` multiplies.
const ROUNDS: u64 = 10;
/// Turns that the workers must make while a processor is off line, and how long they have for it in nanoseconds:
/// the host may be busy.
const TURNS: u64 = 20;
const TURNS_TIME: u64 = 10_000_000_000;
/// The time between two clock ticks, and how long a processor stays off line at least, in nanoseconds.
const TICK: u64 = tick::INTERVAL / 10;
const OFF_LINE: u64 = 3 * TICK;
/// Threads that work meanwhile, for each processor.
const WORKERS: usize = 2;

struct Works {
    over: AtomicBool,
    /// Turns of all workers.
    turns: AtomicU64,
    /// Turns that found themselves on a processor that is off line.
    astray: AtomicU64,
    baton: Mutex<u64>,
    passed: Condvar,
}

/// One worker's turn: everything that a thread can do about processors.
fn work(works: &Works, number: usize, may_fault: &mut MayFault) {
    let mut turn = number as u64;
    while !works.over.load(Ordering::Acquire) {
        turn += 1;
        match turn % 5 {
            0 => preempt::yield_now(),
            1 => {
                let binding = nomigrate();
                note_place(works);
                Kernel::current().spin_nanoseconds(2_000);
                note_place(works);
                drop(binding);
            }
            2 => {
                *works.baton.lock(may_fault) += 1;
                works.passed.broadcast();
            }
            3 => {
                let baton = works.baton.lock(may_fault);
                let deadline = machine::time::now() + 200_000;
                drop(works.passed.wait_until(baton, deadline, may_fault));
            }
            _ => sleep::delay(50_000, may_fault),
        }
        works.turns.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whoever runs does so on a processor that is on line.
fn note_place(works: &Works) {
    let guard = machine::preempt::disable_anywhere();
    if !CpuDispatch::current(guard.atomic()).is_online() {
        works.astray.fetch_add(1, Ordering::Relaxed);
    }
}

/// With the clock tick, so that a processor which ticks on off line is noticed.
pub fn processors_go_off_and_on_line(run: &mut Run<'_>) -> Outcome {
    if run.kernel.system.cpu_count() == 1 {
        return ensure_last_stays(run);
    }
    threads::set_tick(run.kernel, TICK);
    let outcome = go_off_and_on_line(run);
    threads::set_tick(run.kernel, 0);
    outcome
}

fn go_off_and_on_line(run: &mut Run<'_>) -> Outcome {
    let cpus = run.kernel.system.cpu_count();
    let works = Works {
        over: AtomicBool::new(false),
        turns: AtomicU64::new(0),
        astray: AtomicU64::new(0),
        baton: Mutex::new(0),
        passed: Condvar::new(),
    };
    /// The last thread takes processors off and on line; the others work.
    fn body(works: &(Works, usize, Mutex<Outcome>), number: usize, may_fault: &mut MayFault) {
        let (works, workers, outcome) = works;
        if number < *workers {
            return work(works, number, may_fault);
        }
        let result = shake(works, may_fault);
        *outcome.lock(may_fault) = result;
        works.over.store(true, Ordering::Release);
    }
    let workers = (cpus * WORKERS).min(super::THREADS_MAX - 1);
    let shared = (works, workers, Mutex::new(Ok(())));
    // The boot thread is bound, and its processor takes the devices' interrupts: so the shaker is another.
    run_threads(&shared, (0..=workers).map(|_| system()), body, run.may_fault)?;
    core::mem::replace(&mut *shared.2.lock(run.may_fault), Ok(()))?;
    let astray = shared.0.astray.load(Ordering::Relaxed);
    ensure!(astray == 0, "{astray} times a thread ran on a processor that is off line");
    for index in 0..cpus {
        ensure!(cpu(run.kernel, index).is_online(), "cpu {index} was left off line");
    }
    Ok(())
}

/// Takes one processor after the other off line and on line again.
fn shake(works: &Works, may_fault: &mut MayFault) -> Outcome {
    let kernel = Kernel::current();
    let cpus = kernel.system.cpu_count();
    let (mut gone, rounds) = (0, ROUNDS * kernel.options.scale);
    for round in 0..rounds {
        let index = 1 + round as usize % (cpus - 1);
        let lock = lock_processors(may_fault);
        let that = cpu(kernel, index);
        match cpu_offline(that, false, &KernelDuties, &lock, may_fault) {
            Ok(()) => gone += 1,
            // Bindings did not drain in time, on a host that is busy.
            Err(OffLineError::Bound) => continue,
            Err(error) => return Err(Wrong::new(format_args!("cpu {index}: {error:?}"))),
        }
        let (switches, ticks) = quiet_counts(that);
        let (turns, began) = (works.turns.load(Ordering::Relaxed), kernel.uptime_nanoseconds());
        drop(lock);
        // The others work on.
        let more = || works.turns.load(Ordering::Relaxed) - turns;
        loop {
            let lasted = kernel.uptime_nanoseconds() - began;
            if lasted >= TURNS_TIME || lasted >= OFF_LINE && more() >= TURNS {
                break;
            }
            sleep::delay(100_000, may_fault);
        }
        let more = more();
        ensure!(more >= TURNS, "cpu {index} is off line, and the others made {more} turns");
        let after = quiet_counts(that);
        ensure!(after.0 == switches, "cpu {index} is off line and switched threads");
        // The tick that finds nothing to do is the last one.
        ensure!(after.1 <= ticks + 1, "cpu {index} is off line and ticked: {ticks}, {}", after.1);
        let lock = lock_processors(may_fault);
        let came = cpu_online(that, &KernelDuties, &lock, may_fault);
        ensure!(came.is_ok(), "no memory to put cpu {index} on line");
        drop(lock);
    }
    let wanted = if kernel.options.counted { rounds } else { rounds.div_ceil(2) };
    ensure!(gone >= wanted, "a processor went off line {gone} times in {rounds} rounds");
    Ok(())
}

/// What does not move on a processor that is off line.
fn quiet_counts(cpu: &CpuDispatch) -> (u64, u64) {
    let counts = cpu.counts();
    (counts.switches.load(Ordering::Relaxed), counts.ticks.load(Ordering::Relaxed))
}

pub fn bound_threads_keep_a_processor_on_line(run: &mut Run<'_>) -> Outcome {
    struct Stage {
        is_bound: Semaphore,
        may_end: Semaphore,
        outcome: Mutex<Outcome>,
    }
    /// Thread 0 is bound and sleeps; thread 1 tries.
    fn body(stage: &Stage, number: usize, may_fault: &mut MayFault) {
        if number == 1 {
            stage.is_bound.p(may_fault);
            let outcome = try_in_vain(Kernel::current(), may_fault);
            *stage.outcome.lock(may_fault) = outcome;
            stage.may_end.v();
            return;
        }
        let lock = lock_processors(may_fault);
        let affinity = affinity_set(Thread::running(), last_cpu(Kernel::current()), &lock);
        drop(lock);
        stage.is_bound.v();
        stage.may_end.p(may_fault);
        drop(affinity);
    }
    if run.kernel.system.cpu_count() == 1 {
        return ensure_last_stays(run);
    }
    let stage = Stage {
        is_bound: Semaphore::new(0),
        may_end: Semaphore::new(0),
        outcome: Mutex::new(Ok(())),
    };
    run_threads(&stage, [system(), system()].into_iter(), body, run.may_fault)?;
    core::mem::replace(&mut *stage.outcome.lock(run.may_fault), Ok(()))
}

/// Tries to take processors off line that others or the caller keep on line.
fn try_in_vain(kernel: &Kernel, may_fault: &mut MayFault) -> Outcome {
    let last = last_cpu(kernel);
    let lock = lock_processors(may_fault);
    // The one that takes the devices' interrupts.
    let first = cpu_offline(cpu(kernel, 0), true, &KernelDuties, &lock, may_fault);
    ensure!(first == Err(OffLineError::Interrupts), "cpu 0 with its duties: {first:?}");
    let another = cpu_offline(last, true, &KernelDuties, &lock, may_fault);
    ensure!(another == Err(OffLineError::Bound), "another is bound to it: {another:?}");
    let affinity = affinity_set(Thread::running(), last, &lock);
    let own = cpu_offline(last, true, &KernelDuties, &lock, may_fault);
    drop(affinity);
    ensure!(own == Err(OffLineError::SelfBound), "bound to it oneself: {own:?}");
    ensure!(last.is_online() && !last.is_in_motion(), "it was refused, and is not as before");
    Ok(())
}
