//! Calls about time: clocks, and sleeping for a time.

use super::Result;
use crate::kernel::Kernel;
use crate::lwp;
use crate::threads::ticks;
use crate::user_structure::{copy_in, copy_out};
use abi::calls::TimeSpec;
use abi::errno::Errno;
use dispatch::Woken;
use dispatch::sleep::sleep_until_interruptible;
use machine::{MayFault, time as clock};

const CLOCK_REALTIME: i32 = 0;
const CLOCK_MONOTONIC: i32 = 1;
const CLOCK_PROCESS: i32 = 2;
const CLOCK_THREAD: i32 = 3;
/// `clock_nanosleep`: until a time, not for one.
const ABSOLUTE: i32 = 1;

const SECOND: u64 = 1_000_000_000;

/// A structure of the program's as nanoseconds, if it is a time.
fn nanoseconds(
    time: *const TimeSpec,
    may_fault: &mut MayFault,
) -> core::result::Result<u64, Errno> {
    of_time(copy_in(time as u64, may_fault)?)
}

/// A time as nanoseconds, if it is one.
pub fn of_time(time: TimeSpec) -> core::result::Result<u64, Errno> {
    let seconds = u64::try_from(time.seconds).map_err(|_| Errno::EINVAL)?;
    let rest = u64::try_from(time.nanoseconds).ok().filter(|&rest| rest < SECOND);
    let rest = rest.ok_or(Errno::EINVAL)?;
    Ok(seconds.saturating_mul(SECOND).saturating_add(rest))
}

/// When so much time from now is over, in ticks of the clock.
pub fn deadline_after(nanoseconds: u64) -> u64 {
    // Longer than any machine runs, and not too long to count with.
    const LONGEST: u64 = 1 << 60;
    clock::now().saturating_add(ticks(Kernel::current(), nanoseconds.min(LONGEST)))
}

/// When the time in this structure is over, from now.
pub fn deadline_of(
    time: *const TimeSpec,
    may_fault: &mut MayFault,
) -> core::result::Result<u64, Errno> {
    Ok(deadline_after(nanoseconds(time, may_fault)?))
}

/// Nanoseconds as a time.
pub fn to_time(nanoseconds: u64) -> TimeSpec {
    TimeSpec { seconds: (nanoseconds / SECOND) as i64, nanoseconds: (nanoseconds % SECOND) as i64 }
}

/// Ticks of the clock as nanoseconds.
pub fn to_nanoseconds(ticks: u64) -> u64 {
    let clock = &Kernel::current().system.backend.clock;
    clock.frequency().map_or(0, |frequency| frequency.nanoseconds(ticks))
}

/// What a clock says, in nanoseconds. There is no clock of the day here: time begins at boot.
pub fn read_clock(clock: i32, may_fault: &mut MayFault) -> core::result::Result<u64, Errno> {
    let lwp = lwp::current();
    Ok(match clock {
        // The coarse ones and those that go on in sleep are the same here.
        CLOCK_REALTIME | CLOCK_MONOTONIC | 4..=7 => Kernel::current().uptime_nanoseconds(),
        CLOCK_THREAD => {
            let times = lwp.accounts.own(clock::now());
            to_nanoseconds(times.of(accounting::Microstate::User) + times.system())
        }
        CLOCK_PROCESS => {
            let used = lwp.process.used(may_fault);
            to_nanoseconds(used.times.of(accounting::Microstate::User) + used.times.system())
        }
        _ => return Err(Errno::EINVAL),
    })
}

pub fn clock_gettime(may_fault: &mut MayFault, clock: i32, to: *mut TimeSpec) -> Result {
    let now = read_clock(clock, may_fault)?;
    copy_out(to as u64, &to_time(now), may_fault).map(|()| 0)
}

pub fn clock_getres(may_fault: &mut MayFault, clock: i32, to: *mut TimeSpec) -> Result {
    read_clock(clock, may_fault)?;
    if !to.is_null() {
        copy_out(to as u64, &to_time(1), may_fault)?;
    }
    Ok(0)
}

pub fn gettimeofday(may_fault: &mut MayFault, to: *mut u8, zone: *mut u8) -> Result {
    let now = Kernel::current().uptime_nanoseconds();
    if !to.is_null() {
        copy_out(to as u64, &[now / SECOND, now % SECOND / 1000], may_fault)?;
    }
    if !zone.is_null() {
        copy_out(zone as u64, &0_u64, may_fault)?;
    }
    Ok(0)
}

pub fn time(may_fault: &mut MayFault, to: *mut i64) -> Result {
    let now = Kernel::current().uptime_nanoseconds() / SECOND;
    if !to.is_null() {
        copy_out(to as u64, &now, may_fault)?;
    }
    Ok(now)
}

pub fn nanosleep(may_fault: &mut MayFault, time: *const TimeSpec, left: *mut TimeSpec) -> Result {
    clock_nanosleep(may_fault, CLOCK_MONOTONIC, 0, time, left)
}

pub fn clock_nanosleep(
    may_fault: &mut MayFault,
    clock: i32,
    flags: i32,
    time: *const TimeSpec,
    left: *mut TimeSpec,
) -> Result {
    if !matches!(clock, CLOCK_REALTIME | CLOCK_MONOTONIC | 7) || flags & !ABSOLUTE != 0 {
        return Err(Errno::EINVAL);
    }
    let lwp = lwp::current();
    let wanted = nanoseconds(time, may_fault)?;
    let deadline = match lwp.take_deadline() {
        Some(deadline) => deadline,
        None if flags & ABSOLUTE != 0 => {
            deadline_after(wanted.saturating_sub(Kernel::current().uptime_nanoseconds()))
        }
        None => deadline_after(wanted),
    };
    match sleep_until_interruptible(deadline, may_fault) {
        Woken::BySignal => {
            if !left.is_null() && flags & ABSOLUTE == 0 {
                let rest = to_nanoseconds(deadline.saturating_sub(clock::now()));
                copy_out(left as u64, &to_time(rest), may_fault)?;
            }
            lwp.keep_deadline(deadline);
            Err(Errno::EINTR)
        }
        _ => Ok(0),
    }
}
