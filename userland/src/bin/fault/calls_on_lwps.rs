//! Calls about LWPs, signals, times and limits, with each of their pointers leading nowhere, or over the end of what is
//! mapped.

use super::bad_pointers::NOWHERE;
use abi::activations::{SA_NONE, SIGEV_SA, SaLibrary};
use abi::calls::{TimeSpec, TimerEvent, TimerTimes};
use abi::errno::Errno;
use abi::observe::{CHANGE, ObserveEvent};
use abi::signals::SIG_DFL;
use abi::statistics::{LwpInfo, ProcessInfo, TrapRecord};
use core::ptr::{null, null_mut};
use userland::fail;
use userland::report::Why;
use userland::signal::{self, bit};
use userland::system::raw;

/// A call, everything chosen but one of its pointers.
type Try = fn(address: u64) -> Result<u64, Errno>;

const SIGUSR2: i32 = 12;
/// Bytes of a set of signals.
const SET: usize = 8;
const NOW: TimeSpec = TimeSpec { seconds: 0, nanoseconds: 1 };

/// A library with everything that one may ask for.
const LIBRARY: SaLibrary = SaLibrary {
    entry: 0x1000,
    scheduler_start: 0,
    scheduler_end: 0,
    processors: 1,
    stacks: 1,
    slots: 1,
    flags: 0,
};
const EVENT: TimerEvent =
    TimerEvent { value: SA_NONE as u64, signal: 0, notify: SIGEV_SA, rest: [0; 6] };
const NEVER: TimerTimes = TimerTimes {
    interval: TimeSpec { seconds: 0, nanoseconds: 0 },
    value: TimeSpec { seconds: 0, nanoseconds: 0 },
};

/// Each pointer of each call. Memory that is filled is none of Rust's: the addresses are bad.
const TRIES: &[(&str, Try)] = &[
    // SAFETY: (here and below) the addresses are bad, so that no memory of this program changes, and what the calls
    // change besides does not concern it.
    ("rt_sigaction", |at| unsafe { raw::rt_sigaction(SIGUSR2, at as _, null_mut(), SET) }),
    // SAFETY: as above.
    ("rt_sigaction", |at| unsafe { raw::rt_sigaction(SIGUSR2, null(), at as _, SET) }),
    // SAFETY: as above.
    ("rt_sigprocmask", |at| unsafe { raw::rt_sigprocmask(0, at as _, null_mut(), SET) }),
    // SAFETY: as above.
    ("rt_sigprocmask", |at| unsafe { raw::rt_sigprocmask(0, null(), at as _, SET) }),
    // SAFETY: as above.
    ("rt_sigpending", |at| unsafe { raw::rt_sigpending(at as _, SET) }),
    // SAFETY: as above.
    ("rt_sigsuspend", |at| unsafe { raw::rt_sigsuspend(at as _, SET) }),
    // SAFETY: as above.
    ("rt_sigtimedwait", |at| unsafe {
        raw::rt_sigtimedwait(at as _, null_mut(), core::ptr::from_ref(&NOW), SET)
    }),
    ("rt_sigtimedwait", |at| {
        let set = bit(SIGUSR2);
        // SAFETY: as above.
        unsafe { raw::rt_sigtimedwait(&raw const set, null_mut(), at as _, SET) }
    }),
    ("rt_sigtimedwait", |at| {
        let set = bit(SIGUSR2);
        let before = signal::set_mask(set);
        signal::raise(SIGUSR2);
        // SAFETY: as above.
        let result = unsafe {
            raw::rt_sigtimedwait(&raw const set, at as _, core::ptr::from_ref(&NOW), SET)
        };
        signal::set_mask(before);
        result
    }),
    // SAFETY: as above.
    ("sigaltstack", |at| unsafe { raw::sigaltstack(at as _, null_mut()) }),
    // SAFETY: as above.
    ("sigaltstack", |at| unsafe { raw::sigaltstack(null(), at as _) }),
    // SAFETY: as above.
    ("nanosleep", |at| unsafe { raw::nanosleep(at as _, null_mut()) }),
    // SAFETY: as above.
    ("clock_nanosleep", |at| unsafe { raw::clock_nanosleep(1, 0, at as _, null_mut()) }),
    // SAFETY: as above.
    ("clock_getres", |at| unsafe { raw::clock_getres(1, at as _) }),
    // SAFETY: as above.
    ("gettimeofday", |at| unsafe { raw::gettimeofday(at as _, null_mut()) }),
    // SAFETY: as above.
    ("gettimeofday", |at| unsafe { raw::gettimeofday(null_mut(), at as _) }),
    // SAFETY: as above.
    ("time", |at| unsafe { raw::time(at as _) }),
    // SAFETY: as above.
    ("getitimer", |at| unsafe { raw::getitimer(0, at as _) }),
    // SAFETY: as above.
    ("setitimer", |at| unsafe { raw::setitimer(0, at as _, null_mut()) }),
    // SAFETY: as above.
    ("setitimer", |at| unsafe { raw::setitimer(0, null(), at as _) }),
    // SAFETY: as above.
    ("getrlimit", |at| unsafe { raw::getrlimit(3, at as _) }),
    // SAFETY: as above.
    ("prlimit64", |at| unsafe { raw::prlimit64(0, 3, at as _, null_mut()) }),
    // SAFETY: as above.
    ("prlimit64", |at| unsafe { raw::prlimit64(0, 3, null(), at as _) }),
    // SAFETY: as above.
    ("getrusage", |at| unsafe { raw::getrusage(0, at as _) }),
    // SAFETY: as above.
    ("times", |at| unsafe { raw::times(at as _) }),
    // SAFETY: as above.
    ("lwp_info", |at| unsafe { raw::lwp_info(0, 0, at as _, size_of::<LwpInfo>()) }),
    // SAFETY: as above.
    ("process_info", |at| unsafe { raw::process_info(0, at as _, size_of::<ProcessInfo>()) }),
    // SAFETY: as above.
    ("trap_trace", |at| unsafe { raw::trap_trace(0, at as _, size_of::<TrapRecord>()) }),
    ("observe_wait", |at| {
        let mut event = ObserveEvent::default();
        // SAFETY: as above; there is nothing to hear of either.
        unsafe { raw::observe_wait(&raw mut event, size_of::<ObserveEvent>(), at as _) }
    }),
    // SAFETY: as above.
    ("observe_continue", |at| unsafe { raw::observe_continue(0, CHANGE, at as _) }),
    // SAFETY: as above.
    ("sched_getaffinity", |at| unsafe { raw::sched_getaffinity(0, 8, at as _) }),
    // SAFETY: as above.
    ("arch_prctl", |at| unsafe { raw::arch_prctl(0x1003, at) }),
    // SAFETY: as above.
    ("arch_prctl", |at| unsafe { raw::arch_prctl(0x1004, at) }),
    // SAFETY: as above.
    ("prctl", |at| unsafe { raw::prctl(15, at, 0, 0, 0) }),
    // SAFETY: as above.
    ("prctl", |at| unsafe { raw::prctl(16, at, 0, 0, 0) }),
    // SAFETY: as above.
    ("lwp_park", |at| unsafe { raw::lwp_park(at as _) }),
    // SAFETY: as above.
    ("lwp_name", |at| unsafe { raw::lwp_name(0, at as _, 8) }),
    // SAFETY: as above.
    ("sa_register", |at| unsafe { raw::sa_register(at as _, null_mut()) }),
    // SAFETY: as above.
    ("sa_register", |at| unsafe { raw::sa_register(core::ptr::from_ref(&LIBRARY), at as _) }),
    // SAFETY: as above.
    ("sa_stacks", |at| unsafe { raw::sa_stacks(at as _, 1) }),
    // SAFETY: as above.
    ("timer_create", |at| unsafe { raw::timer_create(1, at as _, null_mut()) }),
    // SAFETY: as above.
    ("timer_create", |at| unsafe { raw::timer_create(1, core::ptr::from_ref(&EVENT), at as _) }),
    // SAFETY: as above.
    ("timer_settime", |at| unsafe { raw::timer_settime(0, 0, at as _, null_mut()) }),
    // SAFETY: as above.
    ("timer_settime", |at| unsafe {
        raw::timer_settime(0, 0, core::ptr::from_ref(&NEVER), at as _)
    }),
    // SAFETY: as above.
    ("timer_gettime", |at| unsafe { raw::timer_gettime(0, at as _) }),
];

/// Those with pointers that are looked at when the call has done its work, or never: these answer otherwise.
const LATER: [&str; 3] = ["clone", "lwp_wait", "set_tid_address"];

/// Whether a call's pointers are tried here.
pub fn tries(name: &str) -> bool {
    TRIES.iter().any(|(tried, _)| *tried == name) || LATER.contains(&name)
}

/// Tries them all; behind `end` nothing is mapped.
pub fn try_structures(end: u64) -> Result<(), Why> {
    let before = signal::set_simple(SIGUSR2, SIG_DFL);
    for (name, call) in TRIES {
        for address in NOWHERE.into_iter().chain([end, end - 1]) {
            // A string may end with what is mapped.
            if *name == "prctl" && address == end - 1 {
                continue;
            }
            let result = call(address);
            if result != Err(Errno::EFAULT) {
                fail!("{name} at {address:#x} came to {result:?}");
            }
        }
    }
    for address in NOWHERE {
        // SAFETY: the address is bad.
        let result = unsafe { raw::lwp_wait(0, address as _) };
        if !matches!(result, Err(Errno::EFAULT | Errno::ESRCH)) {
            fail!("lwp_wait at {address:#x} came to {result:?}");
        }
        // Where the end of this LWP is to be noted is looked at then, and nobody minds if it is nowhere.
        // SAFETY: the address is bad.
        let result = unsafe { raw::set_tid_address(address as _) };
        if result.is_err() {
            fail!("set_tid_address came to {result:?}");
        }
    }
    // SAFETY: nothing is noted.
    let _ = unsafe { raw::set_tid_address(null_mut()) };
    if before.is_err() {
        fail!("sigaction came to {before:?}");
    }
    Ok(())
}
