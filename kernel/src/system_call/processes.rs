//! Calls about processes and the files that they map.

use super::Result;
use super::paths::copy_path;
use super::usage::rusage;
use crate::kernel::Kernel;
use crate::lwp;
use crate::name_space::{self, Content, working_folder};
use crate::process::table::{Heard, Manner, NoProcess, Which};
use crate::process::{self, CannotRun, Ended, execute, fork as child, table};
use crate::user_structure::copy_out;
use crate::virtual_memory::patience::patiently;
use abi::boot::PROGRAM_FOLDER;
use abi::errno::Errno;
use alloc::vec::Vec;
use machine::MayFault;
use machine::x86_64::user_copy::{self, USER_END};
use names::NodeId;

/// Most bytes of all arguments and the environment together.
const WORDS_MAX: usize = 12 << 10;
/// Bytes that are looked at at a time for the end of a string; a string may end with its page.
const PIECE: u64 = 64;

/// Appends a string of the program's, with its null byte.
pub(super) fn copy_string(
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

/// The name of the program that a path leads to. A name without a slash also means the program of that name.
fn program(path: &[u8], may_fault: &mut MayFault) -> core::result::Result<&'static str, Errno> {
    let names = name_space::names(may_fault)?;
    let from = working_folder::get(process::current(), &names, may_fault);
    let found = match names.find(from, path) {
        Err(Errno::ENOENT) if !path.contains(&b'/') => {
            let programs = names.find(NodeId::ROOT, PROGRAM_FOLDER.as_bytes())?;
            names.find(programs, path)?
        }
        found => found?,
    };
    match names.content(found) {
        Some(Content::Program(file)) => Ok(file.name),
        _ => Err(Errno::EACCES),
    }
}

/// A child. Only what it has to have at once cannot wait for memory as its pages can.
pub fn fork(may_fault: &mut MayFault) -> Result {
    fork_with(child::Wishes::default(), may_fault)
}

/// A parent that waits until its child is another program cannot tell the difference.
pub fn vfork(may_fault: &mut MayFault) -> Result {
    fork_with(child::Wishes::default(), may_fault)
}

fn fork_with(wishes: child::Wishes, may_fault: &mut MayFault) -> Result {
    patiently(may_fault, |may_fault| child::fork(wishes, may_fault)).map_err(|error| match error {
        NoProcess::TooMany => Errno::EAGAIN,
        NoProcess::OutOfMemory => Errno::ENOMEM,
    })
}

/// What libraries make of it to have a child. Memory is copied even if it was to be shared until the child becomes
/// another program.
pub fn clone(
    may_fault: &mut MayFault,
    flags: u64,
    stack: u64,
    parent_id: *mut i32,
    child_id: *mut i32,
    _: u64,
) -> Result {
    const SIGNAL: u64 = 0xff;
    const MEMORY: u64 = 0x100;
    const VFORK: u64 = 0x4000;
    const PARENT_SET_ID: u64 = 0x10_0000;
    const CHILD_CLEAR_ID: u64 = 0x20_0000;
    const CHILD_SET_ID: u64 = 0x100_0000;
    let known = SIGNAL | MEMORY | VFORK | PARENT_SET_ID | CHILD_CLEAR_ID | CHILD_SET_ID;
    // LWPs have calls of their own.
    if flags & !known != 0 || flags & (MEMORY | VFORK) == MEMORY || stack >= USER_END {
        return Err(Errno::EINVAL);
    }
    let wanted = |flag: u64| if flags & flag == 0 { 0 } else { child_id as u64 };
    let wishes = child::Wishes {
        stack,
        number_at: wanted(CHILD_SET_ID),
        clear_at_end: wanted(CHILD_CLEAR_ID),
    };
    let number = fork_with(wishes, may_fault)?;
    if flags & PARENT_SET_ID != 0 {
        let bytes = (number as u32).to_le_bytes();
        user_copy::copy_out(parent_id as u64, &bytes, may_fault).map_err(|_| Errno::EFAULT)?;
    }
    Ok(number)
}

pub fn execve(
    may_fault: &mut MayFault,
    path: *const u8,
    arguments: *const *const u8,
    environment: *const *const u8,
) -> Result {
    let path = copy_path(path, may_fault)?;
    let words = copy_strings(arguments, may_fault)?;
    let environment = copy_strings(environment, may_fault)?;
    let name = program(&path, may_fault)?;
    let process = lwp::current().process;
    // Whoever is not the first to become another program, or meets the end, leaves instead.
    execute::look(name, &words, &environment, may_fault).map_err(errno)?;
    lwp::ending::become_only(may_fault)?;
    // The others of its activations are no more.
    lwp::current().activation.forget();
    let loaded = patiently(may_fault, |may_fault| {
        execute::load(process, name, &words, &environment, None, may_fault)
    });
    drop((path, words, environment));
    match loaded {
        Ok(ready) => super::enter_user_anew(&ready, may_fault),
        Err(error) => Err(errno(error)),
    }
}

fn errno(error: CannotRun) -> Errno {
    match error {
        CannotRun::NotFound | CannotRun::NoArchive(_) => Errno::ENOENT,
        CannotRun::Unsuitable(why) => {
            log::debug!("execve: {why}");
            Errno::ENOEXEC
        }
        CannotRun::Device => Errno::EIO,
        CannotRun::Interrupted => Errno::EINTR,
        CannotRun::OutOfMemory => Errno::ENOMEM,
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
    const STOPPED: i32 = 2;
    const CONTINUED: i32 = 8;
    if options & !(NO_HANG | STOPPED | CONTINUED) != 0 {
        return Err(Errno::EINVAL);
    }
    let own = process::current();
    let which = match which {
        -1 => Which::Any,
        0 => Which::Group(own.group()),
        1.. => Which::Number(which as u64),
        i32::MIN => return Err(Errno::ESRCH),
        _ => Which::Group(u64::from(which.unsigned_abs())),
    };
    let manner = Manner {
        waits: options & NO_HANG == 0,
        stopped: options & STOPPED != 0,
        continued: options & CONTINUED != 0,
    };
    let Some((id, heard)) = table::wait(Kernel::current(), own, which, manner, may_fault)? else {
        return Ok(0);
    };
    let (value, used) = match heard {
        Heard::Ended(outcome, used) => (outcome.to_status(), used),
        Heard::Stopped(signal) => (i32::from(signal) << 8 | 0x7f, Ended::default()),
        Heard::Continued => (0xffff, Ended::default()),
    };
    if !status.is_null() {
        copy_out(status as u64, &value, may_fault)?;
    }
    if !usage.is_null() {
        copy_out(usage as u64, &rusage(&used), may_fault)?;
    }
    Ok(id)
}
