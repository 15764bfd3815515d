//! What a thread does that needs no other one.

use crate::Table;
use alloc::vec::Vec;
use core::hint::black_box;
use libsa::sync::Mutex;
use libsa::thread::{self, JoinHandle};
use userland::bench::{per_long_operation, per_operation};
use userland::clock::ticks;

/// Threads in a round.
const THREADS: usize = 100;
const ROUNDS: usize = 8;

pub fn measure(table: &Table) {
    table.value("create", create());
    table.value("create_join", per_long_operation(THREADS as u64, create_join));
    table.value("null_fork", per_long_operation(THREADS as u64, null_fork));
    table.value("mutex", per_operation(with_mutex, without_mutex));
}

/// Makes threads that run later, on stacks that were used before.
fn create() -> u64 {
    let mut threads: Vec<JoinHandle<()>> = Vec::with_capacity(THREADS);
    let mut round = || {
        let start = ticks();
        for _ in 0..THREADS {
            threads.push(thread::spawn(|| ()));
        }
        let end = ticks();
        for thread in threads.drain(..) {
            let Ok(()) = thread.join();
        }
        end - start
    };
    let shortest = (0..ROUNDS).map(|_| round()).min().unwrap_or(0);
    (shortest + THREADS as u64 / 2) / THREADS as u64
}

fn create_join() {
    let Ok(()) = thread::spawn(|| ()).join();
}

/// Anderson's: a thread is made, runs and is over.
fn null_fork() {
    drop(thread::spawn(|| ()));
    thread::yield_now();
}

static MUTEX: Mutex<u64> = Mutex::new(0);

fn with_mutex(turns: u64) {
    for turn in 0..turns {
        let Ok(guard) = MUTEX.lock();
        black_box(turn);
        drop(guard);
    }
}

fn without_mutex(turns: u64) {
    for turn in 0..turns {
        black_box(turn);
    }
}
