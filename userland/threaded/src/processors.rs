//! Whether every virtual processor is still there.

use crate::many::Outcome;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libsa::runtime::{self, Mode};
use libsa::thread;
use userland::{clock, fail};

/// After so long a virtual processor does not come back any more.
const PATIENCE: u64 = 20 * clock::SECOND;

/// As many threads compute as there are virtual processors, until each of those was seen.
pub fn all_run_threads() -> Outcome {
    if runtime::mode() == Mode::Lwp {
        return Ok(());
    }
    let seen = AtomicU64::new(0);
    let processors = runtime::scheduler().processors();
    let all = u64::MAX >> (64 - processors);
    let end = clock::nanoseconds() + PATIENCE;
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while seen.load(Relaxed) != all && clock::nanoseconds() < end {
                    seen.fetch_or(1 << runtime::processor_number(), Relaxed);
                }
            });
        }
    });
    let seen = seen.into_inner();
    if seen == all {
        return Ok(());
    }
    let idle = runtime::scheduler().idle();
    fail!("of {all:#b} {seen:#b} run threads; idle {idle:?}; {:?}", runtime::counts())
}
