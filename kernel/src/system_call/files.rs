//! Calls that use open files: reading, writing, moving about, asking. With Linux's structures, flags and errors.

use super::Result;
use super::transfer::{self, Ranges};
use crate::files::descriptors::with;
use crate::kernel::Kernel;
use crate::user_structure::{copy_in, copy_out};
use abi::errno::Errno;
use abi::files::{
    GRND_NONBLOCK, GRND_RANDOM, IoVec, O_NONBLOCK, SEEK_CUR, SEEK_END, SEEK_SET, Stat,
};
use abi::terminals::{FIONBIO, FIONREAD};
use dispatch::sleep_queue;
use machine::MayFault;
use machine::x86_64::user_copy;

pub fn read(may_fault: &mut MayFault, fd: i32, buffer: *mut u8, length: usize) -> Result {
    with(fd, may_fault, |file, may_fault| {
        transfer::read(file, None, may_fault, |_| Ranges::one(buffer as u64, length))
    })
}

pub fn write(may_fault: &mut MayFault, fd: i32, buffer: *const u8, length: usize) -> Result {
    with(fd, may_fault, |file, may_fault| {
        transfer::write(file, None, may_fault, |_| Ranges::one(buffer as u64, length))
    })
}

pub fn readv(may_fault: &mut MayFault, fd: i32, vector: *const IoVec, count: i32) -> Result {
    with(fd, may_fault, |file, may_fault| {
        transfer::read(file, None, may_fault, |may_fault| Ranges::several(vector, count, may_fault))
    })
}

pub fn writev(may_fault: &mut MayFault, fd: i32, vector: *const IoVec, count: i32) -> Result {
    with(fd, may_fault, |file, may_fault| {
        transfer::write(file, None, may_fault, |may_fault| {
            Ranges::several(vector, count, may_fault)
        })
    })
}

/// A place in a file.
fn place(offset: i64) -> core::result::Result<Option<u64>, Errno> {
    u64::try_from(offset).map(Some).map_err(|_| Errno::EINVAL)
}

pub fn pread64(
    may_fault: &mut MayFault,
    fd: i32,
    buffer: *mut u8,
    length: usize,
    offset: i64,
) -> Result {
    let place = place(offset)?;
    with(fd, may_fault, |file, may_fault| {
        transfer::read(file, place, may_fault, |_| Ranges::one(buffer as u64, length))
    })
}

pub fn pwrite64(
    may_fault: &mut MayFault,
    fd: i32,
    buffer: *const u8,
    length: usize,
    offset: i64,
) -> Result {
    let place = place(offset)?;
    with(fd, may_fault, |file, may_fault| {
        transfer::write(file, place, may_fault, |_| Ranges::one(buffer as u64, length))
    })
}

pub fn lseek(may_fault: &mut MayFault, fd: i32, offset: i64, whence: i32) -> Result {
    with(fd, may_fault, |file, may_fault| {
        let length = file.kind().file().length(may_fault).ok_or(Errno::ESPIPE)?;
        file.at(None, may_fault, |at, _| {
            let from = match whence {
                SEEK_SET => 0,
                SEEK_CUR => *at,
                SEEK_END => length,
                _ => return Err(Errno::EINVAL),
            };
            let to = i64::try_from(from).map_err(|_| Errno::EOVERFLOW)?;
            let to = to.checked_add(offset).ok_or(Errno::EOVERFLOW)?;
            *at = u64::try_from(to).map_err(|_| Errno::EINVAL)?;
            Ok(*at)
        })
    })
}

pub fn fstat(may_fault: &mut MayFault, fd: i32, buffer: *mut Stat) -> Result {
    with(fd, may_fault, |file, may_fault| {
        let status = file.kind().file().status(may_fault);
        copy_out(buffer as u64, &status, may_fault).map(|()| 0)
    })
}

pub fn ioctl(may_fault: &mut MayFault, fd: i32, request: u32, argument: u64) -> Result {
    with(fd, may_fault, |file, may_fault| match file.kind().file().length(may_fault) {
        Some(length) if request == FIONREAD => {
            let left = length.saturating_sub(file.offset()).min(i32::MAX as u64) as u32;
            copy_out(argument, &left, may_fault).map(|()| 0)
        }
        _ if request == FIONBIO => {
            let waits_not = if copy_in::<i32>(argument, may_fault)? == 0 { 0 } else { O_NONBLOCK };
            file.set_flags(file.flags() & !O_NONBLOCK | waits_not);
            Ok(0)
        }
        _ => file.kind().file().control(request, argument, may_fault),
    })
}

pub fn getrandom(may_fault: &mut MayFault, buffer: *mut u8, length: usize, flags: u32) -> Result {
    if flags & !(GRND_NONBLOCK | GRND_RANDOM) != 0 {
        return Err(Errno::EINVAL);
    }
    user_copy::check(buffer as u64, length).map_err(|_| Errno::EFAULT)?;
    let length = length.min(i32::MAX as usize);
    let mut done = 0;
    let mut bytes = [0; 256];
    while done < length {
        let part = &mut bytes[..(length - done).min(256)];
        Kernel::current().files.random.fill(part);
        if user_copy::copy_out(buffer as u64 + done as u64, part, may_fault).is_err() {
            return if done > 0 { Ok(done as u64) } else { Err(Errno::EFAULT) };
        }
        done += part.len();
        if sleep_queue::is_interrupted() {
            break;
        }
    }
    Ok(done as u64)
}
