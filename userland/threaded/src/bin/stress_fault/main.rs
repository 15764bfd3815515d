//! Has many threads use more memory than there is, and looks at every page that they come to again.
//!
//! ```text
//! stress_fault [PERCENT [ROUNDS [SEED [LESS]]]]
//!                               so much of the memory that is free (200), so often (2); LESS percent of it are
//!                               locked before (0), as on a smaller machine
//! LIBSA=mode,processors         as any program of many threads: see libsa's `runtime`
//! ```
//!
//! It wants a machine with swap: `cargo upcall run --memory 64M --swap 256M stress_fault`. Half of the visits are made by
//! threads that hold nothing; the others hold a mutex for which others wait, or are in the library's allocator, so that
//! the library itself waits for a page.

#![no_std]
#![no_main]

extern crate alloc;

mod boxes;
mod visits;

use abi::calls::Counter;
use abi::errno::Errno;
use threaded::table;
use userland::pattern::{Memory, PAGE};
use userland::system::{counter, raw};
use userland::{Arguments, eprintln, println};
use visits::Machine;

libsa::program!(main);

/// How many threads there are.
const THREADS: u64 = 64;
/// So much of memory and swap space together is used at most, in percent.
const MOST: u64 = 90;

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let mut number =
        |otherwise: u64| words.next().map_or(Some(otherwise), |word| word.parse().ok());
    let numbers = [number(200), number(2), number(1), number(0)];
    let [Some(percent), Some(rounds), Some(seed), Some(less @ 0..90)] = numbers else {
        eprintln!("stress_fault: how many percent of the free memory, how often, which seed?");
        return 2;
    };
    if let Err(error) = lock(counter(Counter::FreeFrames) * less / 100) {
        eprintln!("stress_fault: {less} percent of the memory: {}", error.text());
        return 1;
    }
    let (free, swap) = (counter(Counter::FreeFrames), counter(Counter::FreeSwapSlots));
    let pages = free * percent / 100;
    if pages > (free + swap) * MOST / 100 {
        eprintln!(
            "stress_fault: {pages} pages do not fit into {free} that are free and {swap} of swap space"
        );
        return 2;
    }
    table::begin(format_args!("{THREADS} threads with {pages} pages of {free}, seed {seed}"));
    let before = [Counter::PageIns, Counter::PageOuts].map(counter);
    let Some(machine) = Machine::new(THREADS, pages, seed) else {
        eprintln!("stress_fault: there are no addresses for {pages} pages");
        return 1;
    };
    let mut wrong = i32::from(!table::round("all pages are written", || machine.write()));
    for round in 1..=rounds {
        wrong += i32::from(!table::round("all pages are visited", || machine.visit(round)));
    }
    wrong += i32::from(!table::round("all pages are there", || machine.look(rounds)));
    let [read, written] = [Counter::PageIns, Counter::PageOuts].map(counter);
    println!("what memory did:");
    println!("  {:>9}  pages read from a disk", read - before[0]);
    println!("  {:>9}  pages written to swap space", written - before[1]);
    println!("  {:>9}  visits by threads that held nothing", machine.visits(0));
    println!("  {:>9}  by threads that held a mutex", machine.visits(1));
    println!("  {:>9}  in the library's allocator", machine.visits(2));
    table::end();
    wrong.min(1)
}

/// So many pages are not there for anybody else.
fn lock(pages: u64) -> Result<(), Errno> {
    if pages == 0 {
        return Ok(());
    }
    let memory = Memory::map(pages).ok_or(Errno::ENOMEM)?;
    // SAFETY: the call writes to no memory.
    unsafe { raw::mlock(memory.start, pages * PAGE) }.map(drop)
}
