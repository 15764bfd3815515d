//! Checks of processors from user mode: what they say of themselves, binding, going off line and back, sets.

#![no_std]
#![no_main]

mod accounts;
mod binding;
mod on_line;
mod sets;
mod traps;

use abi::statistics::ProcessorInfo;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use userland::lwp::{self, Attributes, Stack};
use userland::report::{Checks, Why};
use userland::{Arguments, clock, fail, processor, program};

program!(main);

/// A number that no processor has.
pub const NO_PROCESSOR: u32 = 999;
/// A number that no LWP has.
pub const NO_LWP: u64 = u64::MAX >> 1;

fn main(_: Arguments) -> i32 {
    let mut checks = Checks::new("processors");
    accounts::run(&mut checks);
    binding::run(&mut checks);
    on_line::run(&mut checks);
    sets::run(&mut checks);
    traps::run(&mut checks);
    checks.finish()
}

/// How many processors there are.
pub fn count() -> u32 {
    processor::all().count() as u32
}

/// The last processor, if it is not the only one.
pub fn another() -> Option<u32> {
    count().checked_sub(1).filter(|&last| last != 0)
}

/// What a processor says; it has to be there.
pub fn info(number: u32) -> Result<ProcessorInfo, Why> {
    match processor::info(number) {
        Ok(info) => Ok(info),
        Err(error) => fail!("processor_info of {number}: {}", error.text()),
    }
}

/// Turns a call's error into a failed check.
pub fn works<T>(what: &str, result: Result<T, abi::errno::Errno>) -> Result<T, Why> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => fail!("{what}: {}", error.text()),
    }
}

/// Whether a result is this.
pub fn expect<T: PartialEq + core::fmt::Debug>(
    what: &str,
    found: T,
    expected: T,
) -> Result<(), Why> {
    if found != expected {
        fail!("{what}: expected {expected:?}, found {found:?}");
    }
    Ok(())
}

/// Computes in user mode for so many nanoseconds of the clock.
pub fn compute(nanoseconds: u64) {
    let end = clock::nanoseconds() + nanoseconds;
    while clock::nanoseconds() < end {
        for round in 0..20_000_u64 {
            black_box(round);
        }
    }
}

/// Computes, and says whether the time in user mode went to this processor.
pub fn computes_on(number: u32) -> Result<(), Why> {
    const TIME: u64 = 100_000_000;
    let before = info(number)?;
    let used_before = own_time();
    compute(TIME);
    let used = own_time() - used_before;
    let after = info(number)?;
    let gained = (after.user + after.system) - (before.user + before.system);
    let gained = in_nanoseconds(gained, after.frequency);
    let user = in_nanoseconds(after.user - before.user, after.frequency);
    // The clock's calls take time too: in the kernel.
    if gained < used / 2 || user < used / 8 {
        fail!("the LWP used {used} ns; processor {number} was busy {gained} ns, {user} for users");
    }
    Ok(())
}

/// Ticks of the clock in nanoseconds.
pub fn in_nanoseconds(ticks: u64, frequency: u64) -> u64 {
    (u128::from(ticks) * u128::from(clock::SECOND) / u128::from(frequency.max(1))) as u64
}

/// The processor time of the calling LWP, in nanoseconds.
fn own_time() -> u64 {
    const THREAD: i32 = 3;
    let mut time = clock::span(0);
    // SAFETY: the call fills the structure.
    let _ = unsafe { userland::system::raw::clock_gettime(THREAD, &raw mut time) };
    time.seconds as u64 * clock::SECOND + time.nanoseconds as u64
}

/// LWPs that compute until they are told to stop.
pub const WORKERS: usize = 16;
static STACKS: [Stack<8192>; WORKERS] = [const { Stack::new() }; WORKERS];
static ROUNDS: [AtomicU64; WORKERS] = [const { AtomicU64::new(0) }; WORKERS];
static IS_OVER: AtomicBool = AtomicBool::new(false);

extern "C" fn works_on(index: u64) -> u64 {
    while !IS_OVER.load(SeqCst) {
        for round in 0..10_000_u64 {
            black_box(round);
        }
        if ROUNDS[index as usize].fetch_add(1, SeqCst).is_multiple_of(64) {
            userland::system::sched_yield();
        }
    }
    index
}

/// A row of LWPs that compute.
pub struct Workers {
    numbers: [u64; WORKERS],
    count: usize,
}

impl Workers {
    /// Starts so many, at most [`WORKERS`].
    pub fn start(count: usize) -> Result<Workers, Why> {
        IS_OVER.store(false, SeqCst);
        let mut workers = Workers { numbers: [0; WORKERS], count: 0 };
        for (index, stack) in STACKS.iter().enumerate().take(count) {
            let top = stack.top();
            // SAFETY: one row at a time, and all its LWPs are waited for.
            let made = unsafe { lwp::create(top, works_on, index as u64, Attributes::default()) };
            match made {
                Ok(number) => workers.numbers[index] = number,
                Err(error) => {
                    let _ = workers.stop();
                    fail!("LWP {index}: {}", error.text());
                }
            }
            workers.count += 1;
        }
        Ok(workers)
    }

    /// Their numbers.
    pub fn numbers(&self) -> &[u64] {
        &self.numbers[..self.count]
    }

    /// How far each has come.
    pub fn rounds(&self) -> [u64; WORKERS] {
        core::array::from_fn(|index| ROUNDS[index].load(SeqCst))
    }

    /// Waits until each has come further than it was; at most twenty seconds.
    pub fn all_go_on(&self, before: [u64; WORKERS]) -> Result<(), Why> {
        for _ in 0..20_000 {
            let now = self.rounds();
            if (0..self.count).all(|index| now[index] > before[index]) {
                return Ok(());
            }
            let _ = lwp::sleep(1_000_000);
        }
        fail!("an LWP does not go on");
    }

    /// Ends all of them.
    pub fn stop(self) -> Result<(), Why> {
        IS_OVER.store(true, SeqCst);
        for (index, &number) in (0..).zip(self.numbers()) {
            expect("an LWP's end", lwp::wait(number), Ok((number, index)))?;
        }
        Ok(())
    }
}
