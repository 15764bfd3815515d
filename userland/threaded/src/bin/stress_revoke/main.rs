//! Processes of many threads compete for processors: shares, notices, force; and every result is right all the same.
//!
//! ```text
//! stress_revoke [PROCESSES [ROUNDS]]     so many processes (3), so many rounds in which they want more and less (20)
//! ```
//!
//! One process that has no virtual processors itself ([`conductor`]) starts the others ([`part`]), tells them by a pipe
//! what to want, and hears by another one what they got.

#![no_std]
#![no_main]

extern crate alloc;

mod conductor;
mod part;
mod work;

use libsa::runtime::{Mode, mode};
use userland::{Arguments, eprintln};

libsa::program!(main);

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let first = words.next();
    if first == Some("part") {
        return part::play();
    }
    let number =
        |word: Option<&str>, otherwise| word.map_or(Some(otherwise), |word| word.parse().ok());
    let (Some(processes), Some(rounds)) = (number(first, 3), number(words.next(), 20)) else {
        eprintln!("stress_revoke: how many processes, and how many rounds?");
        return 2;
    };
    if !(2..=conductor::PARTS_MAX).contains(&processes) {
        eprintln!("stress_revoke: 2 to {} processes", conductor::PARTS_MAX);
        return 2;
    }
    if mode() != Mode::Lwp {
        let error = conductor::begin_anew(processes, rounds);
        eprintln!("stress_revoke: cannot begin anew: {}", error.text());
        return 1;
    }
    conductor::conduct(processes, rounds)
}
