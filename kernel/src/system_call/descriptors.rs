//! Calls about descriptors: closing, duplicating, flags, pipes. With Linux's flags and errors.

use super::Result;
use crate::files::descriptors::with;
use crate::files::open_file::close as let_go;
use crate::files::pipe::Pipe;
use crate::files::{Kind, OpenFile};
use crate::process;
use crate::user_structure::copy_out;
use abi::errno::Errno;
use abi::files::{
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, O_CLOEXEC,
    O_NONBLOCK, O_RDONLY, O_WRONLY, OPEN_MAX,
};
use machine::MayFault;

pub fn close(may_fault: &mut MayFault, fd: i32) -> Result {
    let file = process::current().descriptors.take(fd)?;
    let_go(file, may_fault);
    Ok(0)
}

/// Another descriptor for the same file: the lowest that is free and not below `from`.
fn duplicate(fd: i32, from: usize, closes: bool, may_fault: &mut MayFault) -> Result {
    let descriptors = &process::current().descriptors;
    let file = descriptors.get(fd)?;
    descriptors.add(file, from, closes, may_fault).map(|fd| fd as u64)
}

pub fn dup(may_fault: &mut MayFault, fd: i32) -> Result {
    duplicate(fd, 0, false, may_fault)
}

fn duplicate_to(fd: i32, to: i32, closes: bool, may_fault: &mut MayFault) -> Result {
    let descriptors = &process::current().descriptors;
    let file = descriptors.get(fd)?;
    descriptors.set(to, file, closes, may_fault).map(|()| to as u64)
}

pub fn dup2(may_fault: &mut MayFault, fd: i32, to: i32) -> Result {
    if fd == to {
        return process::current().descriptors.closes(fd).map(|_| fd as u64);
    }
    duplicate_to(fd, to, false, may_fault)
}

pub fn dup3(may_fault: &mut MayFault, fd: i32, to: i32, flags: i32) -> Result {
    if fd == to || flags & !O_CLOEXEC != 0 {
        return Err(Errno::EINVAL);
    }
    duplicate_to(fd, to, flags != 0, may_fault)
}

pub fn fcntl(may_fault: &mut MayFault, fd: i32, command: i32, argument: u64) -> Result {
    let descriptors = &process::current().descriptors;
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC => {
            // A bad descriptor comes first.
            descriptors.closes(fd)?;
            let from = i32::try_from(argument as i64).map_err(|_| Errno::EINVAL)?;
            let from = usize::try_from(from).map_err(|_| Errno::EINVAL)?;
            if from >= OPEN_MAX {
                return Err(Errno::EINVAL);
            }
            duplicate(fd, from, command == F_DUPFD_CLOEXEC, may_fault)
        }
        F_GETFD => descriptors.closes(fd).map(|closes| if closes { FD_CLOEXEC } else { 0 }),
        F_SETFD => descriptors.set_closes(fd, argument & FD_CLOEXEC != 0).map(|()| 0),
        F_GETFL => with(fd, may_fault, |file, _| Ok(file.flags() as u64)),
        F_SETFL => with(fd, may_fault, |file, _| {
            file.set_flags(argument as i32);
            Ok(0)
        }),
        _ => descriptors.closes(fd).and(Err(Errno::EINVAL)),
    }
}

pub fn pipe(may_fault: &mut MayFault, fds: *mut i32) -> Result {
    pipe2(may_fault, fds, 0)
}

pub fn pipe2(may_fault: &mut MayFault, fds: *mut i32, flags: i32) -> Result {
    if flags & !(O_CLOEXEC | O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let closes = flags & O_CLOEXEC != 0;
    let (reader, writer) = Pipe::make(may_fault)?;
    let reader = OpenFile::open(Kind::Pipe(reader), flags & O_NONBLOCK | O_RDONLY, may_fault);
    let writer = OpenFile::open(Kind::Pipe(writer), flags & O_NONBLOCK | O_WRONLY, may_fault);
    let (reader, writer) = match (reader, writer) {
        (Ok(reader), Ok(writer)) => (reader, writer),
        (reader, writer) => {
            [reader, writer].into_iter().flatten().for_each(|file| let_go(file, may_fault));
            return Err(Errno::ENOMEM);
        }
    };
    let descriptors = &process::current().descriptors;
    let from = match descriptors.add(reader, 0, closes, may_fault) {
        Ok(from) => from,
        Err(error) => {
            let_go(writer, may_fault);
            return Err(error);
        }
    };
    let made = descriptors.add(writer, 0, closes, may_fault);
    let told = made.and_then(|to| {
        // If nobody can be told of them they go.
        copy_out(fds as u64, &[from, to], may_fault).inspect_err(|_| {
            let _ = close(may_fault, to);
        })
    });
    if told.is_err() {
        let _ = close(may_fault, from);
    }
    told.map(|()| 0)
}
