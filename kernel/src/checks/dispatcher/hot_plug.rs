//! Processors go off line and on line while threads work, and nobody is lost.

use super::super::{Outcome, Run, Wrong, ensure};
use super::{cpu, run_threads, system};
use crate::kernel::Kernel;
use crate::threads::KernelDuties;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use dispatch::binding::affinity_set;
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{OffLineError, cpu_offline, cpu_online};
use dispatch::weak_binding::nomigrate;
use dispatch::{Condvar, CpuDispatch, Mutex, Thread, preempt, sleep};
use machine::MayFault;

/// Times that each processor goes off and on line. `scale=` multiplies.
const ROUNDS: u64 = 10;
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

pub fn processors_go_off_and_on_line(run: &mut Run<'_>) -> Outcome {
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
    let mut gone = 0;
    for round in 0..ROUNDS * kernel.options.scale {
        let index = 1 + round as usize % (cpus - 1).max(1);
        let lock = lock_processors(may_fault);
        if cpus == 1 {
            let refused = cpu_offline(cpu(kernel, 0), false, &KernelDuties, &lock, may_fault);
            ensure!(refused == Err(OffLineError::Last), "the last processor: {refused:?}");
            continue;
        }
        let that = cpu(kernel, index);
        match cpu_offline(that, false, &KernelDuties, &lock, may_fault) {
            Ok(()) => gone += 1,
            // Bindings did not drain in time, on a host that is busy.
            Err(OffLineError::Bound) => continue,
            Err(error) => return Err(Wrong::new(format_args!("cpu {index}: {error:?}"))),
        }
        let (switches, ticks) = quiet_counts(that);
        let turns = works.turns.load(Ordering::Relaxed);
        drop(lock);
        // The others work on.
        for _ in 0..100 {
            if works.turns.load(Ordering::Relaxed) > turns + 20 {
                break;
            }
            sleep::delay(100_000, may_fault);
        }
        let after = quiet_counts(that);
        ensure!(after == (switches, ticks), "cpu {index} is off line and did {after:?}");
        let lock = lock_processors(may_fault);
        let came = cpu_online(that, &KernelDuties, &lock, may_fault);
        ensure!(came.is_ok(), "no memory to put cpu {index} on line");
        drop(lock);
    }
    let wanted = if cpus == 1 { 0 } else { 1 };
    ensure!(gone >= wanted, "no processor ever went off line");
    Ok(())
}

/// What does not move on a processor that is off line.
fn quiet_counts(cpu: &CpuDispatch) -> (u64, u64) {
    let counts = cpu.counts();
    (counts.switches.load(Ordering::Relaxed), counts.ticks.load(Ordering::Relaxed))
}

pub fn bound_threads_keep_a_processor_on_line(run: &mut Run<'_>) -> Outcome {
    let cpus = run.kernel.system.cpu_count();
    if cpus == 1 {
        return Ok(());
    }
    fn body(refused: &Mutex<Outcome>, _: usize, may_fault: &mut MayFault) {
        let kernel = Kernel::current();
        let last = cpu(kernel, kernel.system.cpu_count() - 1);
        let mut wrong = Ok(());
        // The processor of the boot thread.
        let lock = lock_processors(may_fault);
        let first = cpu_offline(cpu(kernel, 0), true, &KernelDuties, &lock, may_fault);
        if first.is_ok() {
            wrong = Err(Wrong::new(format_args!("cpu 0 went off line with its duties")));
        }
        // One's own.
        let affinity = affinity_set(Thread::running(), last, &lock);
        let own = cpu_offline(last, false, &KernelDuties, &lock, may_fault);
        if own != Err(OffLineError::SelfBound) {
            wrong = Err(Wrong::new(format_args!("bound to it oneself: {own:?}")));
        }
        drop(affinity);
        drop(lock);
        *refused.lock(may_fault) = wrong;
    }
    let refused = Mutex::new(Ok(()));
    run_threads(&refused, core::iter::once(system()), body, run.may_fault)?;
    core::mem::replace(&mut *refused.lock(run.may_fault), Ok(()))
}
