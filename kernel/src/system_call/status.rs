//! Calls that say what a file is, and how long it is to be.

use super::Result;
use super::paths::{Place, with_path};
use crate::files::descriptors;
use crate::name_space::describe::{describe, extended};
use crate::name_space::{Content, let_go, opening};
use crate::user_structure::copy_out;
use abi::errno::Errno;
use abi::files::Stat;
use abi::folders::{
    AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW, R_OK, Statx,
    W_OK, X_OK,
};
use machine::MayFault;

/// Describes what a path leads to, or with [`AT_EMPTY_PATH`] and an empty path what a descriptor is.
fn look(place: &Place, flags: i32, may_fault: &mut MayFault) -> core::result::Result<Stat, Errno> {
    let is_empty = place.path().is_empty() && flags & AT_EMPTY_PATH != 0;
    if is_empty && let Some(file) = place.file() {
        return Ok(file.kind().file().status(may_fault));
    }
    let (names, from) = place.begin(may_fault)?;
    let node = if is_empty { from } else { names.find(from, place.path())? };
    Ok(describe(&names, node))
}

pub fn stat(may_fault: &mut MayFault, path: *const u8, buffer: *mut Stat) -> Result {
    newfstatat(may_fault, AT_FDCWD, path, buffer, 0)
}

pub fn lstat(may_fault: &mut MayFault, path: *const u8, buffer: *mut Stat) -> Result {
    newfstatat(may_fault, AT_FDCWD, path, buffer, AT_SYMLINK_NOFOLLOW)
}

pub fn newfstatat(
    may_fault: &mut MayFault,
    folder: i32,
    path: *const u8,
    buffer: *mut Stat,
    flags: i32,
) -> Result {
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    with_path(folder, path, may_fault, |place, may_fault| {
        let stat = look(place, flags, may_fault)?;
        copy_out(buffer as u64, &stat, may_fault)?;
        Ok(0)
    })
}

/// Whatever is asked for, all that `stat` says is answered.
pub fn statx(
    may_fault: &mut MayFault,
    folder: i32,
    path: *const u8,
    flags: i32,
    mask: u32,
    buffer: *mut Statx,
) -> Result {
    const RESERVED: u32 = 1 << 31;
    let known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE;
    let is_unclear = flags & AT_STATX_SYNC_TYPE == AT_STATX_SYNC_TYPE;
    if flags & !known != 0 || is_unclear || mask & RESERVED != 0 {
        return Err(Errno::EINVAL);
    }
    with_path(folder, path, may_fault, |place, may_fault| {
        let stat = extended(&look(place, flags, may_fault)?);
        copy_out(buffer as u64, &stat, may_fault)?;
        Ok(0)
    })
}

pub fn access(may_fault: &mut MayFault, path: *const u8, mode: i32) -> Result {
    faccessat(may_fault, AT_FDCWD, path, mode)
}

/// The only user may do what can be done at all.
pub fn faccessat(may_fault: &mut MayFault, folder: i32, path: *const u8, mode: i32) -> Result {
    if mode & !(R_OK | W_OK | X_OK) != 0 {
        return Err(Errno::EINVAL);
    }
    with_path(folder, path, may_fault, |place, may_fault| {
        let (names, from) = place.begin(may_fault)?;
        let node = names.find(from, place.path())?;
        let content = names.content(node);
        let is_device = matches!(content, Some(Content::Device(_)));
        if mode & W_OK != 0 && !is_device && names.describe(node).volume.read_only {
            return Err(Errno::EROFS);
        }
        if mode & X_OK != 0 && !matches!(content, None | Some(Content::Program(_))) {
            return Err(Errno::EACCES);
        }
        Ok(0)
    })
}

/// A length as programs say it.
fn length(length: i64) -> core::result::Result<u64, Errno> {
    u64::try_from(length).map_err(|_| Errno::EINVAL)
}

pub fn truncate(may_fault: &mut MayFault, path: *const u8, to: i64) -> Result {
    let to = length(to)?;
    with_path(AT_FDCWD, path, may_fault, |place, may_fault| {
        let (mut names, from) = place.begin(may_fault)?;
        let node = names.find(from, place.path())?;
        let content = names.content(node).cloned();
        names.hold(node)?;
        drop(names);
        let set = opening::set_length(content.as_ref(), to, may_fault);
        drop(content);
        let_go(node, may_fault);
        set.map(|()| 0)
    })
}

pub fn ftruncate(may_fault: &mut MayFault, fd: i32, to: i64) -> Result {
    let to = length(to)?;
    descriptors::with(fd, may_fault, |file, may_fault| match file.kind() {
        crate::files::Kind::Named(open) if file.is_writable() && open.content.is_some() => {
            opening::set_length(open.content.as_ref(), to, may_fault).map(|()| 0)
        }
        _ => Err(Errno::EINVAL),
    })
}
