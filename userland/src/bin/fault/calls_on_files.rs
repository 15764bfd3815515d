//! The calls on open files for `bad_pointers.rs`: each on a device that takes and gives everything.

use super::bad_pointers::{Call, Direction, LENGTH, NOWHERE};
use abi::calls::TimeSpec;
use abi::errno::Errno;
use abi::files::{IoVec, O_RDWR, PollFd, Stat};
use abi::terminals::{TCGETS, Termios};
use core::ptr;
use userland::fail;
use userland::files::{close, open};
use userland::report::Why;
use userland::system::raw;

/// Acts on a device with all there is; what comes is nothing but success.
fn on_zero(act: impl FnOnce(i32) -> Result<u64, Errno>) -> Result<u64, Errno> {
    let fd = open(c"/dev/zero", O_RDWR)?;
    let result = act(fd);
    close(fd)?;
    result.map(|_| 0)
}

/// The descriptors of a pipe that nobody has been told of are the lowest that are free.
fn closed(made: Result<u64, Errno>) -> Result<u64, Errno> {
    made?;
    close(3)?;
    close(4)?;
    Ok(0)
}

fn one(address: u64, length: u64) -> [IoVec; 1] {
    [IoVec { address, length }]
}

pub const fn fills(
    name: &'static str,
    size: u64,
    make: fn(address: u64, length: u64) -> Result<u64, Errno>,
) -> Call {
    Call { name, size, direction: Direction::Fills, make }
}

const fn reads(
    name: &'static str,
    size: u64,
    make: fn(address: u64, length: u64) -> Result<u64, Errno>,
) -> Call {
    Call { name, size, direction: Direction::Reads, make }
}

/// The calls. As in `bad_pointers::CALLS`, memory that is filled is none of Rust's.
pub const CALLS: [Call; 17] = [
    fills("read", LENGTH, |address, length| {
        // SAFETY: see `CALLS`.
        on_zero(|fd| unsafe { raw::read(fd, address as _, length as usize) })
    }),
    fills("pread64", LENGTH, |address, length| {
        // SAFETY: see `CALLS`.
        on_zero(|fd| unsafe { raw::pread64(fd, address as _, length as usize, 5) })
    }),
    reads("pwrite64", LENGTH, |address, length| {
        // SAFETY: the call writes to no memory.
        on_zero(|fd| unsafe { raw::pwrite64(fd, address as _, length as usize, 5) })
    }),
    fills("readv", LENGTH, |address, length| {
        // SAFETY: see `CALLS`.
        on_zero(|fd| unsafe { raw::readv(fd, one(address, length).as_ptr(), 1) })
    }),
    reads("writev", LENGTH, |address, length| {
        // SAFETY: the call writes to no memory.
        on_zero(|fd| unsafe { raw::writev(fd, one(address, length).as_ptr(), 1) })
    }),
    reads("readv-array", size_of::<IoVec>() as u64, |address, _| {
        // SAFETY: no array is there.
        on_zero(|fd| unsafe { raw::readv(fd, address as _, 1) })
    }),
    reads("writev-array", size_of::<IoVec>() as u64, |address, _| {
        // SAFETY: the call writes to no memory.
        on_zero(|fd| unsafe { raw::writev(fd, address as _, 1) })
    }),
    fills("fstat", size_of::<Stat>() as u64, |address, _| {
        // SAFETY: see `CALLS`.
        unsafe { raw::fstat(1, address as _) }
    }),
    fills("poll", size_of::<PollFd>() as u64, |address, _| {
        // SAFETY: see `CALLS`.
        unsafe { raw::poll(address as _, 1, 0) }.map(|_| 0)
    }),
    fills("ppoll", size_of::<PollFd>() as u64, |address, _| {
        let time = TimeSpec::default();
        // SAFETY: see `CALLS`.
        unsafe { raw::ppoll(address as _, 1, &raw const time, ptr::null(), 8) }.map(|_| 0)
    }),
    reads("ppoll-time", size_of::<TimeSpec>() as u64, |address, _| match address {
        // None: for ever.
        0 => Err(Errno::EFAULT),
        // SAFETY: the call writes to no memory.
        _ => unsafe { raw::ppoll(ptr::null_mut(), 0, address as _, ptr::null(), 8) },
    }),
    reads("ppoll-mask", 8, |address, _| match address {
        // None: what is held back stays.
        0 => Err(Errno::EFAULT),
        _ => {
            let time = TimeSpec::default();
            // SAFETY: the call writes to no memory.
            unsafe { raw::ppoll(ptr::null_mut(), 0, &raw const time, address as _, 8) }
        }
    }),
    // SAFETY: see `CALLS`.
    fills("pipe", 8, |address, _| closed(unsafe { raw::pipe(address as _) })),
    // SAFETY: see `CALLS`.
    fills("pipe2", 8, |address, _| closed(unsafe { raw::pipe2(address as _, 0) })),
    fills("getrandom", LENGTH, |address, length| {
        // SAFETY: see `CALLS`.
        unsafe { raw::getrandom(address as _, length as usize, 0) }.map(|_| 0)
    }),
    fills("ioctl-get", size_of::<Termios>() as u64, |address, _| {
        // SAFETY: see `CALLS`.
        unsafe { raw::ioctl(0, TCGETS, address) }
    }),
    reads("ioctl-set", size_of::<Termios>() as u64, |address, _| {
        // SAFETY: no settings are there.
        unsafe { raw::ioctl(0, abi::terminals::TCSETS, address) }
    }),
];

/// Nothing is open in the end that was not in the beginning, and buffers of no bytes may be anywhere.
pub fn nothing_is_left() -> Result<(), Why> {
    for address in NOWHERE {
        let nowhere = ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: nothing is read.
        let read = on_zero(|fd| unsafe { raw::read(fd, nowhere, 0) });
        let is_user = address < 1 << 47;
        if is_user && read != Ok(0) {
            fail!("no bytes to {address:#x}: {read:?}");
        }
    }
    match open(c"/dev/null", O_RDWR) {
        Ok(3) => close(3).map_err(|_| Why::new(format_args!("close"))),
        other => fail!("the next descriptor: expected 3, found {other:?}"),
    }
}
