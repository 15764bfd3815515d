//! Takes all memory every few seconds: writes it, reads it again, and gives it back.
//!
//! ```text
//! hog SECONDS [EVERY]     for so long (in seconds), a round every so often (every 10 s)
//! ```
//!
//! What others have in memory goes to swap space meanwhile. Each page says which round has written it, and where it is;
//! the hog looks at all of them before it gives them back.

#![no_std]
#![no_main]

use abi::calls::Counter;
use userland::clock::{self, SECOND};
use userland::{Arguments, eprintln, lwp, println, program, system};

program!(main);

/// Words of a page.
const WORDS: usize = 512;

/// So much is taken of what is free, in percent: the rest has to come from somebody else.
const PERCENT: u64 = 125;

/// What a page says in its first word, and in its last.
fn says(round: u64, page: u64) -> [u64; 2] {
    let word = (round << 32 | page).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    [word, !word]
}

/// A round; says how many pages it had, or what was wrong.
fn round(number: u64) -> Result<u64, &'static str> {
    const READ_WRITE: i32 = 3;
    const PRIVATE_ANONYMOUS: i32 = 0x22;
    let pages = system::counter(Counter::FreeFrames) * PERCENT / 100;
    let bytes = pages * 4096;
    // SAFETY: somewhere where nothing is.
    let mapped = unsafe { system::raw::mmap(0, bytes, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0) };
    let start = mapped.map_err(|error| error.text())?;
    let page = |page: u64| {
        let address = (start + page * 4096) as *mut [u64; WORDS];
        // SAFETY: within what was mapped, and nobody else has a reference.
        unsafe { &mut *address }
    };
    for place in 0..pages {
        [page(place)[0], page(place)[WORDS - 1]] = says(number, place);
    }
    for place in 0..pages {
        if [page(place)[0], page(place)[WORDS - 1]] != says(number, place) {
            return Err("a page says something else than was written");
        }
    }
    // SAFETY: nobody uses it any more.
    let unmapped = unsafe { system::raw::munmap(start, bytes) };
    unmapped.map(|_| pages).map_err(|error| error.text())
}

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words().map(str::parse::<u64>);
    let (seconds, every) = match (words.next(), words.next(), words.next()) {
        (Some(Ok(seconds)), None, None) => (seconds, 10),
        (Some(Ok(seconds)), Some(Ok(every)), None) => (seconds, every),
        _ => {
            eprintln!("usage: hog SECONDS [EVERY]");
            return 2;
        }
    };
    let begin = clock::nanoseconds();
    let end = begin.saturating_add(seconds.saturating_mul(SECOND));
    for number in 1.. {
        let due = begin.saturating_add(every.saturating_mul(SECOND).saturating_mul(number));
        let now = clock::nanoseconds();
        if due >= end {
            break;
        }
        if due > now && lwp::sleep(due - now).is_err() {
            return 1;
        }
        match round(number) {
            Ok(pages) => {
                let outs = system::counter(Counter::PageOuts);
                if !threaded::again::tell(&[number, pages, outs]) {
                    println!(
                        "hog: round {number}: {pages} pages; {outs} were written to swap space so far"
                    );
                }
            }
            Err(why) => {
                eprintln!("hog: WRONG: round {number}: {why}");
                return 1;
            }
        }
    }
    0
}
