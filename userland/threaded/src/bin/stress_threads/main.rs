//! Starts thousands of threads that compute, wait for each other and block, and checks what comes of it.
//!
//! ```text
//! stress_threads [THREADS [BLOCKED]]     so many threads at once (10,000), so many of them blocked in the kernel (200)
//! LIBSA=mode,processors                  as any program of many threads: see libsa's `runtime`
//! ```

#![no_std]
#![no_main]

mod rounds;

use rounds::Round;
use threaded::table;
use userland::{Arguments, eprintln, fail};

libsa::program!(main);

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let mut number =
        |otherwise: u64| words.next().map_or(Some(otherwise), |word| word.parse().ok());
    let (Some(threads), Some(blocked)) = (number(10_000), number(200)) else {
        eprintln!("stress_threads: how many threads, and how many of them blocked?");
        return 2;
    };
    let rounds: [(&str, u64, Round); 5] = [
        ("a tree of threads, each of which joins its branches", threads, rounds::tree),
        ("a ring of threads, each of which wakes the next", threads, rounds::ring),
        ("threads that share locks", threads, rounds::locks),
        ("threads that meet", threads, rounds::turns),
        ("threads that block in the kernel", blocked, rounds::blocked),
    ];
    table::begin(format_args!("{threads} threads at once"));
    let mut wrong = 0;
    for (name, threads, round) in rounds {
        let act = || match round(threads) {
            (came, expected) if came == expected => Ok(()),
            (came, expected) => fail!("{came} came, and {expected} should"),
        };
        wrong += i32::from(!table::round(name, act));
    }
    table::end();
    wrong
}
