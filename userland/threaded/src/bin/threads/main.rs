//! Checks of the thread library: threads, what they wait for each other with, and what they block with.
//!
//! ```text
//! threads          the checks
//! threads idle     a few threads, all of which wait for ever
//! threads busy     a few threads that compute for ever
//! ```

#![no_std]
#![no_main]

extern crate alloc;

mod blocking;
mod life;
mod locks;
mod sharing;
mod times;

use libsa::thread;
use userland::report::Checks;
use userland::{Arguments, println};

libsa::program!(main);

fn main(arguments: Arguments) -> i32 {
    match arguments.words().next() {
        Some("idle") => for_ever(thread::park, "nobody runs"),
        Some("busy") => for_ever(core::hint::spin_loop, "all compute"),
        _ => {}
    }
    let mut checks = Checks::new("threads");
    life::run(&mut checks);
    locks::run(&mut checks);
    sharing::run(&mut checks);
    times::run(&mut checks);
    blocking::run(&mut checks);
    checks.finish()
}

/// A few threads do the same again and again, and so does this one.
fn for_ever(act: fn(), says: &str) -> ! {
    for _ in 0..5 {
        drop(thread::spawn(move || {
            loop {
                act();
            }
        }));
    }
    println!("{says}");
    loop {
        act();
    }
}
