//! Children of the observed, several LWPs, and observers and observed that end early.

use crate::child::{
    EXIT_GROUP, FORK, GETPID, SIGKILL, act, exited, getpid, go_on, kill, next, next_is, observe,
    observed, shared, start, wait, wait_for_word, wait_is,
};
use abi::errno::Errno;
use abi::observe::{
    AFTER_CALL, AT_END, BEFORE_CALL, GO_ON, OBSERVE_AFTER, OBSERVE_BEFORE, OBSERVE_CHILDREN,
    OBSERVE_END, ObserveChange, ObserveEvent,
};
use core::arch::naked_asm;
use core::sync::atomic::Ordering;
use userland::fail;
use userland::report::{Checks, Why};
use userland::system::raw;

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("children-are-observed-if-wanted"), || children(true));
    checks.check(format_args!("children-are-left-alone-otherwise"), || children(false));
    checks.check(format_args!("lwps-stand-each-for-itself"), lwps);
    checks.check(format_args!("who-stands-can-be-killed"), killed);
    checks.check(format_args!("an-lwp-that-stands-does-not-keep-its-process"), exit_beside);
    checks
        .check(format_args!("who-stands-goes-on-when-the-observer-ends"), || observer_ends(false));
    checks.check(format_args!("who-stands-goes-on-when-the-observer-is-killed"), || {
        observer_ends(true)
    });
    checks.check(format_args!("two-observers"), two_observers);
    checks.check(format_args!("nobody-observes-its-observer"), each_other);
}

fn children(wanted: bool) -> Result<(), Why> {
    let what = OBSERVE_AFTER | OBSERVE_END | if wanted { OBSERVE_CHILDREN } else { 0 };
    let child = observed(what, || match start(|| i32::from(getpid().is_err())) {
        Ok(grandchild) => wait(grandchild).unwrap_or(1),
        Err(_) => 1,
    })?;
    let (mut ends, mut own, mut others) = (0, 0, 0);
    while ends < 1 + i32::from(wanted) {
        let event = next()?;
        match event.kind {
            AT_END => {
                if event.result != 0 {
                    fail!("the end of {} is {:#x}", event.process, event.result);
                }
                ends += 1;
                continue;
            }
            AFTER_CALL if event.process == child => own += i32::from(event.number == FORK),
            AFTER_CALL => others += i32::from(event.number == GETPID),
            kind => fail!("kind {kind}"),
        }
        go_on(&event)?;
    }
    if (own, others) != (1, i32::from(wanted)) {
        fail!("{own} times fork, {others} times getpid of a child");
    }
    wait_is(child, 0)
}

/// Where a second LWP begins: it asks for its process's number and ends with it.
#[unsafe(naked)]
unsafe extern "C" fn second() -> ! {
    naked_asm!(
        "mov eax, {getpid}",
        "syscall",
        "mov rdi, rax",
        "mov eax, {exit}",
        "syscall",
        "ud2",
        getpid = const GETPID,
        exit = const 0x1007,
    )
}

/// A child with a second LWP. Its status is 0 if that has ended as it should.
fn with_second() -> i32 {
    // The second one pushes nothing.
    let entry = second as *const () as u64;
    // SAFETY: the code of `second` needs no stack.
    let Ok(lwp) = (unsafe { raw::lwp_create(entry, 0, 0, 0, 0) }) else { return 1 };
    let mut status = 0;
    // SAFETY: the status is its to write.
    let waited = unsafe { raw::lwp_wait(lwp, &raw mut status) };
    i32::from(waited != Ok(lwp) || Ok(status) != getpid())
}

fn lwps() -> Result<(), Why> {
    const LWP_WAIT: u64 = 0x1008;
    let child = observed(OBSERVE_BEFORE | OBSERVE_AFTER, with_second)?;
    let create = next_is(BEFORE_CALL, 0x1006)?;
    go_on(&create)?;
    // Both stand: the first after lwp_create or before lwp_wait, the second before getpid.
    let mut first = [ObserveEvent::default(); 2];
    while first.iter().any(|event| event.kind == 0) {
        let event = next()?;
        match (event.kind, event.number) {
            (AFTER_CALL, 0x1006) => go_on(&event)?,
            (BEFORE_CALL, LWP_WAIT) => first[0] = event,
            (BEFORE_CALL, GETPID) => first[1] = event,
            (kind, number) => fail!("kind {kind} of call {number:#x}"),
        }
    }
    if first[0].lwp == first[1].lwp || first.iter().any(|event| event.process != child) {
        fail!("{} and {}", first[0].lwp, first[1].lwp);
    }
    // The first still stands while the second goes its way.
    go_on(&first[1])?;
    let after = next_is(AFTER_CALL, GETPID)?;
    if after.lwp != first[1].lwp || after.result != child {
        fail!("{} of {}", after.result, after.lwp);
    }
    go_on(&after)?;
    let exit = next_is(BEFORE_CALL, 0x1007)?;
    go_on(&exit)?;
    go_on(&first[0])?;
    let waited = next_is(AFTER_CALL, LWP_WAIT)?;
    go_on(&waited)?;
    if observe(child, 0) != Ok(0) {
        fail!("the observation cannot be ended");
    }
    wait_is(child, 0)
}

fn killed() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE | OBSERVE_END, || i32::from(getpid().is_err()))?;
    let event = next_is(BEFORE_CALL, GETPID)?;
    kill(child, SIGKILL)?;
    let end = next_is(AT_END, SIGKILL as u64)?;
    if end.result != SIGKILL as u64 {
        fail!("{:#x}", end.result);
    }
    let late = act(event.lwp, GO_ON, ObserveChange::default());
    if late != Err(Errno::ESRCH) {
        fail!("it can go on: {late:?}");
    }
    wait_is(child, SIGKILL)
}

/// The second LWP stands, and the first one ends the process.
fn exit_beside() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE, || {
        let entry = second as *const () as u64;
        // SAFETY: the code of `second` needs no stack.
        let made = unsafe { raw::lwp_create(entry, 0, 0, 0, 0) };
        if made.is_ok() { 6 } else { 1 }
    })?;
    go_on(&next_is(BEFORE_CALL, 0x1006)?)?;
    let (mut exit, mut stands) = (None, false);
    while exit.is_none() || !stands {
        let event = next()?;
        match event.number {
            EXIT_GROUP => exit = Some(event),
            GETPID => stands = true,
            number => fail!("call {number:#x}"),
        }
    }
    exit.map_or(Ok(()), |exit| go_on(&exit))?;
    wait_is(child, exited(6))
}

fn observer_ends(by_force: bool) -> Result<(), Why> {
    let word = shared()?;
    let child = start(|| {
        wait_for_word(word, 1);
        i32::from(getpid().is_err())
    })?;
    let observer = start(|| {
        if observe(child, OBSERVE_BEFORE | OBSERVE_AFTER | OBSERVE_END) != Ok(0) {
            return 1;
        }
        word.store(1, Ordering::Release);
        let stands = next_is(BEFORE_CALL, GETPID).is_ok();
        word.store(2, Ordering::Release);
        while by_force {
            core::hint::spin_loop();
        }
        i32::from(!stands)
    })?;
    if by_force {
        wait_for_word(word, 2);
        kill(observer, SIGKILL)?;
    }
    wait_is(observer, if by_force { SIGKILL } else { 0 })?;
    wait_is(child, 0)
}

fn two_observers() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE, || i32::from(getpid().is_err()))?;
    let event = next_is(BEFORE_CALL, GETPID)?;
    let other = start(|| {
        let busy = observe(child, OBSERVE_BEFORE) == Err(Errno::EBUSY);
        let ends = observe(child, 0) == Err(Errno::EBUSY);
        let goes_on = act(event.lwp, GO_ON, ObserveChange::default()) == Err(Errno::ESRCH);
        let reads = crate::memory::read(child, 4096, &mut [0; 8]) == Err(Errno::ESRCH);
        i32::from(!(busy && ends && goes_on && reads))
    })?;
    wait_is(other, 0)?;
    go_on(&event)?;
    go_on(&next_is(BEFORE_CALL, EXIT_GROUP)?)?;
    wait_is(child, 0)
}

fn each_other() -> Result<(), Why> {
    let child = observed(OBSERVE_END, || {
        let parent = crate::child::getppid().unwrap_or(0);
        let own = getpid().unwrap_or(0);
        let refused = observe(parent, OBSERVE_END) == Err(Errno::EDEADLK);
        let itself = observe(own, OBSERVE_END) == Err(Errno::EINVAL);
        i32::from(!refused) + 2 * i32::from(!itself)
    })?;
    next_is(AT_END, 0)?;
    wait_is(child, 0)
}
