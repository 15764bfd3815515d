//! Work spreads: no processor idles while threads wait.

use super::super::processors::wait_until;
use super::super::{Outcome, Run, ensure};
use super::{run_threads, system};
use crate::kernel::Kernel;
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::Thread;
use machine::MayFault;

struct Crowd {
    /// Threads that run at this moment, all of which wait for all others.
    running: AtomicU64,
    wanted: u64,
    /// The processors that they ran on.
    seen: AtomicU64,
    alone: AtomicU64,
}

pub fn work_spreads(run: &mut Run<'_>) -> Outcome {
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
