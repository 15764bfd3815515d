//! Waiting until one of several descriptors is ready.
//!
//! The array is read once; what is found is written when the call is over. Each look takes a reference to a file with
//! its descriptor: one that is closed meanwhile is `POLLNVAL` at the next look.

use super::Result;
use super::times::{deadline_after, deadline_of};
use crate::files::descriptors::with;
use crate::kernel::Kernel;
use crate::lwp;
use crate::user_structure::{copy_in, copy_out};
use abi::calls::TimeSpec;
use abi::errno::Errno;
use abi::files::{OPEN_MAX, POLLERR, POLLHUP, POLLNVAL, PollFd};
use alloc::vec::Vec;
use dispatch::Woken;
use machine::MayFault;

/// How long to wait.
enum Time {
    /// Not at all.
    Never,
    /// Until then.
    Until(u64),
    /// Until something comes.
    ForEver,
}

const SIZE: u64 = size_of::<PollFd>() as u64;

/// What there is on a descriptor, of what is waited for.
fn look_at(file: &PollFd, may_fault: &mut MayFault) -> u16 {
    if file.fd < 0 {
        return 0;
    }
    let ready = with(file.fd, may_fault, |file, may_fault| Ok(file.kind().file().ready(may_fault)));
    ready.map_or(POLLNVAL, |ready| ready & (file.events | POLLERR | POLLHUP))
}

/// Looks at all; says how many have something, if any has.
fn look(files: &mut [PollFd], may_fault: &mut MayFault) -> Option<u64> {
    let mut count = 0;
    for file in files {
        file.found = look_at(file, may_fault);
        count += u64::from(file.found != 0);
    }
    (count > 0).then_some(count)
}

fn wait(files: *mut PollFd, count: u64, time: Time, may_fault: &mut MayFault) -> Result {
    let count = usize::try_from(count).ok().filter(|&count| count <= OPEN_MAX);
    let count = count.ok_or(Errno::EINVAL)?;
    let address =
        |place: usize| (files as u64).checked_add(place as u64 * SIZE).ok_or(Errno::EFAULT);
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    for place in 0..count {
        all.extend([copy_in::<PollFd>(address(place)?, may_fault)?]);
    }
    let (woken, found) = match time {
        Time::Never => (Woken::ByTime, look(&mut all, may_fault)),
        Time::Until(deadline) => wait_until(Some(deadline), &mut all, may_fault),
        Time::ForEver => wait_until(None, &mut all, may_fault),
    };
    if found.is_none() && woken == Woken::BySignal {
        if let Time::Until(deadline) = time {
            lwp::current().keep_deadline(deadline);
        }
        return Err(Errno::EINTR);
    }
    for (place, file) in all.iter().enumerate() {
        copy_out(address(place)?, file, may_fault)?;
    }
    Ok(found.unwrap_or(0))
}

fn wait_until(
    deadline: Option<u64>,
    files: &mut [PollFd],
    may_fault: &mut MayFault,
) -> (Woken, Option<u64>) {
    let watch = &Kernel::current().files.watch;
    watch.wait_until(deadline, may_fault, |may_fault| look(files, may_fault))
}

pub fn poll(may_fault: &mut MayFault, files: *mut PollFd, count: u64, timeout: i32) -> Result {
    let begun = lwp::current().take_deadline();
    let time = match (timeout, begun) {
        (0, _) => Time::Never,
        (..0, _) => Time::ForEver,
        (_, Some(deadline)) => Time::Until(deadline),
        (milliseconds, None) => Time::Until(deadline_after(milliseconds as u64 * 1_000_000)),
    };
    wait(files, count, time, may_fault)
}

pub fn ppoll(
    may_fault: &mut MayFault,
    files: *mut PollFd,
    count: u64,
    timeout: *const TimeSpec,
    mask: *const u64,
    size: usize,
) -> Result {
    let mask = match () {
        () if mask.is_null() => None,
        () if size != size_of::<u64>() => return Err(Errno::EINVAL),
        () => Some(copy_in::<u64>(mask as u64, may_fault)?),
    };
    let begun = lwp::current().take_deadline();
    let time = match begun {
        _ if timeout.is_null() => Time::ForEver,
        Some(deadline) => Time::Until(deadline),
        None => match copy_in::<TimeSpec>(timeout as u64, may_fault)? {
            TimeSpec { seconds: 0, nanoseconds: 0 } => Time::Never,
            _ => Time::Until(deadline_of(timeout, may_fault)?),
        },
    };
    let lwp = lwp::current();
    if let Some(mask) = mask {
        lwp.hold_back_for_a_while(mask);
    }
    let result = wait(files, count, time, may_fault);
    // If a signal has ended it, its handler runs before that.
    if result != Err(Errno::EINTR) {
        lwp.hold_back_as_before();
    }
    result
}
