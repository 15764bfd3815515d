//! Who the caller is: numbers, groups, sessions, user.

use super::Result;
use crate::kernel::Kernel;
use crate::process::{self, table};
use abi::errno::Errno;
use machine::MayFault;

pub fn getpid(_: &mut MayFault) -> Result {
    Ok(process::current().id)
}

/// 0 if there is none.
pub fn getppid(may_fault: &mut MayFault) -> Result {
    let parent = process::current().parent();
    let lives = process::with(Kernel::current(), parent, may_fault, |_, _| ()).is_some();
    Ok(if lives { parent } else { 0 })
}

pub fn getuid(_: &mut MayFault) -> Result {
    Ok(0)
}

pub fn getgid(_: &mut MayFault) -> Result {
    Ok(0)
}

pub fn geteuid(_: &mut MayFault) -> Result {
    Ok(0)
}

pub fn getegid(_: &mut MayFault) -> Result {
    Ok(0)
}

/// Asks something of a process; 0: of the caller.
fn ask(
    number: i32,
    may_fault: &mut MayFault,
    what: impl FnOnce(&process::Process) -> u64,
) -> Result {
    let number = u64::try_from(number).map_err(|_| Errno::ESRCH)?;
    if number == 0 {
        return Ok(what(process::current()));
    }
    process::with(Kernel::current(), number, may_fault, |process, _| what(process))
        .ok_or(Errno::ESRCH)
}

pub fn getpgrp(_: &mut MayFault) -> Result {
    Ok(process::current().group())
}

pub fn getpgid(may_fault: &mut MayFault, process: i32) -> Result {
    ask(process, may_fault, |process| process.group())
}

pub fn getsid(may_fault: &mut MayFault, process: i32) -> Result {
    ask(process, may_fault, |process| process.session())
}

pub fn setsid(may_fault: &mut MayFault) -> Result {
    table::begin_session(Kernel::current(), process::current(), may_fault)
}

pub fn setpgid(may_fault: &mut MayFault, process: i32, group: i32) -> Result {
    let own = process::current();
    let number = |given: i32, zero: u64| match given {
        0 => Ok(zero),
        1.. => Ok(given as u64),
        _ => Err(Errno::EINVAL),
    };
    let process = number(process, own.id)?;
    let group = number(group, process)?;
    table::set_group(Kernel::current(), own, process, group, may_fault).map(|()| 0)
}
