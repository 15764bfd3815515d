//! Whether every virtual processor of the thread library still runs threads.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libsa::runtime::{self, Mode};
use libsa::thread;
use userland::clock;

/// How long they may take to be seen, in nanoseconds.
const PATIENCE: u64 = 20_000_000_000;

/// As many threads compute as there are virtual processors, until each of those was seen. An error says, bit by bit,
/// which were.
pub fn all() -> Result<(), u64> {
    if runtime::mode() == Mode::Lwp {
        return Ok(());
    }
    let processors = runtime::scheduler().processors();
    let (all, seen) = (u64::MAX >> (64 - processors), AtomicU64::new(0));
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
    let seen = seen.load(Relaxed);
    if seen == all { Ok(()) } else { Err(seen) }
}
