//! Calls about a process's timer. The timers that count processor time (ITIMER_VIRTUAL, ITIMER_PROF) are not there:
//! EINVAL.

use super::Result;
use super::times::to_nanoseconds;
use crate::kernel::Kernel;
use crate::process;
use crate::signal::alarm;
use crate::threads;
use crate::user_structure::{copy_in, copy_out};
use abi::errno::Errno;
use machine::MayFault;

const REAL: i32 = 0;
const SECOND: u64 = 1_000_000_000;
const MICROSECOND: u64 = 1000;

fn ticks(nanoseconds: u64) -> u64 {
    // Longer than any machine runs, and not too long to count with.
    const LONGEST: u64 = 1 << 60;
    match nanoseconds.min(LONGEST) {
        0 => 0,
        nanoseconds => threads::ticks(Kernel::current(), nanoseconds).max(1),
    }
}

fn set(nanoseconds: u64, interval: u64, may_fault: &mut MayFault) -> (u64, u64) {
    let process = process::current();
    let _control = process.control.lock(may_fault);
    alarm::set(process, ticks(nanoseconds), ticks(interval))
}

pub fn alarm(may_fault: &mut MayFault, seconds: u32) -> Result {
    let (left, _) = set(u64::from(seconds) * SECOND, 0, may_fault);
    // Rounded, and not to 0 if there was one.
    let seconds = (to_nanoseconds(left) + SECOND / 2) / SECOND;
    Ok(if left == 0 { 0 } else { seconds.max(1) })
}

/// `struct itimerval`: interval and value, each in seconds and microseconds.
fn to_words((left, interval): (u64, u64)) -> [u64; 4] {
    let pair = |ticks| {
        // Rounded up: what has been set is read again, and what is left is not nothing.
        let microseconds = to_nanoseconds(ticks).div_ceil(MICROSECOND);
        [microseconds / (SECOND / MICROSECOND), microseconds % (SECOND / MICROSECOND)]
    };
    let [a, b] = pair(interval);
    let [c, d] = pair(left);
    [a, b, c, d]
}

fn from_words(seconds: u64, microseconds: u64) -> core::result::Result<u64, Errno> {
    if microseconds >= SECOND / MICROSECOND || seconds > i64::MAX as u64 {
        return Err(Errno::EINVAL);
    }
    Ok(seconds.saturating_mul(SECOND).saturating_add(microseconds * MICROSECOND))
}

pub fn getitimer(may_fault: &mut MayFault, which: i32, old: *mut u8) -> Result {
    if which != REAL {
        return Err(Errno::EINVAL);
    }
    let left = process::current().alarm.left();
    copy_out(old as u64, &to_words(left), may_fault).map(|()| 0)
}

pub fn setitimer(may_fault: &mut MayFault, which: i32, new: *const u8, old: *mut u8) -> Result {
    if which != REAL {
        return Err(Errno::EINVAL);
    }
    let [a, b, c, d]: [u64; 4] =
        if new.is_null() { [0; 4] } else { copy_in(new as u64, may_fault)? };
    let (interval, value) = (from_words(a, b)?, from_words(c, d)?);
    let before = set(value, interval, may_fault);
    if !old.is_null() {
        copy_out(old as u64, &to_words(before), may_fault)?;
    }
    Ok(0)
}
