//! Opening files by their paths.

use super::Result;
use super::paths::with_path;
use crate::files::{Kind, OpenFile};
use crate::name_space::opening;
use crate::process;
use abi::errno::Errno;
use abi::files::{O_ACCMODE, O_CLOEXEC, O_CREAT, O_TRUNC, O_WRONLY};
use abi::folders::AT_FDCWD;
use machine::MayFault;
use vm::contents;

pub fn open(may_fault: &mut MayFault, path: *const u8, flags: i32, mode: u32) -> Result {
    openat(may_fault, AT_FDCWD, path, flags, mode)
}

pub fn creat(may_fault: &mut MayFault, path: *const u8, mode: u32) -> Result {
    openat(may_fault, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode)
}

/// There is one user, who may read and write every file that programs make: so the mode says nothing.
pub fn openat(
    may_fault: &mut MayFault,
    folder: i32,
    path: *const u8,
    flags: i32,
    _: u32,
) -> Result {
    if flags & O_ACCMODE == O_ACCMODE {
        return Err(Errno::EINVAL);
    }
    let node = with_path(folder, path, may_fault, |place, may_fault| {
        let mut prepared = opening::prepare(flags, may_fault)?;
        let opened = place.begin(may_fault).and_then(|(names, from)| {
            opening::open(names, from, place.path(), flags, &mut prepared, may_fault)
        });
        if let Some(unused) = prepared {
            contents::release(unused, may_fault);
        }
        opened
    })?;
    let file = OpenFile::open(Kind::Named(node), flags, may_fault)?;
    let descriptors = &process::current().descriptors;
    descriptors.add(file, 0, flags & O_CLOEXEC != 0, may_fault).map(|fd| fd as u64)
}
