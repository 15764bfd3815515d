//! Calls about LWPs: this kernel's own.

use super::times::deadline_of;
use super::{Result, enter_new};
use crate::lwp::begin::{self, Request};
use crate::lwp::{self, Lwp, NAME_MAX, Registers, ending, parking, stopping};
use abi::calls::{LWP_DETACHED, LWP_SUSPENDED, TimeSpec};
use abi::errno::Errno;
use machine::MayFault;
use machine::preempt;
use machine::x86_64::user_copy::{self, USER_END};
use machine::x86_64::user_state::{FpuState, SegmentBases};

pub fn lwp_create(
    may_fault: &mut MayFault,
    entry: u64,
    stack: u64,
    argument: u64,
    private: u64,
    flags: u32,
) -> Result {
    if flags & !(LWP_SUSPENDED | LWP_DETACHED) != 0 {
        return Err(Errno::EINVAL);
    }
    if entry >= USER_END || stack >= USER_END || private >= USER_END {
        return Err(Errno::EFAULT);
    }
    let mut frame = enter_new(entry, stack);
    frame.rdi = argument;
    let registers = Registers { fpu: FpuState::fresh(), bases: SegmentBases::new(private, 0) };
    let request = Request {
        frame,
        registers,
        suspended: flags & LWP_SUSPENDED != 0,
        detached: flags & LWP_DETACHED != 0,
    };
    begin::create(request, may_fault)
}

pub fn lwp_exit(may_fault: &mut MayFault, status: u64) -> Result {
    ending::exit(status, may_fault)
}

pub fn lwp_wait(may_fault: &mut MayFault, number: u64, status: *mut u64) -> Result {
    if !status.is_null() {
        user_copy::check(status as u64, 8).map_err(|_| Errno::EFAULT)?;
    }
    let (number, value) = ending::wait(number, may_fault)?;
    if !status.is_null() {
        user_copy::copy_out(status as u64, &value.to_le_bytes(), may_fault)
            .map_err(|_| Errno::EFAULT)?;
    }
    Ok(number)
}

/// The number, and the private pointer.
pub fn lwp_self(may_fault: &mut MayFault) -> (u64, u64) {
    (lwp::current().number(), bases(may_fault).fs())
}

pub fn lwp_suspend(may_fault: &mut MayFault, number: u64) -> Result {
    stopping::suspend(number, may_fault).map(|()| 0)
}

pub fn lwp_continue(_: &mut MayFault, number: u64) -> Result {
    stopping::continue_lwp(lwp::current().process, number).map(|()| 0)
}

pub fn lwp_park(may_fault: &mut MayFault, timeout: *const TimeSpec) -> Result {
    let lwp = lwp::current();
    let deadline = match lwp.take_deadline() {
        Some(deadline) => Some(deadline),
        None if timeout.is_null() => None,
        None => Some(deadline_of(timeout, may_fault)?),
    };
    let result = parking::park(lwp, deadline, may_fault);
    if let (Err(Errno::EINTR), Some(deadline)) = (&result, deadline) {
        lwp.keep_deadline(deadline);
    }
    result.map(|()| 0)
}

pub fn lwp_unpark(_: &mut MayFault, number: u64) -> Result {
    parking::unpark(lwp::current().process, number).map(|()| 0)
}

pub fn lwp_private(may_fault: &mut MayFault, address: u64) -> Result {
    set_private(address, may_fault)
}

pub fn lwp_name(may_fault: &mut MayFault, number: u64, name: *const u8, length: usize) -> Result {
    if length >= NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    let mut bytes = [0; NAME_MAX];
    let bytes = &mut bytes[..length];
    user_copy::copy_in(bytes, name as u64, may_fault).map_err(|_| Errno::EFAULT)?;
    if core::str::from_utf8(bytes).is_err() || bytes.contains(&0) {
        return Err(Errno::EINVAL);
    }
    with(number, |lwp| lwp.set_name(bytes)).map(|()| 0)
}

/// Acts on an LWP of the running process, which stays meanwhile; 0: the running one.
pub fn with<R>(number: u64, act: impl FnOnce(&Lwp) -> R) -> core::result::Result<R, Errno> {
    let own = lwp::current();
    if number == 0 || number == own.number() {
        return Ok(act(own));
    }
    let lwps = own.process.lwps.lock_anywhere();
    let lwp = lwps.find(number).filter(|lwp| !lwp.has_ended()).ok_or(Errno::ESRCH)?;
    Ok(act(lwp))
}

/// The bases of the running LWP.
fn bases(may_fault: &mut MayFault) -> SegmentBases {
    let guard = preempt::disable(may_fault);
    SegmentBases::current(guard.atomic())
}

fn set_private(address: u64, may_fault: &mut MayFault) -> Result {
    if address >= USER_END {
        return Err(Errno::EPERM);
    }
    let guard = preempt::disable(may_fault);
    let gs = SegmentBases::current(guard.atomic()).gs();
    SegmentBases::new(address, gs).restore(guard.atomic());
    Ok(0)
}

pub fn gettid(_: &mut MayFault) -> Result {
    Ok(lwp::current().number())
}

pub fn set_tid_address(_: &mut MayFault, address: *mut i32) -> Result {
    let lwp = lwp::current();
    lwp.clear_at_end.store(address as u64, core::sync::atomic::Ordering::Relaxed);
    Ok(lwp.number())
}

pub fn arch_prctl(may_fault: &mut MayFault, code: i32, address: u64) -> Result {
    const SET_GS: i32 = 0x1001;
    const SET_FS: i32 = 0x1002;
    const GET_FS: i32 = 0x1003;
    const GET_GS: i32 = 0x1004;
    let out = |value: u64, may_fault: &mut MayFault| {
        user_copy::copy_out(address, &value.to_le_bytes(), may_fault)
            .map(|()| 0)
            .map_err(|_| Errno::EFAULT)
    };
    match code {
        SET_FS => set_private(address, may_fault),
        SET_GS if address >= USER_END => Err(Errno::EPERM),
        SET_GS => {
            let guard = preempt::disable(may_fault);
            let fs = SegmentBases::current(guard.atomic()).fs();
            SegmentBases::new(fs, address).restore(guard.atomic());
            Ok(0)
        }
        GET_FS => {
            let fs = bases(may_fault).fs();
            out(fs, may_fault)
        }
        GET_GS => {
            let gs = bases(may_fault).gs();
            out(gs, may_fault)
        }
        _ => Err(Errno::EINVAL),
    }
}

pub fn prctl(may_fault: &mut MayFault, option: i32, second: u64, _: u64, _: u64, _: u64) -> Result {
    const SET_NAME: i32 = 15;
    const GET_NAME: i32 = 16;
    /// With its null byte.
    const LENGTH: usize = 16;
    let lwp = lwp::current();
    match option {
        SET_NAME => {
            let mut bytes = [0; LENGTH];
            for (index, byte) in bytes.iter_mut().take(LENGTH - 1).enumerate() {
                let mut one = [0];
                let at = second.wrapping_add(index as u64);
                user_copy::copy_in(&mut one, at, may_fault).map_err(|_| Errno::EFAULT)?;
                *byte = one[0];
                if one[0] == 0 {
                    break;
                }
            }
            let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(LENGTH);
            lwp.set_name(&bytes[..end]);
            Ok(0)
        }
        GET_NAME => {
            let mut bytes = [0; LENGTH];
            bytes[..LENGTH - 1].copy_from_slice(&lwp.name()[..LENGTH - 1]);
            user_copy::copy_out(second, &bytes, may_fault).map_err(|_| Errno::EFAULT)?;
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}
