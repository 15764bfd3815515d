//! Checks of processors: work, pokes, locks, interrupt levels, preemption.

use super::{LINE, Outcome, Run, ensure};
use crate::kernel::{Kernel, PerCpu};
use crate::threads::run_on;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::pil::{self, Pil};
use machine::{Cpu, idle, poke, preempt, time};

/// Longest wait for another processor, in nanoseconds: they may all share one host processor.
pub const PATIENCE: u64 = 30_000_000_000;

/// Spins until something holds; says whether it did in time.
pub fn wait_until(kernel: &Kernel, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = kernel.uptime_nanoseconds() + PATIENCE;
    while !holds() {
        if kernel.uptime_nanoseconds() > deadline {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

/// The processors that idle and take work: all but the one that runs the checks.
pub fn others(kernel: &Kernel) -> impl Iterator<Item = &'static Cpu> + '_ {
    kernel
        .system
        .cpus()
        .filter(|cpu| cpu.index() != 0 && cpu.backend.online.load(Ordering::Acquire))
}

fn counter(number: usize) -> &'static AtomicU64 {
    &Kernel::current().shared.counters[number]
}

pub fn every_processor_works(run: &mut Run<'_>) -> Outcome {
    fn work() {
        let guard = preempt::disable_anywhere();
        let cpu = Cpu::current(guard.atomic());
        counter(0).fetch_or(1 << cpu.index(), Ordering::AcqRel);
        if pil::Pil::current() == Pil::NONE {
            counter(1).fetch_add(1, Ordering::AcqRel);
        }
    }
    let kernel = run.kernel;
    let expected = kernel.system.cpu_count() as u64 - 1;
    ensure!(
        others(kernel).count() as u64 == expected,
        "{} of {expected} other processors are on line",
        others(kernel).count()
    );
    for cpu in others(kernel) {
        ensure!(run_on(cpu, work), "no memory for a thread on cpu {}", cpu.index());
    }
    let done = wait_until(kernel, || counter(1).load(Ordering::Acquire) == expected);
    let seen = counter(0).load(Ordering::Acquire);
    ensure!(done, "only {} of {expected} worked", counter(1).load(Ordering::Acquire));
    ensure!(u64::from(seen.count_ones()) == expected, "they say they are {seen:#b}");
    Ok(())
}

pub fn every_processor_answers_a_poke(run: &mut Run<'_>) -> Outcome {
    let kernel = run.kernel;
    for cpu in kernel.system.cpus().filter(|cpu| cpu.backend.online.load(Ordering::Acquire)) {
        let before = cpu.pokes();
        poke::poke(cpu);
        ensure!(wait_until(kernel, || cpu.pokes() > before), "cpu {} does not answer", cpu.index());
    }
    Ok(())
}

pub fn pokes_are_never_lost(run: &mut Run<'_>) -> Outcome {
    const ROUNDS: u64 = 2000;
    fn work() {
        counter(0).fetch_add(1, Ordering::AcqRel);
    }
    let kernel = run.kernel;
    // Each round the other processor is on its way to halt, or there: no tick wakes it but the poke.
    let rounds = ROUNDS / kernel.system.cpu_count() as u64;
    for cpu in others(kernel) {
        counter(0).store(0, Ordering::Release);
        for round in 0..rounds {
            ensure!(
                wait_until(kernel, || counter(0).load(Ordering::Acquire) == round),
                "cpu {}: round {round} did not come back",
                cpu.index()
            );
            ensure!(run_on(cpu, work), "no memory for a thread on cpu {}", cpu.index());
        }
        ensure!(
            wait_until(kernel, || counter(0).load(Ordering::Acquire) == rounds),
            "cpu {}: the last round did not come back",
            cpu.index()
        );
    }
    Ok(())
}

pub fn spin_lock_excludes(run: &mut Run<'_>) -> Outcome {
    const TURNS: u64 = 2000;
    fn work() {
        let kernel = Kernel::current();
        for _ in 0..TURNS {
            let mut value = kernel.shared.locked.lock_anywhere();
            // Read, linger, write: without exclusion turns are lost.
            let before = *value;
            core::hint::spin_loop();
            *value = before + 1;
        }
        counter(0).fetch_add(1, Ordering::AcqRel);
    }
    let kernel = run.kernel;
    let workers = others(kernel).filter(|cpu| run_on(cpu, work)).count() as u64 + 1;
    work();
    ensure!(
        wait_until(kernel, || counter(0).load(Ordering::Acquire) == workers),
        "only {} of {workers} got through",
        counter(0).load(Ordering::Acquire)
    );
    let value = *kernel.shared.locked.lock_anywhere();
    ensure!(value == workers * TURNS, "{value} turns of {}", workers * TURNS);
    Ok(())
}

pub fn interrupt_is_held_back(run: &mut Run<'_>) -> Outcome {
    let own = run.kernel.system.cpu(0).expect("the first processor is there");
    for _ in 0..100 {
        let (before, held_before) = (own.pokes(), own.held_back());
        let guard = pil::raise(Pil::DISP, run.may_fault);
        for _ in 0..5 {
            poke::poke(own);
            run.kernel.spin_nanoseconds(1000);
        }
        let during = own.pokes();
        let held = own.held_back() - held_before;
        drop(guard);
        let after = own.pokes();
        ensure!(during == before, "a poke came through at its own level");
        // The first is noted; from then on the controller holds the level.
        ensure!(held == 1, "{held} interrupts were taken in vain");
        ensure!((1..=2).contains(&(after - before)), "{} pokes after lowering", after - before);
        ensure!(Pil::current() == Pil::NONE, "the level is {:?} afterwards", Pil::current());
    }
    Ok(())
}

pub fn halt_misses_no_interrupt(run: &mut Run<'_>) -> Outcome {
    let own = run.kernel.system.cpu(0).expect("the first processor is there");
    let per_cpu = PerCpu::of(own);
    let timers = || per_cpu.timer_interrupts.load(Ordering::Relaxed);
    let second =
        run.kernel.system.backend.clock.frequency().expect("calibrated").ticks(1_000_000_000);
    for _ in 0..50 {
        let (pokes_before, timers_before) = (own.pokes(), timers());
        idle::halt_unless(run.may_fault, |atomic| {
            // Work is announced after the look: the halt must end at once. The timer ends it if not.
            time::set_timer(atomic, time::now() + second);
            poke::poke(own);
            false
        });
        {
            let guard = preempt::disable(run.may_fault);
            time::stop_timer(guard.atomic());
        }
        ensure!(timers() == timers_before, "only the timer ended the halt");
        ensure!(own.pokes() == pokes_before + 1, "{} pokes", own.pokes() - pokes_before);
    }
    Ok(())
}

pub fn levels_replay_in_order(run: &mut Run<'_>) -> Outcome {
    let kernel = run.kernel;
    let own = kernel.system.cpu(0).expect("the first processor is there");
    let per_cpu = PerCpu::of(own);
    let timers = || per_cpu.timer_interrupts.load(Ordering::Relaxed);
    let (pokes_before, timers_before) = (own.pokes(), timers());
    let outer = pil::raise(Pil::DISP, run.may_fault);
    let inner = pil::raise_within(Pil::SPIN_MAX, outer.atomic());
    // The timer's level is below the poke's: it is in the controller's hands while the poke is held.
    time::set_timer(inner.atomic(), time::now());
    poke::poke(own);
    kernel.spin_nanoseconds(100_000);
    ensure!(own.pokes() == pokes_before && timers() == timers_before, "one came through");
    drop(inner);
    kernel.spin_nanoseconds(1000);
    ensure!(
        own.pokes() == pokes_before && timers() == timers_before,
        "one came through at the dispatcher's level"
    );
    drop(outer);
    ensure!(own.pokes() == pokes_before + 1, "the poke was not replayed");
    ensure!(wait_until(kernel, || timers() == timers_before + 1), "the timer's interrupt was lost");
    Ok(())
}

pub fn shoot_down_passes_spinners(run: &mut Run<'_>) -> Outcome {
    let kernel = run.kernel;
    let own = kernel.system.cpu(0).expect("the first processor is there");
    kernel.shared.handlers.set(Some(|_, _, _| {
        counter(3).fetch_add(1, Ordering::AcqRel);
    }));
    let guard = pil::raise(Pil::SPIN_MAX, run.may_fault);
    let vector = machine::x86_64::trap::vector(Pil::SHOOT_DOWN, LINE);
    kernel.system.backend.local_apic.send(own.backend.apic_id, vector);
    let came = wait_until(kernel, || counter(3).load(Ordering::Acquire) == 1);
    drop(guard);
    ensure!(came, "an interrupt at level 14 was held back at level 13");
    Ok(())
}

pub fn preemption_waits(run: &mut Run<'_>) -> Outcome {
    let per_cpu = PerCpu::of(run.kernel.system.cpu(0).expect("the first processor is there"));
    let count = || per_cpu.preemptions.load(Ordering::Relaxed);
    let before = count();
    {
        let guard = preempt::disable(run.may_fault);
        let nested = preempt::disable_anywhere();
        preempt::want(guard.atomic());
        drop(pil::raise_within(Pil::DISP, guard.atomic()));
        drop(nested);
        ensure!(count() == before, "preempted while preemption was off");
    }
    ensure!(count() == before + 1, "not preempted when preemption came on");
    {
        let guard = pil::raise(Pil::DISP, run.may_fault);
        preempt::want(guard.atomic());
        ensure!(count() == before + 1, "preempted at the dispatcher's level");
        guard.restore_without_preemption();
        ensure!(count() == before + 1, "preempted by a restore that should not");
    }
    preempt::check();
    ensure!(count() == before + 2, "a wish was forgotten");
    Ok(())
}
