//! Stops before and after calls.

use crate::child::{
    EXECVE, EXIT_GROUP, GETPID, GETPPID, NANOSLEEP, exited, getpid, go_on, kill, next, next_is,
    observe, observed, shared, sleep, start, then, wait, wait_for_word, wait_is,
};
use abi::errno::Errno;
use abi::observe::{
    ABORT, AFTER_CALL, AT_END, BEFORE_CALL, CHANGE, OBSERVE_AFTER, OBSERVE_BEFORE, OBSERVE_END,
    ObserveChange,
};
use core::arch::asm;
use core::sync::atomic::Ordering;
use userland::fail;
use userland::report::{Checks, Why};
use userland::system::{self, raw};

const EINTR: u64 = (Errno::EINTR as u64).wrapping_neg();

/// A call with all six arguments; returns the result, and what is in the arguments' registers then.
fn six(number: u64, mut arguments: [u64; 6]) -> (u64, [u64; 6]) {
    let result;
    let [rdi, rsi, rdx, r10, r8, r9] = &mut arguments;
    // SAFETY: callers make calls that write to no memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            inlateout("rdi") *rdi,
            inlateout("rsi") *rsi,
            inlateout("rdx") *rdx,
            inlateout("r10") *r10,
            inlateout("r8") *r8,
            inlateout("r9") *r9,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        )
    };
    (result, arguments)
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("before-and-after-a-call"), before_and_after);
    checks.check(format_args!("all-arguments-are-seen"), arguments_are_seen);
    checks.check(format_args!("an-indirect-call-is-the-call-that-it-makes"), indirect);
    checks.check(format_args!("another-call-is-made"), another_call);
    checks.check(format_args!("other-arguments-leave-the-registers"), other_arguments);
    checks.check(format_args!("another-end"), another_end);
    checks.check(format_args!("another-result"), another_result);
    checks.check(format_args!("an-aborted-call-is-not-made-again"), abort);
    checks.check(format_args!("a-call-that-is-going-on-is-seen-after-it"), attached_in_a_call);
    checks.check(format_args!("a-new-program-stops-after-execve"), execve);
    checks.check(format_args!("who-is-let-go-goes-on"), let_go);
    checks.check(format_args!("what-is-wanted-can-change"), change_what);
}

fn before_and_after() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE | OBSERVE_AFTER | OBSERVE_END, || {
        let _ = getpid();
        7
    })?;
    let before = next_is(BEFORE_CALL, GETPID)?;
    if (before.process, before.lwp) != (child, child) {
        fail!("process {}, LWP {}, expected {child}", before.process, before.lwp);
    }
    go_on(&before)?;
    let after = next_is(AFTER_CALL, GETPID)?;
    if after.result != child || after.time < before.time || after.in_calls < before.in_calls {
        fail!("{} after {} before {}", after.result, after.time, before.time);
    }
    go_on(&after)?;
    let exit = next_is(BEFORE_CALL, EXIT_GROUP)?;
    if exit.arguments[0] != 7 {
        fail!("it exits with {}", exit.arguments[0]);
    }
    go_on(&exit)?;
    let end = next_is(AT_END, 0)?;
    if (end.process, end.result, end.signal) != (child, exited(7) as u64, 0) {
        fail!("the end of {} is {:#x}", end.process, end.result);
    }
    wait_is(child, exited(7))
}

fn arguments_are_seen() -> Result<(), Why> {
    const NO_CALL: u64 = 0x7777;
    let sent = [1, 1 << 63, 0x3333_3333_3333, u64::MAX, 5, 6];
    let child = observed(OBSERVE_BEFORE, || {
        six(NO_CALL, sent);
        0
    })?;
    let event = next_is(BEFORE_CALL, NO_CALL)?;
    if event.arguments != sent {
        fail!("{:?}", event.arguments);
    }
    go_on(&event)?;
    go_on(&next_is(BEFORE_CALL, EXIT_GROUP)?)?;
    wait_is(child, 0)
}

fn indirect() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE | OBSERVE_AFTER, || {
        // SAFETY: the call that it makes writes to no memory.
        let found = unsafe { raw::indirect(GETPID, 11, 12, 13, 14, 15) };
        i32::from(found != getpid_of_stub())
    })?;
    let before = next_is(BEFORE_CALL, GETPID)?;
    if before.arguments != [11, 12, 13, 14, 15, 0] {
        fail!("{:?}", before.arguments);
    }
    go_on(&before)?;
    let after = next_is(AFTER_CALL, GETPID)?;
    if after.result != child || after.arguments != before.arguments {
        fail!("{} with {:?}", after.result, after.arguments);
    }
    go_on(&after)?;
    finish(child, 0)
}

fn getpid_of_stub() -> Result<u64, Errno> {
    Ok(system::getpid())
}

/// Lets a child go on whatever it does, until it ends.
fn finish(child: u64, status: i32) -> Result<(), Why> {
    if observe(child, 0) != Ok(0) {
        fail!("the observation cannot be ended");
    }
    wait_is(child, exited(status))
}

fn another_call() -> Result<(), Why> {
    let parent = system::getpid();
    let child = observed(OBSERVE_BEFORE | OBSERVE_AFTER, || i32::from(getpid() != Ok(parent)))?;
    let before = next_is(BEFORE_CALL, GETPID)?;
    then(&before, CHANGE, ObserveChange { number: GETPPID, ..ObserveChange::default() })?;
    let after = next_is(AFTER_CALL, GETPPID)?;
    if after.result != parent {
        fail!("{}", after.result);
    }
    go_on(&after)?;
    finish(child, 0)
}

fn other_arguments() -> Result<(), Why> {
    const GETPGID: u64 = 121;
    let sent = [999_999, 2, 3, 4, 5, 6];
    let child = observed(OBSERVE_BEFORE, || {
        let (found, left) = six(GETPGID, sent);
        i32::from(left != sent) + 2 * i32::from(found > 1 << 32)
    })?;
    let before = next_is(BEFORE_CALL, GETPGID)?;
    let change = ObserveChange { number: GETPGID, arguments: [0, 77, 77, 77, 77, 77], result: 0 };
    then(&before, CHANGE, change)?;
    finish(child, 0)
}

fn another_end() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE, || 3)?;
    let before = next_is(BEFORE_CALL, EXIT_GROUP)?;
    let change = ObserveChange { number: EXIT_GROUP, arguments: [9, 0, 0, 0, 0, 0], result: 0 };
    then(&before, CHANGE, change)?;
    wait_is(child, exited(9))
}

/// Also EINTR, after which the call must not begin again, whatever its own result was.
fn another_result() -> Result<(), Why> {
    let child = observed(OBSERVE_AFTER, || {
        let number = getpid();
        let slept = sleep(1);
        i32::from(number != Ok(4242)) + 2 * i32::from(slept != Err(Errno::EINTR))
    })?;
    let after = next_is(AFTER_CALL, GETPID)?;
    then(&after, CHANGE, ObserveChange { result: 4242, ..ObserveChange::default() })?;
    let after = next_is(AFTER_CALL, NANOSLEEP)?;
    then(&after, CHANGE, ObserveChange { result: EINTR, ..ObserveChange::default() })?;
    wait_is(child, 0)
}

fn abort() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE | OBSERVE_AFTER, || {
        let first = getpid();
        let slept = sleep(10_000);
        i32::from(first != Err(Errno::EINTR)) + 2 * i32::from(slept != Err(Errno::EINTR))
    })?;
    for number in [GETPID, NANOSLEEP] {
        let before = next_is(BEFORE_CALL, number)?;
        then(&before, ABORT, ObserveChange::default())?;
        let after = next_is(AFTER_CALL, number)?;
        if after.result != EINTR {
            fail!("call {number} returns {:#x}", after.result);
        }
        go_on(&after)?;
    }
    go_on(&next_is(BEFORE_CALL, EXIT_GROUP)?)?;
    wait_is(child, 0)
}

fn attached_in_a_call() -> Result<(), Why> {
    let word = shared()?;
    let child = start(|| {
        word.store(1, Ordering::Release);
        i32::from(sleep(200) != Ok(0))
    })?;
    wait_for_word(word, 1);
    let _ = sleep(20);
    if observe(child, OBSERVE_AFTER) != Ok(0) {
        fail!("it cannot be observed");
    }
    let after = next_is(AFTER_CALL, NANOSLEEP)?;
    if after.result != 0 {
        fail!("{:#x}", after.result);
    }
    go_on(&after)?;
    wait_is(child, 0)
}

fn execve() -> Result<(), Why> {
    const SIGKILL: i32 = 9;
    let child = observed(OBSERVE_BEFORE | OBSERVE_AFTER | OBSERVE_END, || {
        let words = [c"hello".as_ptr(), core::ptr::null()];
        for path in [c"/bin/no-such-program", c"/bin/hello"] {
            // SAFETY: arrays and strings that end as they should.
            let _ = unsafe {
                raw::execve(path.as_ptr().cast(), words.as_ptr().cast(), words[1..].as_ptr().cast())
            };
        }
        1
    })?;
    for expected in [(Errno::ENOENT as u64).wrapping_neg(), 0] {
        go_on(&next_is(BEFORE_CALL, EXECVE)?)?;
        let after = next_is(AFTER_CALL, EXECVE)?;
        if after.result != expected {
            fail!("{:#x}, expected {expected:#x}", after.result);
        }
        go_on(&after)?;
    }
    // The new program is observed too.
    let before = next()?;
    if before.kind != BEFORE_CALL {
        fail!("kind {}", before.kind);
    }
    kill(child, SIGKILL)?;
    next_is(AT_END, u64::from(SIGKILL as u32))?;
    wait_is(child, SIGKILL)
}

fn let_go() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE, || i32::from(getpid() == Err(Errno::EINTR)))?;
    next_is(BEFORE_CALL, GETPID)?;
    finish(child, 0)
}

fn change_what() -> Result<(), Why> {
    let child = observed(OBSERVE_BEFORE, || i32::from(getpid().is_err()))?;
    let before = next_is(BEFORE_CALL, GETPID)?;
    if observe(child, OBSERVE_END) != Ok(0) {
        fail!("what is wanted cannot be changed");
    }
    go_on(&before)?;
    next_is(AT_END, 0)?;
    let status = wait(child)?;
    if status != 0 {
        fail!("{status:#x}");
    }
    Ok(())
}
