//! The memory of threads that are parked.

use abi::calls::Counter;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libsa::thread;
use userland::bench::Bench;
use userland::{eprintln, system};

const PAGE: u64 = 4096;
const THREADS: u64 = 100_000;

/// All of them stand parked at once; the difference in free memory is theirs, the kernel's for them included.
pub fn measure(bench: &Bench) -> i32 {
    static PARKED: AtomicU64 = AtomicU64::new(0);
    let mut threads = Vec::with_capacity(THREADS as usize);
    let free = || system::counter(Counter::FreeFrames);
    let before = free();
    for _ in 0..THREADS {
        let made = thread::Builder::new().spawn(|| {
            PARKED.fetch_add(1, Relaxed);
            thread::park();
        });
        let Ok(made) = made else {
            eprintln!("there can be no more than {} threads", threads.len());
            return 1;
        };
        threads.push(made);
    }
    while PARKED.load(Relaxed) != THREADS {
        thread::yield_now();
    }
    let used = before.saturating_sub(free()) * PAGE;
    for thread in threads {
        thread.thread().unpark();
        let Ok(()) = thread.join();
    }
    bench.bytes("sa.memory_parked", used / THREADS);
    0
}
