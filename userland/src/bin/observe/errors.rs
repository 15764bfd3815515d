//! What is refused.

use crate::child::{
    GETPID, SIGKILL, act, getpid, kill, next_is, observe, observed, wait_at_most, wait_is,
};
use abi::calls::TimeSpec;
use abi::errno::Errno;
use abi::observe::{
    ABORT, AFTER_CALL, BEFORE_CALL, CHANGE, GO_ON, OBSERVE_AFTER, OBSERVE_ALL, OBSERVE_BEFORE,
    OBSERVE_END, ObserveChange, ObserveEvent, SWALLOW,
};
use core::ptr;
use userland::fail;
use userland::report::{Checks, Why};
use userland::system::{self, raw};

const LENGTH: usize = size_of::<ObserveEvent>();
const NOW: TimeSpec = TimeSpec { seconds: 0, nanoseconds: 0 };
const SOON: TimeSpec = TimeSpec { seconds: 0, nanoseconds: 10_000_000 };

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("observe-refuses"), || {
        let own = system::getpid();
        for (process, what, error) in [
            (own, OBSERVE_ALL, Errno::EINVAL),
            (own, 0, Errno::EINVAL),
            (own + 1_000_000, OBSERVE_ALL, Errno::ESRCH),
            (u64::MAX, OBSERVE_ALL, Errno::ESRCH),
            (0, OBSERVE_ALL, Errno::ESRCH),
            (own + 1_000_000, OBSERVE_ALL + 1, Errno::EINVAL),
        ] {
            let found = observe(process, what);
            if found != Err(error) {
                fail!("{process} for {what:#x}: {found:?}, expected {error:?}");
            }
        }
        Ok(())
    });
    checks.check(format_args!("waiting-refuses"), waiting);
    checks.check(format_args!("what-an-observer-cannot-be-told-is-kept"), kept);
    checks.check(format_args!("going-on-refuses"), going_on);
}

fn waiting() -> Result<(), Why> {
    let nobody = wait_at_most(SOON);
    if nobody != Err(Errno::ECHILD) {
        fail!("with nobody to observe: {nobody:?}");
    }
    let child = observed(OBSERVE_END, || {
        loop {
            core::hint::spin_loop();
        }
    })?;
    let at_once = wait_at_most(NOW);
    let soon = wait_at_most(SOON);
    let wrong = wait_at_most(TimeSpec { seconds: 0, nanoseconds: 1_000_000_000 });
    if (at_once, soon, wrong) != (Err(Errno::EAGAIN), Err(Errno::ETIMEDOUT), Err(Errno::EINVAL)) {
        fail!("{at_once:?}, {soon:?}, {wrong:?}");
    }
    let mut event = ObserveEvent::default();
    let place = &raw mut event;
    let now = NOW;
    // SAFETY: nothing may be written.
    let short = unsafe { raw::observe_wait(place, LENGTH - 1, &raw const now) };
    // SAFETY: likewise.
    let timeout = unsafe { raw::observe_wait(place, LENGTH, ptr::without_provenance(8)) };
    if (short, timeout) != (Err(Errno::EINVAL), Err(Errno::EFAULT)) {
        fail!("short: {short:?}, bad timeout: {timeout:?}");
    }
    kill(child, SIGKILL)?;
    next_is(abi::observe::AT_END, SIGKILL as u64)?;
    wait_is(child, SIGKILL)?;
    let nobody = wait_at_most(NOW);
    if nobody != Err(Errno::ECHILD) {
        fail!("after the end: {nobody:?}");
    }
    Ok(())
}

fn kept() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE | OBSERVE_END, || i32::from(getpid().is_err()))?;
    // It stands, or is about to.
    let try_bad = || {
        for bad in [8, 1 << 47, kept as *const () as usize] {
            let bad = ptr::with_exposed_provenance_mut(bad);
            // SAFETY: nothing can be written there.
            let found = unsafe { raw::observe_wait(bad, LENGTH, ptr::null()) };
            if found != Err(Errno::EFAULT) {
                fail!("{bad:?}: {found:?}");
            }
        }
        Ok(())
    };
    try_bad()?;
    let event = next_is(BEFORE_CALL, GETPID)?;
    kill(child, SIGKILL)?;
    try_bad()?;
    next_is(abi::observe::AT_END, SIGKILL as u64)?;
    let _ = event;
    wait_is(child, SIGKILL)
}

fn going_on() -> Result<(), Why> {
    let none = ObserveChange::default();
    let child = observed(OBSERVE_BEFORE | OBSERVE_AFTER, || i32::from(getpid().is_err()))?;
    let before = next_is(BEFORE_CALL, GETPID)?;
    let refused = |lwp: u64, action: u32, error: Errno| {
        let found = act(lwp, action, none);
        if found != Err(error) {
            fail!("action {action}: {found:?}, expected {error:?}");
        }
        Ok(())
    };
    refused(before.lwp, SWALLOW, Errno::EINVAL)?;
    refused(before.lwp, 4, Errno::EINVAL)?;
    refused(before.lwp, u32::MAX, Errno::EINVAL)?;
    refused(before.lwp + 1_000_000, GO_ON, Errno::ESRCH)?;
    refused(0, GO_ON, Errno::ESRCH)?;
    // SAFETY: the call writes to no memory.
    let bad = unsafe { raw::observe_continue(before.lwp, CHANGE, ptr::without_provenance(8)) };
    if bad != Err(Errno::EFAULT) {
        fail!("bad change: {bad:?}");
    }
    // It stands all the same.
    crate::child::go_on(&before)?;
    let after = next_is(AFTER_CALL, GETPID)?;
    refused(after.lwp, ABORT, Errno::EINVAL)?;
    refused(after.lwp, SWALLOW, Errno::EINVAL)?;
    kill(child, SIGKILL)?;
    wait_is(child, SIGKILL)?;
    refused(after.lwp, GO_ON, Errno::ESRCH)
}
