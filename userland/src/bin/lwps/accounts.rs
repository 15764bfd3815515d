//! The accounts of a crowd of LWPs under load: some compute, the others sleep, park, fault and yield.
//!
//! What is held against the clock, not against what the kernel adds up itself: when an LWP began, and the time in all of
//! its states, come to a moment between the call's beginning and its end. All of them together have not run for longer
//! than there were processors; those that compute have waited for one all the time in which they did not run.

use crate::many;
use abi::statistics::{LwpInfo, MICROSTATES};
use core::hint::{black_box, spin_loop};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use userland::clock::ticks;
use userland::report::{Checks, Why};
use userland::system::{self, raw};
use userland::{fail, lwp, processor};

/// LWPs that compute: more than there are processors.
const COMPUTING: u64 = 24;
/// LWPs that fault.
const FAULTING: u64 = 8;
/// How many there are in all. Those that compute come last: they would keep the others from ever beginning.
static COUNT: AtomicU64 = AtomicU64::new(0);
/// The time of the whole, in nanoseconds.
const TIME: u64 = 400_000_000;
const PAGE: u64 = 4096;

// Places in `LwpInfo::times`.
const USER: usize = 0;
const TRAP: usize = 2;
const KERNEL_FAULT: usize = 5;
const USER_LOCK: usize = 6;
const SLEEP: usize = 7;
const WAIT_CPU: usize = 8;

static TO_END: AtomicBool = AtomicBool::new(false);
/// What the LWPs say of themselves at their ends.
static TOTAL: [AtomicU64; MICROSTATES] = [const { AtomicU64::new(0) }; MICROSTATES];
/// Least time that a computing LWP has waited for a processor; most of what is neither that nor running.
static LEAST_WAIT: AtomicU64 = AtomicU64::new(u64::MAX);
static MOST_ELSE: AtomicU64 = AtomicU64::new(0);

fn info(number: u64) -> Result<LwpInfo, Why> {
    let mut info = LwpInfo::default();
    // SAFETY: the call fills the structure.
    match unsafe { raw::lwp_info(0, number, &raw mut info, size_of::<LwpInfo>()) } {
        Ok(_) => Ok(info),
        Err(error) => fail!("lwp_info of {number}: {}", error.text()),
    }
}

/// What is said of an LWP, held against the clock.
fn seen(number: u64) -> Result<LwpInfo, Why> {
    let before = ticks();
    let info = info(number)?;
    let after = ticks();
    let now = info.began + info.times.iter().sum::<u64>();
    if now < before || now > after {
        fail!("LWP {number} is said to be at {now}, not at {before} to {after}: {info:?}");
    }
    Ok(info)
}

fn computes(index: u64) -> bool {
    index + COMPUTING >= COUNT.load(SeqCst)
}

fn act(index: u64) {
    // So that together they do not keep the processors busy by waking up.
    let pause = COUNT.load(SeqCst) * 200_000;
    while !TO_END.load(SeqCst) {
        match index {
            _ if computes(index) => (0..10_000).for_each(|_| spin_loop()),
            _ if index.is_multiple_of(2) => drop(lwp::sleep(pause)),
            _ if index % 4 == 1 => drop(lwp::park_for(pause)),
            // Few: each page that goes interrupts all processors.
            _ if index < 4 * FAULTING => {
                // SAFETY: fresh memory, which is given back.
                let page = unsafe { raw::mmap(0, PAGE, 3, 0x22, -1, 0) };
                if let Ok(page) = page {
                    let place = ptr::with_exposed_provenance_mut::<u64>(page as usize);
                    // SAFETY: mapped just now.
                    unsafe { place.write_volatile(index) };
                    // SAFETY: nobody else knows it.
                    let _ = unsafe { raw::munmap(page, PAGE) };
                }
                let _ = lwp::sleep(pause);
            }
            _ => {
                system::sched_yield();
                let _ = lwp::sleep(pause);
            }
        }
        black_box(index);
    }
}

extern "C" fn main(index: u64) -> u64 {
    act(index);
    let number = lwp::own();
    let Ok(info) = seen(number) else { return u64::MAX };
    for (total, time) in TOTAL.iter().zip(info.times) {
        total.fetch_add(time, SeqCst);
    }
    if computes(index) {
        let running: u64 = info.times[USER..=KERNEL_FAULT].iter().sum();
        let wait = info.times[WAIT_CPU];
        LEAST_WAIT.fetch_min(wait, SeqCst);
        MOST_ELSE.fetch_max(info.times.iter().sum::<u64>() - running - wait, SeqCst);
    }
    index
}

pub fn run(checks: &mut Checks, count: u64) {
    checks.check(format_args!("accounts-under-load"), || {
        COUNT.store(count, SeqCst);
        let began = ticks();
        let numbers = many::make(count, main)?;
        let looks = look(numbers);
        TO_END.store(true, SeqCst);
        for (index, &number) in (0..).zip(numbers.iter()) {
            let _ = lwp::unpark(number);
            crate::ends_with(number, index)?;
        }
        let passed = ticks() - began;
        looks?;
        judge(passed)
    });
}

/// Looks at all of them again and again.
fn look(numbers: &[u64]) -> Result<(), Why> {
    const LOOKS: u64 = 4;
    for _ in 0..LOOKS {
        let _ = lwp::sleep(TIME / LOOKS);
        for &number in numbers {
            seen(number)?;
        }
    }
    Ok(())
}

fn judge(passed: u64) -> Result<(), Why> {
    let total = TOTAL.each_ref().map(|time| time.load(SeqCst));
    // Faults include the waits for what they need.
    let ran: u64 = total[USER..=TRAP].iter().sum();
    let processors = processor::all().count() as u64;
    if ran > passed * processors {
        fail!("they ran for {ran} ticks on {processors} processors, within {passed}");
    }
    if total[USER_LOCK] == 0 || total[SLEEP] == 0 || total[USER] == 0 {
        fail!("nobody parked, slept or computed: {total:?}");
    }
    let (wait, rest) = (LEAST_WAIT.load(SeqCst), MOST_ELSE.load(SeqCst));
    if wait == 0 || rest != 0 {
        fail!("who computed waited for {wait} ticks and more, and did something else for {rest}");
    }
    Ok(())
}
