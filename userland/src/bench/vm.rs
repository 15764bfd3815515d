//! Virtual memory: faults of each kind, fork, map and unmap.
//!
//! Each fault is the first access to a page that the measurement has brought into the state in question; what a pass
//! over memory that is all there takes is subtracted.

use super::Bench;
use crate::clock::ticks;
use crate::system::{self, raw};
use core::arch::asm;
use core::ptr;

const PAGE: u64 = 4096;
/// Pages of a pass.
const PAGES: u64 = 256;
/// Rounds of each measurement, of which the shortest counts.
const ROUNDS: usize = 6;

const READ: i32 = 1;
const WRITE: i32 = 2;
const PRIVATE: i32 = 2;
const ANONYMOUS: i32 = 0x20;

pub(super) fn measure(bench: &Bench) {
    bench.value("vm.fault_zero", per_page(fresh, write));
    bench.value("vm.fault_software", per_page(resident, write));
    if let Some(value) = file() {
        bench.value("vm.fault_file", value);
    }
    bench.value("vm.fault_cow", shortest(cow_of_two));
    bench.value("vm.fault_cow_last", shortest(cow_of_one));
    bench.value("vm.fault_stack", stack());
    let base = shortest(|| fork(0));
    bench.value("vm.fork_base", base);
    bench.value("vm.fork_page", shortest(|| fork(4096)).saturating_sub(base) / 4096);
    bench.value("vm.map_touch_unmap", shortest(map_touch_unmap));
}

fn shortest(measure: impl Fn() -> u64) -> u64 {
    (0..ROUNDS).map(|_| measure()).min().unwrap_or(0)
}

/// Maps so many pages that nobody has touched.
fn map(pages: u64) -> u64 {
    // SAFETY: somewhere where nothing is.
    let mapped = unsafe { raw::mmap(0, pages * PAGE, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0) };
    mapped.expect("there is memory for a benchmark")
}

fn unmap(start: u64, pages: u64) {
    // SAFETY: what a measurement mapped, and does not use any more.
    let _ = unsafe { raw::munmap(start, pages * PAGE) };
}

/// Writes the first word of every page.
fn write(start: u64, pages: u64) {
    for page in 0..pages {
        let word = ptr::with_exposed_provenance_mut::<u64>((start + page * PAGE) as usize);
        // SAFETY: mapped by the measurement.
        unsafe { word.write_volatile(1) };
    }
}

/// Reads it.
fn read(start: u64, pages: u64) {
    for page in 0..pages {
        let word = ptr::with_exposed_provenance::<u64>((start + page * PAGE) as usize);
        // SAFETY: mapped by the measurement.
        unsafe { word.read_volatile() };
    }
}

/// What a pass takes, per page, beyond what it takes when all is there.
fn pass(start: u64, pages: u64, touch: fn(u64, u64)) -> u64 {
    let time = || {
        let begin = ticks();
        touch(start, pages);
        ticks() - begin
    };
    let first = time();
    first.saturating_sub(time()) / pages
}

fn per_page(prepare: fn() -> u64, touch: fn(u64, u64)) -> u64 {
    shortest(|| {
        let start = prepare();
        let value = pass(start, PAGES, touch);
        unmap(start, PAGES);
        value
    })
}

fn fresh() -> u64 {
    // Tables and the object are there after the first touch; what is measured is a page.
    let start = map(PAGES + 1);
    write(start + PAGES * PAGE, 1);
    start
}

/// Memory that is there, of which the page tables say only that it can be read.
fn resident() -> u64 {
    let start = map(PAGES);
    write(start, PAGES);
    for protection in [READ, READ | WRITE] {
        // SAFETY: the measurement's own.
        let _ = unsafe { raw::mprotect(start, PAGES * PAGE, protection) };
    }
    start
}

/// Pages of a file that are in memory, and in no page table.
fn file() -> Option<u64> {
    const SOME: u64 = 4;
    // SAFETY: a path that ends with a null byte.
    let fd = unsafe { raw::open(c"/bin/bench".as_ptr().cast(), 0, 0) }.ok()? as i32;
    // SAFETY: somewhere where nothing is.
    let map = || unsafe { raw::mmap(0, SOME * PAGE, READ, PRIVATE, fd, 0) }.ok();
    let first = map()?;
    read(first, SOME);
    unmap(first, SOME);
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let start = map()?;
        // The tables above are made with the first page; measured are the others.
        read(start, 1);
        least = least.min(pass(start + PAGE, SOME - 1, read));
        unmap(start, SOME);
    }
    // SAFETY: opened above.
    let _ = unsafe { raw::close(fd) };
    Some(least)
}

/// Makes a child that ends at once; returns its number.
fn child() -> u64 {
    // SAFETY: the child ends at once.
    match unsafe { raw::fork() } {
        Ok(0) => system::exit_group(0),
        Ok(child) => child,
        Err(error) => panic!("fork: {}", error.text()),
    }
}

fn wait(child: u64) {
    // SAFETY: nothing is to be written.
    let _ = unsafe { raw::wait4(child as i32, ptr::null_mut(), 0, ptr::null_mut()) };
}

/// Writes to pages that a child has too: it has not run yet.
fn cow_of_two() -> u64 {
    let start = map(PAGES + 1);
    write(start, PAGES + 1);
    let child = child();
    // The shadow is made at the first write; measured are the others.
    write(start + PAGES * PAGE, 1);
    let value = pass(start, PAGES, write);
    wait(child);
    unmap(start, PAGES + 1);
    value
}

/// Writes to pages that a child has had.
fn cow_of_one() -> u64 {
    let start = map(PAGES + 1);
    write(start, PAGES + 1);
    wait(child());
    write(start + PAGES * PAGE, 1);
    let value = pass(start, PAGES, write);
    unmap(start, PAGES + 1);
    value
}

/// Goes down the stack, a page at a time.
fn stack() -> u64 {
    /// Far below everything that has been used so far.
    const BELOW: u64 = 2 << 20;
    const STACK_PAGES: u64 = 64;
    let top: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) top, options(nomem, nostack)) };
    let start = (top - BELOW) & !(PAGE - 1);
    // The tables above are made with the first page.
    write(start + STACK_PAGES * PAGE, 1);
    pass(start, STACK_PAGES, write)
}

/// Fork, exit and wait, with so many pages written before.
fn fork(dirty: u64) -> u64 {
    let start = (dirty != 0).then(|| map(dirty));
    if let Some(start) = start {
        write(start, dirty);
    }
    let begin = ticks();
    wait(child());
    let time = ticks() - begin;
    if let Some(start) = start {
        unmap(start, dirty);
    }
    time
}

fn map_touch_unmap() -> u64 {
    let begin = ticks();
    let start = map(1);
    write(start, 1);
    unmap(start, 1);
    ticks() - begin
}
