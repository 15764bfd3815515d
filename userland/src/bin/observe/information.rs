//! What the kernel tells of processes and LWPs.

use crate::child::{
    GETPID, SIGKILL, getpid, go_on, kill, next_is, observe, observed, sleep, start, wait_is,
};
use abi::errno::Errno;
use abi::observe::{BEFORE_CALL, OBSERVE_BEFORE};
use abi::statistics::{LwpInfo, ProcessInfo, name};
use core::ptr;
use userland::report::{Checks, Why};
use userland::system::{self, raw};
use userland::{clock, fail};

const SLEEP: usize = 7;
const STOPPED: usize = 9;

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("times-of-an-lwp-add-up"), times_add_up);
    checks.check(format_args!("times-of-another-lwp-add-up"), times_of_others);
    checks.check(format_args!("sleep-is-sleep"), sleep_counts);
    checks.check(format_args!("standing-is-stopped"), standing_counts);
    checks.check(format_args!("a-process-is-described"), process);
    checks.check(format_args!("descriptions-refuse"), errors);
}

fn lwp(process: u64, number: u64) -> Result<LwpInfo, Errno> {
    let mut info = LwpInfo::default();
    // SAFETY: the call fills the structure.
    unsafe { raw::lwp_info(process, number, &raw mut info, size_of::<LwpInfo>()) }?;
    Ok(info)
}

fn described(process: u64, number: u64) -> Result<LwpInfo, Why> {
    match lwp(process, number) {
        Ok(info) => Ok(info),
        Err(error) => fail!("lwp_info: {}", error.text()),
    }
}

fn process_of(number: u64) -> Result<ProcessInfo, Errno> {
    let mut info = ProcessInfo::default();
    // SAFETY: the call fills the structure.
    unsafe { raw::process_info(number, &raw mut info, size_of::<ProcessInfo>()) }?;
    Ok(info)
}

/// The sum is the lifetime, and between two looks as much time goes by as the clock says.
fn times_add_up() -> Result<(), Why> {
    for _ in 0..1000 {
        let before = clock::ticks();
        let first = described(0, 0)?;
        let between = clock::ticks();
        let second = described(0, 0)?;
        let after = clock::ticks();
        for info in [first, second] {
            if info.times.iter().sum::<u64>() != info.lifetime {
                fail!("{:?} are not {}", info.times, info.lifetime);
            }
        }
        let passed = second.lifetime - first.lifetime;
        let began = first.began + first.lifetime;
        if passed > after - before || began < before || began > between {
            fail!("{passed} of at most {}; {before} <= {began} <= {between}", after - before);
        }
        if second.calls != first.calls + 1 {
            fail!("{} calls, then {}", first.calls, second.calls);
        }
    }
    Ok(())
}

fn times_of_others() -> Result<(), Why> {
    let child = start(|| {
        loop {
            let _ = getpid();
            let _ = sleep(0);
        }
    })?;
    let mut last = 0;
    for _ in 0..2000 {
        let info = described(child, child)?;
        if info.times.iter().sum::<u64>() != info.lifetime || info.lifetime < last {
            fail!("{:?} are not {}, which was {last}", info.times, info.lifetime);
        }
        last = info.lifetime;
    }
    kill(child, SIGKILL)?;
    wait_is(child, SIGKILL)
}

/// The time is up so long after the call has begun, and a little of that goes by before it sleeps: as much as a host that
/// has other things to do takes. So it may have several tries.
fn sleep_counts() -> Result<(), Why> {
    let mut longest = 0;
    for _ in 0..20 {
        let before = described(0, 0)?;
        let _ = sleep(50);
        let after = described(0, 0)?;
        let slept = after.times[SLEEP] - before.times[SLEEP];
        if slept * 1000 >= 49 * after.ticks_per_second {
            return Ok(());
        }
        longest = longest.max(slept);
    }
    fail!("{longest} ticks, of 50 ms")
}

fn standing_counts() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE, || i32::from(getpid().is_err()))?;
    let event = next_is(BEFORE_CALL, GETPID)?;
    let before = described(child, 0)?;
    let _ = sleep(50);
    let stands = described(child, 0)?;
    go_on(&event)?;
    let event = next_is(BEFORE_CALL, 231)?;
    let after = described(child, 0)?;
    let stood = stands.times[STOPPED] - before.times[STOPPED];
    let is_whole = stood * 1000 >= 50 * after.ticks_per_second;
    if !is_whole
        || after.times[STOPPED] < stands.times[STOPPED]
        || stands.microstate != STOPPED as u64
    {
        fail!("it stood {stood} ticks; state {}", stands.microstate);
    }
    go_on(&event)?;
    let _ = observe(child, 0);
    wait_is(child, 0)
}

fn process() -> Result<(), Why> {
    let own = system::getpid();
    let (Ok(info), Ok(lwp)) = (process_of(own), lwp(own, 0)) else {
        fail!("there is nothing to hear")
    };
    let all = (info.id, info.lwps, info.state, lwp.process, lwp.number, name(&info.name));
    if all != (own, 1, 0, own, own, "observe") {
        fail!("{all:?}");
    }
    if info.resident == 0
        || info.counts[0] == 0
        || info.times.iter().sum::<u64>() < lwp.lifetime / 2
    {
        fail!("{} pages, {} calls", info.resident, info.counts[0]);
    }
    let child = start(|| {
        loop {
            core::hint::spin_loop();
        }
    })?;
    let Ok(found) = process_of(own + 1) else { fail!("the child is not found") };
    kill(child, SIGKILL)?;
    wait_is(child, SIGKILL)?;
    if (found.id, found.parent) != (child, own) {
        fail!("{} of {}", found.id, found.parent);
    }
    Ok(())
}

fn errors() -> Result<(), Why> {
    let mut info = LwpInfo::default();
    let mut of_process = ProcessInfo::default();
    let (place, size) = (&raw mut info, size_of::<LwpInfo>());
    let (process, length) = (&raw mut of_process, size_of::<ProcessInfo>());
    let found = [
        // SAFETY: structures that are there.
        unsafe { raw::lwp_info(0, 0, place, size - 1) },
        // SAFETY: nothing can be written there.
        unsafe { raw::lwp_info(0, 0, ptr::with_exposed_provenance_mut(8), size) },
        // SAFETY: as the first.
        unsafe { raw::lwp_info(0, u64::MAX, place, size) },
        // SAFETY: as the first.
        unsafe { raw::lwp_info(u64::MAX, 0, place, size) },
        // SAFETY: as the first.
        unsafe { raw::process_info(0, process, length - 1) },
        // SAFETY: as the second.
        unsafe { raw::process_info(0, ptr::with_exposed_provenance_mut(8), length) },
        // SAFETY: as the first.
        unsafe { raw::process_info(u64::MAX, process, length) },
    ];
    let [inval, fault, nobody] = [Errno::EINVAL, Errno::EFAULT, Errno::ESRCH].map(Err);
    if found != [inval, fault, nobody, nobody, inval, fault, nobody] {
        fail!("{found:?}");
    }
    Ok(())
}
