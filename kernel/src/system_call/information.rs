//! Calls that describe processes and LWPs.
//!
//! What they say is taken with the list locked that the LWP or process is in, and written with nothing locked. Who asks
//! for all of them asks again and again, for the first whose number is not lower than the last one's plus 1.

use super::Result;
use crate::kernel::Kernel;
use crate::lwp::{self, Lwp};
use crate::process::{self, Process, table};
use crate::user_structure::{Plain, copy_out};
use abi::errno::Errno;
use abi::statistics::{LwpInfo, NO_PROCESSOR, ProcessInfo};
use core::sync::atomic::Ordering;
use dispatch::thread::State;
use dispatch::{Class, Thread};
use machine::MayFault;
use machine::x86_64::user_copy;

/// Ticks of a second; 0 while nobody knows.
fn ticks_per_second() -> u64 {
    let frequency = Kernel::current().system.backend.clock.frequency();
    frequency.map_or(0, machine::time::Frequency::hertz)
}

/// Refuses a place for a structure that cannot be one.
fn check<T: Plain>(buffer: *mut T, length: usize) -> core::result::Result<(), Errno> {
    if length < size_of::<T>() {
        return Err(Errno::EINVAL);
    }
    user_copy::check(buffer as u64, size_of::<T>()).map_err(|_| Errno::EFAULT)
}

fn state_of(lwp: &Lwp) -> u64 {
    let Some(thread) = lwp.thread() else { return 0 };
    if lwp.has_ended() {
        return 4;
    }
    match thread.state() {
        State::Sleep | State::Reserved => 1,
        State::Run => 2,
        State::OnProcessor => 3,
        State::Zombie => 4,
        State::Stopped => 5,
        State::Free => 0,
    }
}

fn class_of(thread: &Thread) -> u64 {
    match thread.class() {
        Class::TimeSharing => 0,
        Class::System => 1,
        Class::RealTime | Class::Interrupt => 2,
    }
}

fn describe(lwp: &Lwp) -> LwpInfo {
    let (times, microstate, _) = lwp.times();
    let thread = lwp.thread();
    let (voluntary_switches, involuntary_switches) = thread.map_or((0, 0), Thread::switches);
    let count = |count: &core::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    LwpInfo {
        number: lwp.number(),
        process: lwp.process.id,
        state: state_of(lwp),
        microstate: microstate as u64,
        times: times.0,
        ticks_per_second: ticks_per_second(),
        began: lwp.accounts.began(),
        lifetime: times.sum(),
        calls: count(&lwp.counts.calls),
        minor_faults: count(&lwp.counts.minor_faults),
        major_faults: count(&lwp.counts.major_faults),
        signals: count(&lwp.counts.signals),
        voluntary_switches,
        involuntary_switches,
        processor: thread.and_then(Thread::cpu_index).map_or(NO_PROCESSOR, |index| index as u64),
        priority: thread.and_then(|thread| thread.own_priority().number()).map_or(0, u64::from),
        class: thread.map_or(0, class_of),
        name: lwp.name(),
    }
}

pub fn lwp_info(
    may_fault: &mut MayFault,
    process: u64,
    number: u64,
    buffer: *mut LwpInfo,
    length: usize,
) -> Result {
    check(buffer, length)?;
    let own = lwp::current();
    let info = if (process, number) == (0, 0) {
        Some(describe(own))
    } else {
        let find = |process: &Process| process.lwps.lock_anywhere().find_from(number).map(describe);
        match process {
            0 => find(own.process),
            _ => process::with(Kernel::current(), process, may_fault, |process, _| find(process))
                .flatten(),
        }
    };
    let info = info.ok_or(Errno::ESRCH)?;
    copy_out(buffer as u64, &info, may_fault)?;
    Ok(info.number)
}

fn describe_process(process: &Process, may_fault: &mut MayFault) -> ProcessInfo {
    let (resident, swapped) = process.space().count_pages(may_fault);
    let control = process.control.lock(may_fault);
    let ended = control.ended;
    let live = control.live;
    drop(control);
    let used = process.used(may_fault);
    let ended_lwps = process.lwps.lock_anywhere().iter().filter(|lwp| lwp.has_ended()).count();
    let state = match (process.is_ending(), process.is_stopped()) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    };
    ProcessInfo {
        id: process.id,
        parent: if process.parent() == u64::MAX { 0 } else { process.parent() },
        group: process.group(),
        session: process.session(),
        state,
        lwps: u64::from(live),
        ended_lwps: ended_lwps as u64,
        ticks_per_second: ticks_per_second(),
        began: process.began,
        resident,
        swapped,
        times: used.times.0,
        ended_times: ended.times.0,
        counts: used.counts,
        ended_counts: ended.counts,
        switches: used.switches,
        ended_switches: ended.switches,
        name: process.name(),
    }
}

pub fn process_info(
    may_fault: &mut MayFault,
    process: u64,
    buffer: *mut ProcessInfo,
    length: usize,
) -> Result {
    check(buffer, length)?;
    let kernel = Kernel::current();
    let info = table::with_from(kernel, process, may_fault, |process, may_fault| {
        describe_process(process, may_fault)
    });
    let info = info.ok_or(Errno::ESRCH)?;
    copy_out(buffer as u64, &info, may_fault)?;
    Ok(info.id)
}
