//! Work spreads: no processor idles while threads wait.

use super::super::processors::PATIENCE;
use super::super::processors::wait_until;
use super::super::{Outcome, Run, ensure};
use super::{THREADS_MAX, run_threads, system};
use crate::kernel::Kernel;
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::{CpuDispatch, Dispatch, Priority, Thread, preempt, sleep};
use machine::system::CPU_MAX;
use machine::{MayFault, time};

struct Crowd {
    /// Threads that run at this moment, all of which wait for all others.
    running: AtomicU64,
    wanted: u64,
    /// The processors that they ran on.
    seen: AtomicU64,
    alone: AtomicU64,
}

/// First with a thread for each processor, then with several.
pub fn work_spreads(run: &mut Run<'_>) -> Outcome {
    as_many_as_processors(run)?;
    if run.kernel.system.cpu_count() <= MILL_CPUS_MAX {
        who_never_sleeps_keeps_all_busy(run)?;
    }
    nobody_idles_beside_work(run)
}

fn as_many_as_processors(run: &mut Run<'_>) -> Outcome {
    /// Each thread keeps its processor until all run at the same time: which they only can if no processor
    /// idles while one of them waits.
    fn body(crowd: &Crowd, _: usize, _: &mut MayFault) {
        crowd.running.fetch_add(1, Ordering::AcqRel);
        let all = || crowd.running.load(Ordering::Acquire) >= crowd.wanted;
        if !wait_until(Kernel::current(), all) {
            crowd.alone.fetch_add(1, Ordering::Relaxed);
            // Let the others through, or each of them waits as long.
            crowd.running.fetch_add(crowd.wanted, Ordering::AcqRel);
        }
        let index = Thread::running().cpu_index().unwrap_or(0);
        crowd.seen.fetch_or(1 << index, Ordering::Relaxed);
    }
    let cpus = run.kernel.system.cpu_count();
    for round in 0..10 {
        let crowd = Crowd {
            running: AtomicU64::new(0),
            wanted: cpus as u64,
            seen: AtomicU64::new(0),
            alone: AtomicU64::new(0),
        };
        run_threads(&crowd, (0..cpus).map(|_| system()), body, run.may_fault)?;
        let alone = crowd.alone.load(Ordering::Relaxed);
        ensure!(
            alone == 0,
            "round {round}: {alone} threads of {cpus} waited for the others in vain"
        );
        let seen = crowd.seen.load(Ordering::Relaxed).count_ones() as usize;
        ensure!(seen == cpus, "round {round}: {seen} processors of {cpus} were used");
    }
    Ok(())
}

/// How many threads the other two parts have: three for each processor, or as many as there can be.
fn many(run: &Run<'_>) -> usize {
    (3 * run.kernel.system.cpu_count()).min(THREADS_MAX)
}

/// How long a thread sleeps before it looks again, in ticks of the clock.
const NAP: u64 = 100_000;

/// One of what processors count, of each of them.
struct Counted([u64; CPU_MAX]);

impl Counted {
    fn now(count: impl Fn(&CpuDispatch) -> u64) -> Counted {
        let mut counted = Counted([0; CPU_MAX]);
        for cpu in Dispatch::current().cpus() {
            counted.0[cpu.index()] = count(cpu);
        }
        counted
    }

    fn switches() -> Counted {
        Counted::now(|cpu| cpu.counts().switches.load(Ordering::Relaxed))
    }

    fn halts() -> Counted {
        Counted::now(|cpu| cpu.counts().halts.load(Ordering::Relaxed))
    }

    fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

fn steals() -> u64 {
    Counted::now(|cpu| cpu.counts().steals.load(Ordering::Relaxed)).sum()
}

/// On more processors than that, the host's few would be busy with nothing but changing places.
const MILL_CPUS_MAX: usize = 16;

/// Threads that give way again and again and never sleep, more than there are processors: so there is always
/// one that waits, and no processor has a reason to halt.
fn who_never_sleeps_keeps_all_busy(run: &mut Run<'_>) -> Outcome {
    /// How often every processor has to switch.
    const SWITCHES: u64 = 10;
    struct Mill {
        begun: AtomicU64,
        awake: AtomicU64,
        wanted: u64,
        gave_up: AtomicU64,
        over: AtomicU64,
        halts: AtomicU64,
    }
    fn body(mill: &Mill, number: usize, may_fault: &mut MayFault) {
        let kernel = Kernel::current();
        // Whoever gives way all the time would be in the way of who makes the others.
        mill.begun.fetch_add(1, Ordering::AcqRel);
        let deadline = kernel.uptime_nanoseconds() + PATIENCE;
        while mill.begun.load(Ordering::Acquire) < mill.wanted
            && kernel.uptime_nanoseconds() < deadline
        {
            sleep::delay(NAP, may_fault);
        }
        mill.awake.fetch_add(1, Ordering::AcqRel);
        let all_awake = || {
            preempt::yield_now();
            mill.awake.load(Ordering::Acquire) >= mill.wanted
        };
        let came = wait_until(kernel, all_awake);
        if number != 0 {
            let over = || {
                preempt::yield_now();
                mill.over.load(Ordering::Acquire) != 0
            };
            if !(came && wait_until(kernel, over)) {
                mill.gave_up.fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
        // From here until it is over, as many wait as do not run.
        let (halts, before) = (Counted::halts().sum(), Counted::switches());
        let all_switch = || {
            preempt::yield_now();
            let now = Counted::switches();
            let mut cpus = Dispatch::current().cpus().map(CpuDispatch::index);
            cpus.all(|index| now.0[index] - before.0[index] >= SWITCHES)
        };
        if !(came && wait_until(kernel, all_switch)) {
            mill.gave_up.fetch_add(1, Ordering::Relaxed);
        }
        mill.halts.store(Counted::halts().sum() - halts, Ordering::Relaxed);
        mill.over.store(1, Ordering::Release);
    }
    let threads = many(run);
    let mill = Mill {
        begun: AtomicU64::new(0),
        awake: AtomicU64::new(0),
        wanted: threads as u64,
        gave_up: AtomicU64::new(0),
        over: AtomicU64::new(0),
        halts: AtomicU64::new(0),
    };
    run_threads(&mill, (0..threads).map(|_| system()), body, run.may_fault)?;
    let gave_up = mill.gave_up.load(Ordering::Relaxed);
    ensure!(gave_up == 0, "{gave_up} of {threads} waited in vain for all processors to switch");
    let halts = mill.halts.load(Ordering::Relaxed);
    ensure!(halts == 0, "processors halted {halts} times while {threads} threads wanted to run");
    Ok(())
}

/// Under counted instructions: how long a processor may idle, at most, while threads wait. Measured: up to 273,
/// on 8 processors. Much shorter than they sleep: a sleeper that wakes ends what a lost wake-up began.
const IDLE_MAX: u64 = 30_000;

/// The same where the host decides when a processor runs, in nanoseconds.
const IDLE_MAX_NANOSECONDS: u64 = 10_000_000_000;

/// Threads that come and go: each computes, looks whether a processor idles beside work, and sleeps.
fn nobody_idles_beside_work(run: &mut Run<'_>) -> Outcome {
    /// How often each thread looks.
    const TURNS: u64 = 40;
    struct Watch {
        limit: u64,
        /// The longest time that one idled, in ticks of the clock.
        longest: AtomicU64,
        /// Threads that look no more.
        done: AtomicU64,
        threads: u64,
    }
    impl Watch {
        /// Looks at every processor, and goes on looking at one that idles until it does not or until no
        /// thread waits anywhere: all are unbound.
        fn look(&self) {
            let all = || Dispatch::current().cpus();
            let is_work = || all().any(|cpu| cpu.waiting() != 0);
            for cpu in all() {
                let switches = || cpu.counts().switches.load(Ordering::Relaxed);
                let (before, began) = (switches(), time::now());
                let idles = || cpu.dispatch_priority() == Priority::NONE && switches() == before;
                if !(idles() && is_work()) {
                    continue;
                }
                while idles() && is_work() && self.longest.load(Ordering::Relaxed) <= self.limit {
                    let so_far = time::now().saturating_sub(began);
                    self.longest.fetch_max(so_far, Ordering::Relaxed);
                    core::hint::spin_loop();
                }
            }
        }
    }
    fn body(watch: &Watch, number: usize, may_fault: &mut MayFault) {
        let kernel = Kernel::current();
        let frequency = kernel.system.backend.clock.frequency().expect("calibrated");
        for turn in 0..TURNS {
            // Uneven times, the same in every run; so there are more runnable threads than processors at
            // one time, and fewer at another.
            let uneven = (number as u64 * 7 + turn * 13) % 17;
            kernel.spin_nanoseconds(10_000 + 5_000 * uneven);
            watch.look();
            sleep::delay(frequency.ticks(500_000 + 200_000 * (16 - uneven)), may_fault);
        }
        // The boot thread waits for the first thread first. It is bound: nobody but its own processor could
        // run it while others look.
        watch.done.fetch_add(1, Ordering::AcqRel);
        while number == 0 && watch.done.load(Ordering::Acquire) < watch.threads {
            sleep::delay(NAP, may_fault);
        }
    }
    let counted = run.kernel.options.counted;
    let frequency = run.kernel.system.backend.clock.frequency().expect("calibrated");
    let (threads, before) = (many(run), steals());
    let watch = Watch {
        limit: if counted { IDLE_MAX } else { frequency.ticks(IDLE_MAX_NANOSECONDS) },
        longest: AtomicU64::new(0),
        done: AtomicU64::new(0),
        threads: threads as u64,
    };
    run_threads(&watch, (0..threads).map(|_| system()), body, run.may_fault)?;
    let longest = watch.longest.load(Ordering::Relaxed);
    let steals = steals() - before;
    ensure!(longest <= watch.limit, "a processor idled for {longest} ticks while threads waited");
    // So there was something to see: threads waited where they were put while others had nothing to do.
    let alone = run.kernel.system.cpu_count() == 1;
    let right = if alone { steals == 0 } else { steals != 0 || !counted };
    ensure!(right, "{steals} threads were stolen");
    Ok(())
}
