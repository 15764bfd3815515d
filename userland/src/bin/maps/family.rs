//! Processes that do one thing after the other, each when its turn has come.
//!
//! They share a page with a number in it, the turn. Who waits for a turn gives way to
//! the others, again and again: there is nothing yet to sleep on.

use abi::errno::Errno;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};
use userland::system::{self, raw};

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// The page that all share.
const SHARED: u64 = 0x2100_0000_0000;

const PROT_READ_WRITE: i32 = 3;
const MAP_SHARED: i32 = 1;
const MAP_PRIVATE: i32 = 2;
const MAP_FIXED: i32 = 0x10;
const MAP_ANONYMOUS: i32 = 0x20;

fn map_as(address: u64, pages: u64, flags: i32) -> Result<(), Errno> {
    // SAFETY: nothing lies at these addresses but what the demonstrations have put there.
    unsafe {
        raw::mmap(address, pages * PAGE, PROT_READ_WRITE, flags | MAP_FIXED | MAP_ANONYMOUS, -1, 0)
    }
    .map(drop)
}

/// Maps private memory at an address.
pub fn map(address: u64, pages: u64) -> Result<(), Errno> {
    map_as(address, pages, MAP_PRIVATE)
}

/// Writes the first word of a page of mapped memory.
pub fn write(address: u64, page: u64, value: u64) {
    // SAFETY: mapped by `map`, and nobody has a reference to it.
    unsafe { ptr::write_volatile((address + page * PAGE) as *mut u64, value) };
}

/// Reads it.
pub fn read(address: u64, page: u64) -> u64 {
    // SAFETY: as above.
    unsafe { ptr::read_volatile((address + page * PAGE) as *const u64) }
}

/// Says what a child gets of pages.
pub fn inherit(address: u64, pages: u64, inheritance: i32) -> Result<(), Errno> {
    // SAFETY: the call changes no memory.
    unsafe { raw::minherit(address, pages * PAGE, inheritance) }.map(drop)
}

/// The turn, and a number that one tells another.
pub struct Turns(&'static [AtomicU64; 2]);

impl Turns {
    /// Maps the page.
    pub fn new() -> Result<Turns, Errno> {
        map_as(SHARED, 1, MAP_SHARED)?;
        // SAFETY: mapped just now, for ever.
        Ok(Turns(unsafe { &*(SHARED as *const [AtomicU64; 2]) }))
    }

    /// Waits for a turn, which somebody takes or has taken.
    pub fn wait(&self, turn: u64) {
        while self.0[0].load(Ordering::Acquire) < turn {
            system::sched_yield();
        }
    }

    /// Says that a turn has come.
    pub fn take(&self, turn: u64) {
        self.0[0].store(turn, Ordering::Release);
    }

    /// Tells a number, before the next turn is taken.
    pub fn tell(&self, number: u64) {
        self.0[1].store(number, Ordering::Relaxed);
    }

    /// The number that was told.
    pub fn told(&self) -> u64 {
        self.0[1].load(Ordering::Relaxed)
    }
}

/// Runs `body` in a child, which ends after it; returns its number.
pub fn child(body: impl FnOnce() -> Result<(), Errno>) -> Result<u64, Errno> {
    // SAFETY: the child goes on in a copy of all memory.
    match unsafe { raw::fork() }? {
        0 => system::exit_group(i32::from(body().is_err())),
        child => Ok(child),
    }
}

/// Waits until a child has ended, and its memory is gone.
pub fn wait_for(child: u64) -> Result<(), Errno> {
    let mut status = -1;
    // SAFETY: the status is its to write.
    unsafe { raw::wait4(child as i32, &raw mut status, 0, ptr::null_mut()) }?;
    if status == 0 { Ok(()) } else { Err(Errno::ECHILD) }
}
