//! Calls about signals, with Linux's numbers, structures and errors.

use super::times::deadline_of;
use super::{Result, entry, register};
use crate::kernel::Kernel;
use crate::lwp;
use crate::process::{own_frame, table};
use crate::signal::frame::{self, to_user};
use crate::signal::{Information, SIGSEGV, UNSTOPPABLE, bit, code, deliver, send, wait};
use crate::user_structure::{copy_in, copy_out};
use abi::calls::TimeSpec;
use abi::errno::Errno;
use abi::signals::{MINSIGSTKSZ, SIGNALS, SS_DISABLE, SS_ONSTACK, SigAction, SigStack};
use machine::MayFault;
use machine::x86_64::user_copy;

/// Bytes of a set of signals.
const SET: usize = 8;

/// A number as a signal, 0 included.
fn signal(number: i32) -> core::result::Result<u8, Errno> {
    u8::try_from(number).ok().filter(|&number| usize::from(number) <= SIGNALS).ok_or(Errno::EINVAL)
}

pub fn rt_sigaction(
    may_fault: &mut MayFault,
    number: i32,
    action: *const u8,
    old: *mut u8,
    size: usize,
) -> Result {
    let signal = signal(number)?;
    if size != SET || signal == 0 {
        return Err(Errno::EINVAL);
    }
    let signals = &lwp::current().process.signals;
    let new: Option<SigAction> =
        if action.is_null() { None } else { Some(copy_in(action as u64, may_fault)?) };
    if new.is_some() && bit(signal) & UNSTOPPABLE != 0 {
        return Err(Errno::EINVAL);
    }
    let before = signals.get(signal);
    if let Some(new) = new {
        signals.set(signal, new);
    }
    if !old.is_null() {
        copy_out(old as u64, &before, may_fault)?;
    }
    Ok(0)
}

pub fn rt_sigprocmask(
    may_fault: &mut MayFault,
    how: i32,
    set: *const u64,
    old: *mut u64,
    size: usize,
) -> Result {
    const BLOCK: i32 = 0;
    const UNBLOCK: i32 = 1;
    const SET_MASK: i32 = 2;
    if size != SET {
        return Err(Errno::EINVAL);
    }
    let lwp = lwp::current();
    let before = lwp.signals.mask();
    if !set.is_null() {
        let set: u64 = copy_in(set as u64, may_fault)?;
        let new = match how {
            BLOCK => before | set,
            UNBLOCK => before & !set,
            SET_MASK => set,
            _ => return Err(Errno::EINVAL),
        };
        lwp.hold_back(new);
    }
    if !old.is_null() {
        copy_out(old as u64, &before, may_fault)?;
    }
    Ok(0)
}

pub fn rt_sigpending(may_fault: &mut MayFault, set: *mut u64, size: usize) -> Result {
    if size > SET {
        return Err(Errno::EINVAL);
    }
    let lwp = lwp::current();
    let pending =
        (lwp.signals.pending.set() | lwp.process.signals.pending.set()) & lwp.signals.mask();
    user_copy::copy_out(set as u64, &pending.to_le_bytes()[..size], may_fault)
        .map_err(|_| Errno::EFAULT)?;
    Ok(0)
}

pub fn rt_sigsuspend(may_fault: &mut MayFault, set: *const u64, size: usize) -> Result {
    if size != SET {
        return Err(Errno::EINVAL);
    }
    let set: u64 = copy_in(set as u64, may_fault)?;
    let lwp = lwp::current();
    lwp.hold_back_for_a_while(set);
    Err(wait::wait_for_any(may_fault))
}

pub fn pause(may_fault: &mut MayFault) -> Result {
    Err(wait::wait_for_any(may_fault))
}

pub fn rt_sigtimedwait(
    may_fault: &mut MayFault,
    set: *const u64,
    information: *mut u8,
    timeout: *const TimeSpec,
    size: usize,
) -> Result {
    if size != SET {
        return Err(Errno::EINVAL);
    }
    let set = copy_in::<u64>(set as u64, may_fault)? & !UNSTOPPABLE;
    let lwp = lwp::current();
    let deadline = match lwp.take_deadline() {
        Some(deadline) => Some(deadline),
        None if timeout.is_null() => None,
        None => Some(deadline_of(timeout, may_fault)?),
    };
    let got = wait::wait_for(lwp, set, deadline, may_fault).inspect_err(|error| {
        if let (Errno::EINTR, Some(deadline)) = (error, deadline) {
            lwp.keep_deadline(deadline);
        }
    })?;
    if !information.is_null() {
        copy_out(information as u64, &to_user(&got), may_fault)?;
    }
    Ok(u64::from(got.signal))
}

pub fn sigaltstack(may_fault: &mut MayFault, new: *const u8, old: *mut u8) -> Result {
    let lwp = lwp::current();
    // SAFETY: the thread has come from user mode, and its stack is populated.
    let stack_pointer = unsafe { own_frame(may_fault).read() }.rsp;
    let before = lwp.signals.stack(stack_pointer);
    if !new.is_null() {
        let new: SigStack = copy_in(new as u64, may_fault)?;
        if before.flags & SS_ONSTACK != 0 {
            return Err(Errno::EPERM);
        }
        match new.flags {
            SS_DISABLE => lwp.signals.set_stack(0, 0),
            0 | SS_ONSTACK if new.size < MINSIGSTKSZ => return Err(Errno::ENOMEM),
            0 | SS_ONSTACK => lwp.signals.set_stack(new.base, new.size),
            _ => return Err(Errno::EINVAL),
        }
    }
    if !old.is_null() {
        copy_out(old as u64, &before, may_fault)?;
    }
    Ok(0)
}

pub fn rt_sigreturn(may_fault: &mut MayFault) -> Result {
    let lwp = lwp::current();
    let own = own_frame(may_fault);
    // SAFETY: the thread has come from user mode, and its stack is populated.
    let mut at = unsafe { own.read() };
    match frame::leave(lwp, &at, may_fault) {
        Ok(restored) => entry::go_on_in_user_mode(restored, may_fault),
        Err(_) => {
            let information =
                Information { signal: SIGSEGV, code: code::KERNEL, ..Information::default() };
            at.rax = register(Err(Errno::EFAULT));
            at.vector = super::restart::NOT_A_CALL;
            deliver::force(lwp, &information, &mut at, None, may_fault);
            entry::go_on_in_user_mode(at, may_fault)
        }
    }
}

fn from_user(signal: u8, code: i32) -> Information {
    Information { signal, code, process: lwp::current().process.id, ..Information::default() }
}

pub fn kill(may_fault: &mut MayFault, process: i32, number: i32) -> Result {
    let signal = signal(number)?;
    let own = lwp::current().process;
    let information = from_user(signal, code::USER);
    let is_meant = |id: u64, group: u64| match process {
        0 => group == own.group(),
        // All but the caller.
        -1 => id != own.id,
        1.. => id == process as u64,
        _ => group == u64::from(process.unsigned_abs()),
    };
    let mut found = false;
    table::each(Kernel::current(), may_fault, |process| {
        if is_meant(process.id, process.group()) {
            found = true;
            if signal != 0 {
                send::to_process(process, &information);
            }
        }
    });
    if found { Ok(0) } else { Err(Errno::ESRCH) }
}

pub fn tkill(may_fault: &mut MayFault, lwp: i32, number: i32) -> Result {
    to_lwp(None, lwp, number, may_fault)
}

pub fn tgkill(may_fault: &mut MayFault, process: i32, lwp: i32, number: i32) -> Result {
    if process <= 0 {
        return Err(Errno::EINVAL);
    }
    to_lwp(Some(process as u64), lwp, number, may_fault)
}

fn to_lwp(process: Option<u64>, lwp: i32, number: i32, may_fault: &mut MayFault) -> Result {
    let signal = signal(number)?;
    let lwp = u64::try_from(lwp).ok().filter(|&lwp| lwp != 0).ok_or(Errno::EINVAL)?;
    let information = from_user(signal, code::TKILL);
    let mut found = false;
    table::each(Kernel::current(), may_fault, |candidate| {
        if process.is_some_and(|process| process != candidate.id) {
            return;
        }
        let lwps = candidate.lwps.lock_anywhere();
        let Some(lwp) = lwps.find(lwp).filter(|lwp| !lwp.has_ended()) else { return };
        found = true;
        if signal == 0 {
            return;
        }
        if bit(signal) & (UNSTOPPABLE | crate::signal::STOPS | bit(crate::signal::SIGCONT)) != 0 {
            // These are the whole process's, wherever they are sent.
            drop(lwps);
            send::to_process(candidate, &information);
        } else {
            send::to_lwp(lwp, &information);
        }
    });
    if found { Ok(0) } else { Err(Errno::ESRCH) }
}
