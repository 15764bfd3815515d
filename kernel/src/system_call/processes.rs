//! Calls about processes and the files that they map.

use super::Result;
use crate::kernel::Kernel;
use crate::process::table::NoProcess;
use crate::process::{self, CannotRun, execute, fork as child, table};
use crate::virtual_memory::archive;
use crate::virtual_memory::patience::patiently;
use abi::errno::Errno;
use alloc::vec::Vec;
use machine::MayFault;
use machine::x86_64::user_copy;

/// Most bytes of a path, and of all arguments and the environment together.
const PATH_MAX: usize = 256;
const WORDS_MAX: usize = 12 << 10;
/// Bytes that are looked at at a time for the end of a string; a string may end with its page.
const PIECE: u64 = 64;

/// Appends a string of the program's, with its null byte.
fn copy_string(
    bytes: &mut Vec<u8>,
    address: u64,
    limit: usize,
    may_fault: &mut MayFault,
) -> core::result::Result<(), Errno> {
    let mut at = address;
    loop {
        let mut piece = [0; PIECE as usize];
        // Up to the next multiple of the piece, so that no piece reaches into another page.
        let length = (PIECE - at % PIECE) as usize;
        let piece = &mut piece[..length];
        user_copy::copy_in(piece, at, may_fault).map_err(|_| Errno::EFAULT)?;
        let end = piece.iter().position(|&byte| byte == 0);
        let part = &piece[..end.map_or(length, |end| end + 1)];
        if bytes.len() + part.len() > limit {
            return Err(Errno::E2BIG);
        }
        bytes.try_reserve(part.len()).map_err(|_| Errno::ENOMEM)?;
        bytes.extend(part);
        if end.is_some() {
            return Ok(());
        }
        at = at.checked_add(length as u64).ok_or(Errno::EFAULT)?;
    }
}

/// The strings of a null-terminated array of pointers, each with its null byte.
fn copy_strings(
    array: *const *const u8,
    may_fault: &mut MayFault,
) -> core::result::Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut at = array as u64;
    if at == 0 {
        return Ok(bytes);
    }
    loop {
        let mut pointer = [0; 8];
        user_copy::copy_in(&mut pointer, at, may_fault).map_err(|_| Errno::EFAULT)?;
        match u64::from_le_bytes(pointer) {
            0 => return Ok(bytes),
            address => copy_string(&mut bytes, address, WORDS_MAX, may_fault)?,
        }
        at = at.checked_add(8).ok_or(Errno::EFAULT)?;
    }
}

/// The name of a program in the archive, by its path.
fn name_of(path: &[u8]) -> core::result::Result<&str, Errno> {
    let path = path.strip_suffix(&[0]).unwrap_or(path);
    let path = core::str::from_utf8(path).map_err(|_| Errno::ENOENT)?;
    let path = path.strip_prefix('/').unwrap_or(path);
    Ok(path.strip_prefix(abi::boot::PROGRAM_FOLDER).unwrap_or(path))
}

pub fn open(may_fault: &mut MayFault, path: *const u8, flags: i32, _: u32) -> Result {
    const ACCESS: i32 = 3;
    let mut bytes = Vec::new();
    copy_string(&mut bytes, path as u64, PATH_MAX, may_fault)?;
    let archive = archive::get(Kernel::current()).map_err(|_| Errno::ENOENT)?;
    let file = archive.position(name_of(&bytes)?).ok_or(Errno::ENOENT)?;
    if flags & ACCESS != 0 {
        return Err(Errno::EACCES);
    }
    process::current().add_file(file).map(|fd| fd as u64).ok_or(Errno::EMFILE)
}

pub fn close(_: &mut MayFault, fd: i32) -> Result {
    if process::current().remove_file(fd) { Ok(0) } else { Err(Errno::EBADF) }
}

/// A child. Only what it has to have at once cannot wait for memory as its pages can.
pub fn fork(may_fault: &mut MayFault) -> Result {
    let process = process::current();
    patiently(may_fault, |may_fault| child::fork(process, may_fault)).map_err(|error| match error {
        NoProcess::TooMany => Errno::EAGAIN,
        NoProcess::OutOfMemory => Errno::ENOMEM,
    })
}

pub fn execve(
    may_fault: &mut MayFault,
    path: *const u8,
    arguments: *const *const u8,
    environment: *const *const u8,
) -> Result {
    let mut bytes = Vec::new();
    copy_string(&mut bytes, path as u64, PATH_MAX, may_fault)?;
    let words = copy_strings(arguments, may_fault)?;
    let environment = copy_strings(environment, may_fault)?;
    let name = name_of(&bytes)?;
    let loaded = patiently(may_fault, |may_fault| {
        execute::load(process::current(), name, &words, &environment, None, may_fault)
    });
    drop((bytes, words, environment));
    match loaded {
        Ok(ready) => super::enter_user_anew(&ready, may_fault),
        Err(CannotRun::NotFound | CannotRun::NoArchive(_)) => Err(Errno::ENOENT),
        Err(CannotRun::Unsuitable(why)) => {
            log::debug!("execve: {why}");
            Err(Errno::ENOEXEC)
        }
        Err(CannotRun::Device) => Err(Errno::EIO),
        Err(CannotRun::Interrupted) => Err(Errno::EINTR),
        Err(CannotRun::OutOfMemory) => Err(Errno::ENOMEM),
    }
}

pub fn wait4(
    may_fault: &mut MayFault,
    which: i32,
    status: *mut i32,
    options: i32,
    usage: *mut u8,
) -> Result {
    const NO_HANG: i32 = 1;
    /// `struct rusage`.
    const USAGE: usize = 144;
    if options & !NO_HANG != 0 {
        return Err(Errno::EINVAL);
    }
    let child = match which {
        -1 => None,
        1.. => Some(which as u64),
        // There are no process groups.
        _ => return Err(Errno::ECHILD),
    };
    let may_wait = options & NO_HANG == 0;
    let ended = table::wait(Kernel::current(), process::current(), child, may_wait, may_fault)?;
    let Some((id, outcome)) = ended else { return Ok(0) };
    if !status.is_null() {
        let bytes = outcome.to_status().to_le_bytes();
        user_copy::copy_out(status as u64, &bytes, may_fault).map_err(|_| Errno::EFAULT)?;
    }
    if !usage.is_null() {
        user_copy::copy_out(usage as u64, &[0; USAGE], may_fault).map_err(|_| Errno::EFAULT)?;
    }
    Ok(id)
}
