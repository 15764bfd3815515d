//! Calls about open files, as any program may use them: descriptors are plain numbers, buffers slices.

use crate::system::raw;
use abi::errno::Errno;
use abi::files::{IoVec, PollFd, Stat};
use abi::terminals::{TCGETS, TCSETS, TCSETSF, TCSETSW, TIOCGWINSZ, Termios, WindowSize};
use core::ffi::CStr;

fn descriptor(result: Result<u64, Errno>) -> Result<i32, Errno> {
    result.map(|fd| fd as i32)
}

fn count(result: Result<u64, Errno>) -> Result<usize, Errno> {
    result.map(|count| count as usize)
}

/// Opens a file, with flags `O_…`.
pub fn open(path: &CStr, flags: i32) -> Result<i32, Errno> {
    // SAFETY: the call writes to no memory.
    descriptor(unsafe { raw::open(path.as_ptr().cast(), flags, 0o666) })
}

/// Closes a descriptor.
pub fn close(fd: i32) -> Result<(), Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::close(fd) }.map(drop)
}

/// Reads; 0 at the end.
pub fn read(fd: i32, to: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the call fills the slice.
    count(unsafe { raw::read(fd, to.as_mut_ptr(), to.len()) })
}

/// Reads at a place.
pub fn read_at(fd: i32, to: &mut [u8], place: i64) -> Result<usize, Errno> {
    // SAFETY: the call fills the slice.
    count(unsafe { raw::pread64(fd, to.as_mut_ptr(), to.len(), place) })
}

/// Writes.
pub fn write(fd: i32, from: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the call writes to no memory.
    count(unsafe { raw::write(fd, from.as_ptr(), from.len()) })
}

/// Writes at a place.
pub fn write_at(fd: i32, from: &[u8], place: i64) -> Result<usize, Errno> {
    // SAFETY: the call writes to no memory.
    count(unsafe { raw::pwrite64(fd, from.as_ptr(), from.len(), place) })
}

/// A buffer for [`write_several`].
pub fn part(bytes: &[u8]) -> IoVec {
    IoVec { address: bytes.as_ptr() as u64, length: bytes.len() as u64 }
}

/// Writes from several buffers.
pub fn write_several(fd: i32, parts: &[IoVec]) -> Result<usize, Errno> {
    // SAFETY: the call writes to no memory.
    count(unsafe { raw::writev(fd, parts.as_ptr(), parts.len() as i32) })
}

/// Moves the offset.
pub fn seek(fd: i32, offset: i64, whence: i32) -> Result<u64, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::lseek(fd, offset, whence) }
}

/// Another descriptor.
pub fn dup(fd: i32) -> Result<i32, Errno> {
    // SAFETY: the call writes to no memory.
    descriptor(unsafe { raw::dup(fd) })
}

/// This descriptor, too.
pub fn dup2(fd: i32, to: i32) -> Result<i32, Errno> {
    // SAFETY: the call writes to no memory.
    descriptor(unsafe { raw::dup2(fd, to) })
}

/// The same with flags.
pub fn dup3(fd: i32, to: i32, flags: i32) -> Result<i32, Errno> {
    // SAFETY: the call writes to no memory.
    descriptor(unsafe { raw::dup3(fd, to, flags) })
}

/// Asks for, or changes, a descriptor's flags and its file's.
pub fn fcntl(fd: i32, command: i32, argument: u64) -> Result<u64, Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::fcntl(fd, command, argument) }
}

/// A pipe: the end to read from, the end to write to. Flags are `O_CLOEXEC`, `O_NONBLOCK`.
pub fn pipe(flags: i32) -> Result<[i32; 2], Errno> {
    let mut fds = [-1; 2];
    // SAFETY: the call fills the array.
    unsafe { raw::pipe2(fds.as_mut_ptr(), flags) }.map(|_| fds)
}

/// What is open there.
pub fn status(fd: i32) -> Result<Stat, Errno> {
    let mut status = Stat::default();
    // SAFETY: the call fills the structure.
    unsafe { raw::fstat(fd, &raw mut status) }.map(|_| status)
}

/// Waits until a descriptor is ready, at most so many milliseconds (-1: for ever); says how many are.
pub fn poll(files: &mut [PollFd], timeout: i32) -> Result<usize, Errno> {
    // SAFETY: the call changes the structures.
    count(unsafe { raw::poll(files.as_mut_ptr(), files.len() as u64, timeout) })
}

/// A terminal's settings.
pub fn settings(fd: i32) -> Result<Termios, Errno> {
    let mut settings = Termios::INITIAL;
    // SAFETY: the call fills the structure.
    unsafe { raw::ioctl(fd, TCGETS, &raw mut settings as u64) }.map(|_| settings)
}

/// When new settings of a terminal begin to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum When {
    /// At once.
    Now = TCSETS,
    /// When everything has been written.
    Written = TCSETSW,
    /// The same, and what has been typed is forgotten.
    Forgotten = TCSETSF,
}

/// Changes a terminal's settings.
pub fn set(fd: i32, settings: &Termios, when: When) -> Result<(), Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::ioctl(fd, when as u32, core::ptr::from_ref(settings) as u64) }.map(drop)
}

/// A terminal's size.
pub fn window_size(fd: i32) -> Result<WindowSize, Errno> {
    let mut size = WindowSize::default();
    // SAFETY: the call fills the structure.
    unsafe { raw::ioctl(fd, TIOCGWINSZ, &raw mut size as u64) }.map(|_| size)
}

/// Fills a slice with random bytes.
pub fn random(to: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the call fills the slice.
    count(unsafe { raw::getrandom(to.as_mut_ptr(), to.len(), 0) })
}
