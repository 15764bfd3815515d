//! Calls of those who observe others, and the calls of those who are observed: what is done before and after them.

use super::indirect::make;
use super::times::deadline_of;
use super::{Result, arguments, entry_of, register, restart};
use crate::kernel::Kernel;
use crate::lwp::{self, Lwp};
use crate::observe::standing::{Decision, stand};
use crate::observe::{self as observing, hearing, reading};
use crate::process::{self, own_frame};
use crate::user_structure::{copy_in, copy_out};
use abi::calls::{INDIRECT, TimeSpec};
use abi::errno::Errno;
use abi::observe::{
    ABORT, AFTER_CALL, AT_SIGNAL, BEFORE_CALL, CHANGE, GO_ON, OBSERVE_AFTER, OBSERVE_BEFORE,
    ObserveChange, ObserveEvent, SWALLOW,
};
use core::sync::atomic::Ordering;
use machine::MayFault;
use machine::x86_64::frame::TrapFrame;
use machine::x86_64::user_copy;

/// The call that a frame asks for: one that is asked for indirectly is itself.
fn called(frame: &TrapFrame) -> (u64, [u64; 6]) {
    let [number, first, second, third, fourth, fifth] = arguments(frame);
    match frame.error {
        INDIRECT => (number, [first, second, third, fourth, fifth, 0]),
        number => (number, arguments(frame)),
    }
}

fn wants(lwp: &Lwp, what: u32) -> bool {
    u32::from(lwp.call_work.load(Ordering::Relaxed)) & what != 0
}

/// Makes a call for which the stub has found that somebody watches it. Returns what `rax` gets.
pub(super) fn call(frame: &mut TrapFrame, may_fault: &mut MayFault) -> u64 {
    let lwp = lwp::current();
    lwp.observed.begin_call();
    let result = if wants(lwp, OBSERVE_BEFORE) {
        make_call(lwp, frame, may_fault)
    } else {
        entry_of(frame.error)(frame, may_fault)
    };
    if wants(lwp, OBSERVE_AFTER) { after_call(lwp, result, frame, may_fault) } else { result }
}

/// Makes a call as the observer wants it.
fn make_call(lwp: &Lwp, frame: &mut TrapFrame, may_fault: &mut MayFault) -> u64 {
    let (number, arguments) = called(frame);
    let event = ObserveEvent { kind: BEFORE_CALL, number, arguments, ..ObserveEvent::default() };
    match stand(lwp, event, may_fault) {
        Decision::GoOn | Decision::Swallow => entry_of(frame.error)(frame, may_fault),
        Decision::Change(change) => {
            // The end of a sleep that is begun again is not another call's.
            lwp.take_deadline();
            lwp.observed.set_made((change.number, change.arguments));
            make(change.number, change.arguments, frame, may_fault)
        }
        Decision::Abort => {
            lwp.take_deadline();
            frame.vector = restart::NOT_A_CALL;
            register(Err(Errno::EINTR))
        }
        Decision::Leave => register(Err(Errno::EINTR)),
    }
}

/// A call has been made, and came to this. Returns what `rax` gets.
fn after_call(lwp: &Lwp, result: u64, frame: &mut TrapFrame, may_fault: &mut MayFault) -> u64 {
    let (number, arguments) = lwp.observed.end_call().unwrap_or_else(|| called(frame));
    let event =
        ObserveEvent { kind: AFTER_CALL, number, arguments, result, ..ObserveEvent::default() };
    match stand(lwp, event, may_fault) {
        Decision::Change(change) => {
            lwp.take_deadline();
            frame.vector = restart::NOT_A_CALL;
            change.result
        }
        _ => result,
    }
}

/// At the end of a call after which there is something to be done: one that was going on when its LWP began to be
/// observed has been made.
pub(super) fn after_unwatched_call(frame: &mut TrapFrame, may_fault: &mut MayFault) {
    let lwp = lwp::current();
    if wants(lwp, OBSERVE_AFTER) && lwp.observed.is_unwatched() {
        frame.rax = after_call(lwp, frame.rax, frame, may_fault);
    }
}

/// The running LWP has become another program.
pub(super) fn after_execve(may_fault: &mut MayFault) {
    let lwp = lwp::current();
    if !wants(lwp, OBSERVE_AFTER) {
        return;
    }
    // SAFETY: the thread has come from user mode, and its stack is populated.
    let mut frame = unsafe { own_frame(may_fault).read() };
    after_call(lwp, 0, &mut frame, may_fault);
}

pub fn observe(may_fault: &mut MayFault, process: u64, what: u32) -> Result {
    observing::observe(Kernel::current(), process, what, may_fault).map(|()| 0)
}

pub fn observe_wait(
    may_fault: &mut MayFault,
    event: *mut ObserveEvent,
    length: usize,
    timeout: *const TimeSpec,
) -> Result {
    if length < size_of::<ObserveEvent>() {
        return Err(Errno::EINVAL);
    }
    user_copy::check(event as u64, size_of::<ObserveEvent>()).map_err(|_| Errno::EFAULT)?;
    let mut is_impatient = false;
    let deadline = if timeout.is_null() {
        None
    } else {
        let time: TimeSpec = copy_in(timeout as u64, may_fault)?;
        is_impatient = time == TimeSpec::default();
        Some(deadline_of(timeout, may_fault)?)
    };
    let observer = process::current().id;
    let tell =
        |told: &ObserveEvent, may_fault: &mut MayFault| copy_out(event as u64, told, may_fault);
    match hearing::wait(Kernel::current(), observer, deadline, may_fault, tell) {
        Err(Errno::ETIMEDOUT) if is_impatient => Err(Errno::EAGAIN),
        result => result.map(|()| 0),
    }
}

pub fn observe_continue(
    may_fault: &mut MayFault,
    lwp: u64,
    action: u32,
    change: *const ObserveChange,
) -> Result {
    let change = match action {
        CHANGE => copy_in(change as u64, may_fault)?,
        _ => ObserveChange::default(),
    };
    let observer = process::current().id;
    hearing::decide(Kernel::current(), observer, lwp, may_fault, |kind| match (action, kind) {
        (GO_ON, _) => Ok(Decision::GoOn),
        (CHANGE, BEFORE_CALL | AFTER_CALL) => Ok(Decision::Change(change)),
        (ABORT, BEFORE_CALL) => Ok(Decision::Abort),
        (SWALLOW, AT_SIGNAL) => Ok(Decision::Swallow),
        _ => Err(Errno::EINVAL),
    })?;
    Ok(0)
}

pub fn observe_read(
    may_fault: &mut MayFault,
    process: u64,
    address: u64,
    buffer: *mut u8,
    length: usize,
) -> Result {
    user_copy::check(buffer as u64, length).map_err(|_| Errno::EFAULT)?;
    let observer = process::current().id;
    let mut done = 0;
    loop {
        let want = (length - done).min(reading::PIECE);
        let at = address.checked_add(done as u64).ok_or(Errno::EFAULT)?;
        let read = reading::read(Kernel::current(), observer, process, at, want, may_fault);
        let (bytes, count) = match read {
            Ok(read) => read,
            // What has been read has been read.
            Err(_) if done > 0 => return Ok(done as u64),
            Err(error) => return Err(error),
        };
        let to = buffer as u64 + done as u64;
        user_copy::copy_out(to, &bytes[..count], may_fault).map_err(|_| Errno::EFAULT)?;
        done += count;
        if done == length {
            return Ok(done as u64);
        }
        if count < want {
            return if done > 0 { Ok(done as u64) } else { Err(Errno::EFAULT) };
        }
    }
}
