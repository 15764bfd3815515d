//! Checks of clock and timer.

use super::processors::{others, wait_until};
use super::{Outcome, Run, ensure};
use crate::kernel::{Kernel, PerCpu};
use crate::threads::run_on;
use core::sync::atomic::Ordering;
use machine::{preempt, time};

fn timers(run: &Run<'_>) -> u64 {
    let own = run.kernel.system.cpu(0).expect("the first processor is there");
    PerCpu::of(own).timer_interrupts.load(Ordering::Relaxed)
}

pub fn timer_runs_out(run: &mut Run<'_>) -> Outcome {
    let frequency = run.kernel.system.backend.clock.frequency().expect("calibrated");
    for nanoseconds in [0, 10_000, 1_000_000, 5_000_000] {
        let before = timers(run);
        let start = time::now();
        let deadline = start + frequency.ticks(nanoseconds);
        {
            let guard = preempt::disable(run.may_fault);
            time::set_timer(guard.atomic(), deadline);
        }
        let came = wait_until(run.kernel, || timers(run) > before);
        let end = time::now();
        ensure!(came, "no interrupt {nanoseconds} ns after it was set");
        // Calibration is good to a percent or two on a busy host.
        let early = deadline.saturating_sub(end);
        ensure!(
            early <= frequency.ticks(nanoseconds) / 10 + frequency.ticks(20_000),
            "{} ns too early of {nanoseconds}",
            frequency.nanoseconds(early)
        );
        ensure!(timers(run) == before + 1, "one deadline, {} interrupts", timers(run) - before);
    }
    Ok(())
}

pub fn timer_can_be_stopped(run: &mut Run<'_>) -> Outcome {
    let frequency = run.kernel.system.backend.clock.frequency().expect("calibrated");
    let before = timers(run);
    {
        // Nothing may come between setting and stopping.
        let guard = machine::pil::raise(machine::Pil::DISP, run.may_fault);
        time::set_timer(guard.atomic(), time::now() + frequency.ticks(1_000_000_000));
        time::stop_timer(guard.atomic());
    }
    run.kernel.spin_nanoseconds(2_000_000);
    ensure!(timers(run) == before, "a stopped timer ran out");
    Ok(())
}

pub fn clock_agrees_across_processors(run: &mut Run<'_>) -> Outcome {
    fn look() {
        let shared = &Kernel::current().shared;
        shared.counters[0].store(time::now(), Ordering::Release);
        shared.flag.store(true, Ordering::Release);
    }
    for cpu in others(run.kernel) {
        let shared = &run.kernel.shared;
        shared.flag.store(false, Ordering::Release);
        let before = time::now();
        ensure!(run_on(cpu, look), "no memory for a thread on cpu {}", cpu.index());
        let looked = wait_until(run.kernel, || shared.flag.load(Ordering::Acquire));
        let after = time::now();
        let there = shared.counters[0].load(Ordering::Acquire);
        ensure!(looked, "cpu {} did not look", cpu.index());
        ensure!(
            (before..=after).contains(&there),
            "cpu {} says {there}, between {before} and {after}",
            cpu.index()
        );
    }
    Ok(())
}
