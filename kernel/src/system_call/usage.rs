//! Calls about what processes have used, in Linux's structures.

use super::Result;
use super::times::to_nanoseconds;
use crate::kernel::Kernel;
use crate::lwp;
use crate::process::{self, Ended};
use crate::user_structure::copy_out;
use abi::errno::Errno;
use accounting::Microstate;
use machine::{MayFault, time as clock};

/// Words of `struct rusage`.
const WORDS: usize = 18;

/// What was used, as `struct rusage`.
pub fn rusage(used: &Ended) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let time = |ticks: u64| {
        let microseconds = to_nanoseconds(ticks) / 1000;
        [microseconds / 1_000_000, microseconds % 1_000_000]
    };
    words[..2].copy_from_slice(&time(used.times.of(Microstate::User)));
    words[2..4].copy_from_slice(&time(used.times.system()));
    let [_, minor, major, signals] = used.counts;
    let [voluntary, involuntary] = used.switches;
    words[8] = minor;
    words[9] = major;
    words[15] = signals;
    words[16] = voluntary;
    words[17] = involuntary;
    words
}

pub fn getrusage(may_fault: &mut MayFault, who: i32, usage: *mut u8) -> Result {
    const OWN: i32 = 0;
    const CHILDREN: i32 = -1;
    const THREAD: i32 = 1;
    let process = process::current();
    let used = match who {
        OWN => process.used(may_fault),
        CHILDREN => *process.children.lock(may_fault),
        THREAD => {
            let lwp = lwp::current();
            let mut used = Ended::default();
            used.add(&lwp.accounts.own(clock::now()), &lwp.counts, lwp.thread());
            used
        }
        _ => return Err(Errno::EINVAL),
    };
    copy_out(usage as u64, &rusage(&used), may_fault).map(|()| 0)
}

pub fn times(may_fault: &mut MayFault, buffer: *mut u8) -> Result {
    /// Nanoseconds of a clock tick, as `times` counts.
    const TICK: u64 = 10_000_000;
    let process = process::current();
    let hundredths = |used: &Ended| {
        [used.times.of(Microstate::User), used.times.system()]
            .map(|ticks| to_nanoseconds(ticks) / TICK)
    };
    if !buffer.is_null() {
        let [user, system] = hundredths(&process.used(may_fault));
        let children = *process.children.lock(may_fault);
        let [of_children, in_kernel] = hundredths(&children);
        copy_out(buffer as u64, &[user, system, of_children, in_kernel], may_fault)?;
    }
    Ok(Kernel::current().uptime_nanoseconds() / TICK)
}
