//! Children: making them, and waiting for them.

use crate::fail;
use crate::report::Why;
use crate::system::{self, raw};
use abi::errno::Errno;
use core::ptr;

/// A child's end, as `wait4` says it, by itself.
pub const fn exited(status: i32) -> i32 {
    (status & 0xff) << 8
}

/// Makes a child that does this, and ends with what it returns.
pub fn start(body: impl FnOnce() -> i32) -> Result<u64, Why> {
    // SAFETY: the child goes on in a copy of all memory.
    match unsafe { raw::fork() } {
        Ok(0) => system::exit_group(body()),
        Ok(child) => Ok(child),
        Err(error) => fail!("fork: {}", error.text()),
    }
}

/// Waits for what is to be heard of a child; returns number and status.
pub fn wait_for(child: i64, options: i32) -> Result<(u64, i32), Errno> {
    let mut status = -1;
    // SAFETY: the status is the call's to write.
    unsafe { raw::wait4(child as i32, &raw mut status, options, ptr::null_mut()) }
        .map(|child| (child, status))
}

/// Waits for a child's end.
pub fn wait(child: u64) -> Result<i32, Why> {
    loop {
        match wait_for(child as i64, 0) {
            Ok((waited, status)) if waited == child => return Ok(status),
            Err(Errno::EINTR) => {}
            other => fail!("waiting for {child} came to {other:?}"),
        }
    }
}

/// Runs this in a child; returns how it ended.
pub fn run(body: impl FnOnce() -> i32) -> Result<i32, Why> {
    wait(start(body)?)
}
