//! Many LWPs at a time: each parks, is unparked, and ends.

use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::lwp::{self, Attributes};
use userland::report::Why;
use userland::system::raw;
use userland::{fail, println};

static ARRIVED: AtomicU64 = AtomicU64::new(0);

/// Bytes of a stack: a guard and two pages.
const STRIDE: u64 = 16 << 10;

extern "C" fn parks(argument: u64) -> u64 {
    ARRIVED.fetch_add(1, SeqCst);
    match lwp::park() {
        Ok(()) => argument,
        Err(_) => u64::MAX,
    }
}

/// Makes so many LWPs, which get their indexes, from 0, as arguments; returns their numbers.
pub fn make(count: u64, entry: lwp::Entry) -> Result<&'static mut [u64], Why> {
    // SAFETY: fresh memory.
    let stacks = match unsafe { raw::stacks(count, STRIDE, 4096) } {
        Ok(address) => address,
        Err(error) => fail!("stacks: {}", error.text()),
    };
    // SAFETY: fresh memory, for the numbers.
    let memory = match unsafe { raw::mmap(0, 8 * count, 3, 0x22, -1, 0) } {
        Ok(address) => ptr::with_exposed_provenance_mut::<u64>(address as usize),
        Err(error) => fail!("memory for the numbers: {}", error.text()),
    };
    // SAFETY: mapped just now, for so many.
    let numbers = unsafe { core::slice::from_raw_parts_mut(memory, count as usize) };
    for (index, place) in (0..).zip(numbers.iter_mut()) {
        let top = stacks + (index + 1) * STRIDE;
        // SAFETY: each has a stack of its own.
        match unsafe { lwp::create(top, entry, index, Attributes::default()) } {
            Ok(number) => *place = number,
            Err(error) => fail!("LWP {index}: {}", error.text()),
        }
    }
    Ok(numbers)
}

pub fn run(count: u64) -> i32 {
    let numbers = match make(count, parks) {
        Ok(numbers) => numbers,
        Err(why) => {
            println!("lwps: {why}");
            return 1;
        }
    };
    println!("lwps: {count} made");
    while ARRIVED.load(SeqCst) != count {
        let _ = lwp::sleep(1_000_000);
    }
    println!("lwps: {count} parked");
    let wrong = numbers.iter().filter(|&&number| lwp::unpark(number).is_err()).count();
    let ended = (0..)
        .zip(numbers.iter())
        .filter(|&(index, &number)| lwp::wait(number) == Ok((number, index)))
        .count();
    println!("lwps: {ended} of {count} woken and joined, {wrong} could not be unparked");
    i32::from(ended as u64 != count || wrong != 0)
}
