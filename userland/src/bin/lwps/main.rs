//! Checks of LWPs from user mode: their life, parking, suspension, registers; `lwps many N` makes N at once, `lwps accounts N`
//! holds the times of N under load against the clock.

#![no_std]
#![no_main]

mod accounts;
mod life;
mod many;
mod parking;
mod registers;
mod suspension;

use userland::report::Checks;
use userland::{Arguments, program};

program!(main);

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    match words.next() {
        Some("child") => return life::after_execve(),
        Some("many") => {
            let count = words.next().and_then(|word| word.parse().ok()).unwrap_or(1000);
            return many::run(count);
        }
        Some("accounts") => {
            let count = words.next().and_then(|word| word.parse().ok()).unwrap_or(1000);
            let mut checks = Checks::new("lwps");
            accounts::run(&mut checks, count);
            return checks.finish();
        }
        _ => {}
    }
    let mut checks = Checks::new("lwps");
    life::run(&mut checks);
    parking::run(&mut checks);
    suspension::run(&mut checks);
    registers::run(&mut checks);
    accounts::run(&mut checks, 300);
    checks.finish()
}

/// Stacks for the checks' LWPs: a few, each for one LWP at a time.
pub static STACKS: [userland::lwp::Stack<16384>; 16] = [const { userland::lwp::Stack::new() }; 16];

/// Makes an LWP on one of the stacks.
pub fn create(
    stack: usize,
    entry: userland::lwp::Entry,
    argument: u64,
) -> Result<u64, userland::report::Why> {
    create_as(stack, entry, argument, userland::lwp::Attributes::default())
}

/// The same with attributes.
pub fn create_as(
    stack: usize,
    entry: userland::lwp::Entry,
    argument: u64,
    attributes: userland::lwp::Attributes,
) -> Result<u64, userland::report::Why> {
    // SAFETY: each check gives each stack to one LWP, and waits for it.
    match unsafe { userland::lwp::create(STACKS[stack].top(), entry, argument, attributes) } {
        Ok(number) => Ok(number),
        Err(error) => userland::fail!("lwp_create: {}", error.text()),
    }
}

/// Waits for an LWP that is to end with this.
pub fn ends_with(number: u64, status: u64) -> Result<(), userland::report::Why> {
    let found = userland::lwp::wait(number);
    if found != Ok((number, status)) {
        userland::fail!("LWP {number} came to {found:?}, not {status}");
    }
    Ok(())
}

/// Waits, sleeping, until something is so; at most ten seconds.
pub fn until(is_so: impl Fn() -> bool) -> Result<(), userland::report::Why> {
    for _ in 0..10_000 {
        if is_so() {
            return Ok(());
        }
        let _ = userland::lwp::sleep(1_000_000);
    }
    userland::fail!("it did not come about within ten seconds");
}
