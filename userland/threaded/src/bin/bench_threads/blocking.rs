//! A thread sleeps in the kernel, and comes back.

use crate::Table;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libsa::thread;
use userland::bench::per_long_operation;
use userland::system::raw;

/// Operations in a round.
const OPERATIONS: u64 = 100;

pub fn measure(table: &Table) {
    let mut pipe = [0_i32; 2];
    // SAFETY: the pair is there.
    let made = unsafe { raw::pipe2(pipe.as_mut_ptr().cast(), 0) };
    assert!(made.is_ok(), "pipe2: {made:?}");
    table.value("block_roundtrip", block_roundtrip(pipe));
}

fn write(end: i32, byte: u8) {
    // SAFETY: the byte is there.
    let written = unsafe { raw::write(end, &raw const byte, 1) };
    assert_eq!(written, Ok(1), "write");
}

fn read(end: i32) -> u8 {
    let mut byte = 0_u8;
    // SAFETY: the byte is there.
    let read = unsafe { raw::read(end, &raw mut byte, 1) };
    assert_eq!(read, Ok(1), "read");
    byte
}

/// Another thread reads from the empty pipe; this one goes on meanwhile, and writes. What writing and reading cost where
/// nobody sleeps is taken off.
fn block_roundtrip([from, to]: [i32; 2]) -> u64 {
    static READS: AtomicU64 = AtomicU64::new(0);
    let other = thread::spawn(move || {
        loop {
            READS.fetch_add(1, Relaxed);
            if read(from) == 0 {
                break;
            }
        }
    });
    let mut seen = 0;
    let mut wake = |byte| {
        // It has come back from the last time, and reads again.
        while READS.load(Relaxed) == seen {
            thread::yield_now();
        }
        seen += 1;
        write(to, byte);
    };
    let value = per_long_operation(OPERATIONS, || wake(1));
    wake(0);
    let Ok(()) = other.join();
    let without = per_long_operation(OPERATIONS, || {
        write(to, 1);
        read(from);
    });
    value.saturating_sub(without)
}
