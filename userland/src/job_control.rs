//! Calls about groups of processes and about becoming another program.

use crate::system::{self, raw};
use abi::errno::Errno;
use abi::terminals::{TIOCGPGRP, TIOCSPGRP};
use core::ptr;

/// Puts a process (0: the caller) into a group (0: one of its own).
pub fn set_group(process: u64, group: u64) -> Result<(), Errno> {
    // SAFETY: the call writes to no memory.
    unsafe { raw::setpgid(process as i32, group as i32) }.map(drop)
}

/// The caller's group.
pub fn group() -> u64 {
    // SAFETY: the call writes to no memory.
    unsafe { raw::getpgrp() }.unwrap_or_else(|_| system::getpid())
}

/// Puts a group into the foreground of a terminal.
pub fn set_foreground(terminal: i32, group: u64) -> Result<(), Errno> {
    let group = group as i32;
    // SAFETY: the call reads the number.
    unsafe { raw::ioctl(terminal, TIOCSPGRP, &raw const group as u64) }.map(drop)
}

/// The group in the foreground of a terminal.
pub fn foreground(terminal: i32) -> Result<u64, Errno> {
    let mut group = 0i32;
    // SAFETY: the call writes the number.
    unsafe { raw::ioctl(terminal, TIOCGPGRP, &raw mut group as u64) }.map(|_| group as u64)
}

/// Makes a copy of this process: 0 in the copy, its number in this one.
pub fn fork() -> Result<u64, Errno> {
    // SAFETY: the child goes on in a copy of all memory.
    unsafe { raw::fork() }
}

/// Most words of a program and of its environment, each.
const WORDS_MAX: usize = 1024;

/// Becomes another program, or says why not. Each word ends with a null byte; others are left out.
pub fn become_program<'a>(
    path: &crate::paths::Path,
    words: impl Iterator<Item = &'a [u8]>,
    environment: impl Iterator<Item = &'a [u8]>,
) -> Errno {
    let mut pointers = [[ptr::null(); WORDS_MAX + 1]; 2];
    let [arguments, variables] = &mut pointers;
    fill(&mut arguments[..WORDS_MAX], words);
    fill(&mut variables[..WORDS_MAX], environment);
    let (arguments, variables) = (arguments.as_ptr(), variables.as_ptr());
    // SAFETY: the call writes to no memory that is still this program's when it succeeds.
    match unsafe { raw::execve(path.c_str().as_ptr().cast(), arguments, variables) } {
        Err(error) => error,
        Ok(_) => unreachable!("execve does not come back"),
    }
}

fn fill<'a>(pointers: &mut [*const u8], words: impl Iterator<Item = &'a [u8]>) {
    let words = words.filter(|word| word.ends_with(b"\0"));
    pointers.iter_mut().zip(words).for_each(|(pointer, word)| *pointer = word.as_ptr());
}
