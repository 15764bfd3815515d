//! The calls, safe to make: what they write to is the caller's.

use abi::errno::Errno;
use abi::files::{O_CREAT, O_RDWR, Stat};
use abi::folders::Statx;
use core::ffi::CStr;
use core::ptr;
use userland::fail;
use userland::report::Why;
use userland::system::{self, raw};

pub type Answer = Result<u64, Errno>;

macro_rules! calls {
    ($($name:ident($($argument:ident: $type:ty => $pass:expr),*);)*) => {
        $(pub fn $name($($argument: $type),*) -> Answer {
            // SAFETY: the call writes to no memory but what the caller has borrowed to it.
            unsafe { raw::$name($($pass),*) }
        })*
    };
}

calls! {
    open(path: &CStr => path.as_ptr().cast(), flags: i32 => flags, mode: u32 => mode);
    openat(folder: i32 => folder, path: &CStr => path.as_ptr().cast(), flags: i32 => flags, mode: u32 => mode);
    creat(path: &CStr => path.as_ptr().cast(), mode: u32 => mode);
    close(fd: i32 => fd);
    mkdir(path: &CStr => path.as_ptr().cast(), mode: u32 => mode);
    mkdirat(folder: i32 => folder, path: &CStr => path.as_ptr().cast(), mode: u32 => mode);
    rmdir(path: &CStr => path.as_ptr().cast());
    unlink(path: &CStr => path.as_ptr().cast());
    unlinkat(folder: i32 => folder, path: &CStr => path.as_ptr().cast(), flags: i32 => flags);
    rename(from: &CStr => from.as_ptr().cast(), to: &CStr => to.as_ptr().cast());
    renameat(one: i32 => one, from: &CStr => from.as_ptr().cast(), two: i32 => two, to: &CStr => to.as_ptr().cast());
    chdir(path: &CStr => path.as_ptr().cast());
    fchdir(fd: i32 => fd);
    getcwd(buffer: &mut [u8] => buffer.as_mut_ptr(), length: usize => length);
    access(path: &CStr => path.as_ptr().cast(), mode: i32 => mode);
    faccessat(folder: i32 => folder, path: &CStr => path.as_ptr().cast(), mode: i32 => mode);
    truncate(path: &CStr => path.as_ptr().cast(), length: i64 => length);
    ftruncate(fd: i32 => fd, length: i64 => length);
    lseek(fd: i32 => fd, offset: i64 => offset, whence: i32 => whence);
    stat(path: &CStr => path.as_ptr().cast(), to: &mut Stat => ptr::from_mut(to));
    lstat(path: &CStr => path.as_ptr().cast(), to: &mut Stat => ptr::from_mut(to));
    fstat(fd: i32 => fd, to: &mut Stat => ptr::from_mut(to));
    newfstatat(folder: i32 => folder, path: &CStr => path.as_ptr().cast(), to: &mut Stat => ptr::from_mut(to), flags: i32 => flags);
    statx(folder: i32 => folder, path: &CStr => path.as_ptr().cast(), flags: i32 => flags, mask: u32 => mask, to: &mut Statx => ptr::from_mut(to));
}

pub fn readlink(path: &CStr, buffer: &mut [u8], length: usize) -> Answer {
    // SAFETY: the buffer is borrowed; nothing is written to it anyway.
    unsafe { raw::readlink(path.as_ptr().cast(), buffer.as_mut_ptr(), length) }
}

pub fn read(fd: i32, to: &mut [u8]) -> Answer {
    // SAFETY: the buffer is borrowed.
    unsafe { raw::read(fd, to.as_mut_ptr(), to.len()) }
}

pub fn pread(fd: i32, to: &mut [u8], from: i64) -> Answer {
    // SAFETY: the buffer is borrowed.
    unsafe { raw::pread64(fd, to.as_mut_ptr(), to.len(), from) }
}

pub fn pwrite(fd: i32, from: &[u8], to: i64) -> Answer {
    // SAFETY: the call writes to no memory.
    unsafe { raw::pwrite64(fd, from.as_ptr(), from.len(), to) }
}

pub fn write(fd: i32, from: &[u8]) -> Answer {
    // SAFETY: the call writes to no memory.
    unsafe { raw::write(fd, from.as_ptr(), from.len()) }
}

pub fn getdents(fd: i32, to: &mut [u8]) -> Answer {
    // SAFETY: the buffer is borrowed.
    unsafe { raw::getdents64(fd, to.as_mut_ptr(), to.len()) }
}

/// Becomes another program, or says why not.
pub fn execve(path: &CStr) -> Errno {
    let words = [path.as_ptr().cast::<u8>(), ptr::null()];
    // SAFETY: the call writes to no memory that is still this program's when it succeeds.
    match unsafe { raw::execve(path.as_ptr().cast(), words.as_ptr(), ptr::null()) } {
        Err(error) => error,
        Ok(_) => unreachable!("execve does not come back"),
    }
}

/// A descriptor, or a check that has failed.
pub fn opened(answer: Answer) -> Result<i32, Why> {
    match answer {
        Ok(fd) => Ok(fd as i32),
        Err(error) => fail!("open: {}", error.text()),
    }
}

/// What had to succeed.
pub fn done(what: &str, answer: Answer) -> Result<u64, Why> {
    match answer {
        Ok(value) => Ok(value),
        Err(error) => fail!("{what}: {}", error.text()),
    }
}

/// A new file, or an old one, with these contents.
pub fn make_file(path: &CStr, contents: &[u8]) -> Result<(), Why> {
    let fd = opened(open(path, O_RDWR | O_CREAT, 0o644))?;
    if write(fd, contents) != Ok(contents.len() as u64) {
        fail!("the file cannot be written");
    }
    done("close", close(fd)).map(drop)
}

/// Each answer is the expected one.
pub fn expect<const N: usize>(
    what: &str,
    found: [Answer; N],
    expected: [Answer; N],
) -> Result<(), Why> {
    for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
        if found != expected {
            fail!("{what}, number {place}: {found:?}, not {expected:?}");
        }
    }
    Ok(())
}

/// Runs `body` in a child; returns its number.
pub fn child(body: impl FnOnce() -> i32) -> Result<u64, Why> {
    // SAFETY: the child goes on in a copy of all memory.
    match unsafe { raw::fork() } {
        Ok(0) => system::exit_group(body()),
        Ok(child) => Ok(child),
        Err(error) => fail!("fork: {}", error.text()),
    }
}

/// Waits for a child, which has to return 0.
pub fn wait(child: u64) -> Result<(), Why> {
    let mut status = -1;
    // SAFETY: the status is its to write.
    let waited = unsafe { raw::wait4(child as i32, &raw mut status, 0, ptr::null_mut()) };
    if waited != Ok(child) || status != 0 {
        fail!("a child came to {status:#x} ({waited:?})");
    }
    Ok(())
}

/// What is said of a file.
pub fn described(path: &CStr) -> Result<Stat, Why> {
    let mut found = Stat::default();
    done("stat", stat(path, &mut found))?;
    Ok(found)
}
