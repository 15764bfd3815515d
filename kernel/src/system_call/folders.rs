//! Calls about names: making, removing, renaming; working folders; what is in a folder.

use super::Result;
use super::paths::{folder_of, with_path};
use crate::files::descriptors;
use crate::kernel::Kernel;
use crate::name_space::{free, listing, names, working_folder};
use crate::process;
use abi::errno::Errno;
use abi::folders::{AT_FDCWD, AT_REMOVEDIR};
use alloc::vec::Vec;
use machine::MayFault;
use machine::x86_64::user_copy;
use names::path::PATH_MAX;

/// Bytes of entries that are read at a time.
const LISTED: usize = 2048;

pub fn mkdir(may_fault: &mut MayFault, path: *const u8, mode: u32) -> Result {
    mkdirat(may_fault, AT_FDCWD, path, mode)
}

/// There is one user, who may do everything that can be done: so the mode says nothing.
pub fn mkdirat(may_fault: &mut MayFault, folder: i32, path: *const u8, _: u32) -> Result {
    with_path(folder, path, may_fault, |place, may_fault| {
        let now = Kernel::current().uptime_nanoseconds();
        let (mut names, from) = place.begin(may_fault)?;
        names.make_folder(from, place.path(), now)?;
        Ok(0)
    })
}

pub fn rmdir(may_fault: &mut MayFault, path: *const u8) -> Result {
    unlinkat(may_fault, AT_FDCWD, path, AT_REMOVEDIR)
}

pub fn unlink(may_fault: &mut MayFault, path: *const u8) -> Result {
    unlinkat(may_fault, AT_FDCWD, path, 0)
}

pub fn unlinkat(may_fault: &mut MayFault, folder: i32, path: *const u8, flags: i32) -> Result {
    if flags & !AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    with_path(folder, path, may_fault, |place, may_fault| {
        let (mut names, from) = place.begin(may_fault)?;
        let gone = if flags & AT_REMOVEDIR != 0 {
            names.remove_folder(from, place.path())?;
            None
        } else {
            names.remove_file(from, place.path())?
        };
        drop(names);
        free(gone, may_fault);
        Ok(0)
    })
}

pub fn rename(may_fault: &mut MayFault, from: *const u8, to: *const u8) -> Result {
    renameat(may_fault, AT_FDCWD, from, AT_FDCWD, to)
}

pub fn renameat(
    may_fault: &mut MayFault,
    from_folder: i32,
    from: *const u8,
    to_folder: i32,
    to: *const u8,
) -> Result {
    with_path(from_folder, from, may_fault, |old, may_fault| {
        with_path(to_folder, to, may_fault, |new, may_fault| {
            let (mut names, from) = old.begin(may_fault)?;
            let to = new.folder(&names, may_fault)?;
            let gone = names.rename((from, old.path()), (to, new.path()))?;
            drop(names);
            free(gone, may_fault);
            Ok(0)
        })
    })
}

pub fn getcwd(may_fault: &mut MayFault, buffer: *mut u8, length: usize) -> Result {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(PATH_MAX).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(PATH_MAX, 0);
    let names = names(may_fault)?;
    let folder = working_folder::get(process::current(), &names, may_fault);
    // The last byte is the null byte.
    let start = names.path_of(folder, &mut bytes[..PATH_MAX - 1])?;
    drop(names);
    let path = &bytes[start..];
    if path.len() > length {
        return Err(Errno::ERANGE);
    }
    user_copy::copy_out(buffer as u64, path, may_fault).map_err(|_| Errno::EFAULT)?;
    Ok(path.len() as u64)
}

pub fn chdir(may_fault: &mut MayFault, path: *const u8) -> Result {
    with_path(AT_FDCWD, path, may_fault, |place, may_fault| {
        let (names, from) = place.begin(may_fault)?;
        let folder = names.find(from, place.path())?;
        if names.content(folder).is_some() {
            return Err(Errno::ENOTDIR);
        }
        working_folder::set(process::current(), folder, names, may_fault)?;
        Ok(0)
    })
}

pub fn fchdir(may_fault: &mut MayFault, fd: i32) -> Result {
    descriptors::with(fd, may_fault, |file, may_fault| {
        let folder = folder_of(file)?;
        let names = names(may_fault)?;
        working_folder::set(process::current(), folder, names, may_fault)?;
        Ok(0)
    })
}

pub fn getdents64(may_fault: &mut MayFault, fd: i32, buffer: *mut u8, length: usize) -> Result {
    user_copy::check(buffer as u64, length).map_err(|_| Errno::EFAULT)?;
    descriptors::with(fd, may_fault, |file, may_fault| {
        let folder = folder_of(file)?;
        file.at(None, may_fault, |at, may_fault| {
            let mut bytes = Vec::new();
            let most = length.min(LISTED);
            bytes.try_reserve_exact(most).map_err(|_| Errno::ENOMEM)?;
            bytes.resize(most, 0);
            let (count, next) = listing::list(folder, *at, &mut bytes, may_fault)?;
            let copied = user_copy::copy_out(buffer as u64, &bytes[..count], may_fault);
            copied.map_err(|_| Errno::EFAULT)?;
            *at = next;
            Ok(count as u64)
        })
    })
}

pub fn readlink(
    may_fault: &mut MayFault,
    path: *const u8,
    buffer: *mut u8,
    length: usize,
) -> Result {
    readlinkat(may_fault, AT_FDCWD, path, buffer, length)
}

/// There are no links: of what is there, nothing leads anywhere else.
pub fn readlinkat(
    may_fault: &mut MayFault,
    folder: i32,
    path: *const u8,
    _: *mut u8,
    length: usize,
) -> Result {
    if length as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    with_path(folder, path, may_fault, |place, may_fault| {
        let (names, from) = place.begin(may_fault)?;
        names.find(from, place.path())?;
        Err(Errno::EINVAL)
    })
}
