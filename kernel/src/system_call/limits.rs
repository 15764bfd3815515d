//! Calls about limits, and about the processors that there are for the caller. Limits are the kernel's own and cannot be
//! changed.

use super::Result;
use crate::kernel::Kernel;
use crate::lwp::LWPS_MAX;
use crate::process::{self, STACK_SIZE};
use crate::user_structure::{copy_in, copy_out};
use abi::errno::Errno;
use dispatch::CpuDispatch;
use machine::MayFault;
use machine::x86_64::user_copy;

const INFINITY: u64 = u64::MAX;

/// How many limits Linux knows.
const LIMITS: u32 = 16;

fn limit(which: u32) -> core::result::Result<[u64; 2], Errno> {
    const STACK: u32 = 3;
    const CORE: u32 = 4;
    const PROCESSES: u32 = 6;
    const FILES: u32 = 7;
    let value = match which {
        STACK => STACK_SIZE,
        CORE => 0,
        PROCESSES => LWPS_MAX as u64,
        FILES => abi::files::OPEN_MAX as u64,
        0..LIMITS => INFINITY,
        _ => return Err(Errno::EINVAL),
    };
    Ok([value, value])
}

pub fn getrlimit(may_fault: &mut MayFault, which: u32, to: *mut u8) -> Result {
    copy_out(to as u64, &limit(which)?, may_fault).map(|()| 0)
}

pub fn prlimit64(
    may_fault: &mut MayFault,
    process: i32,
    which: u32,
    new: *const u8,
    old: *mut u8,
) -> Result {
    let own = process::current();
    if process != 0 && u64::try_from(process) != Ok(own.id) {
        return Err(Errno::ESRCH);
    }
    let is = limit(which)?;
    if !new.is_null() {
        // To ask for what is already so is allowed.
        let wanted: [u64; 2] = copy_in(new as u64, may_fault)?;
        if wanted != is {
            return Err(Errno::EPERM);
        }
    }
    if !old.is_null() {
        copy_out(old as u64, &is, may_fault)?;
    }
    Ok(0)
}

/// The processors on line, a bit each. Returns the bytes written.
pub fn sched_getaffinity(may_fault: &mut MayFault, _: i32, size: usize, mask: *mut u8) -> Result {
    const BYTES: usize = 8;
    if size < BYTES || !size.is_multiple_of(BYTES) {
        return Err(Errno::EINVAL);
    }
    let cpus = Kernel::current().system.cpus().map(CpuDispatch::of);
    let on_line = cpus.filter(|cpu| cpu.is_online());
    let bits: u64 = on_line.fold(0, |bits, cpu| bits | 1 << cpu.index());
    user_copy::copy_out(mask as u64, &bits.to_le_bytes(), may_fault).map_err(|_| Errno::EFAULT)?;
    Ok(BYTES as u64)
}
