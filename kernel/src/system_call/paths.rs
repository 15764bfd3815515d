//! Paths as calls take them: the bytes of a path, and the folder in which it begins.

use super::processes::copy_string;
use crate::files::open_file::{OpenFile, close};
use crate::files::{Kind, Shared};
use crate::name_space::{Names, names, working_folder};
use crate::process;
use abi::errno::Errno;
use abi::folders::AT_FDCWD;
use alloc::vec::Vec;
use machine::MayFault;
use names::NodeId;
use names::path::PATH_MAX;

/// A path, and where it begins.
pub struct Place {
    path: Vec<u8>,
    /// What it begins at if it does not begin with a slash, and not in the working folder. It stays open meanwhile.
    base: Option<Shared<OpenFile>>,
}

/// Acts on a path from a folder, or with [`AT_FDCWD`] from the working folder.
pub fn with_path<R>(
    folder: i32,
    path: *const u8,
    may_fault: &mut MayFault,
    act: impl FnOnce(&Place, &mut MayFault) -> Result<R, Errno>,
) -> Result<R, Errno> {
    let place = Place { path: copy_path(path, may_fault)?, base: None };
    let base = match folder {
        _ if place.path.first() == Some(&b'/') => None,
        AT_FDCWD => None,
        fd => Some(process::current().descriptors.get(fd)?),
    };
    let place = Place { base, ..place };
    let result = act(&place, may_fault);
    if let Some(file) = place.base {
        close(file, may_fault);
    }
    result
}

/// The bytes of a path, without the null byte.
pub fn copy_path(path: *const u8, may_fault: &mut MayFault) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    copy_string(&mut bytes, path as u64, PATH_MAX, may_fault).map_err(|error| match error {
        Errno::E2BIG => Errno::ENAMETOOLONG,
        error => error,
    })?;
    bytes.pop();
    Ok(bytes)
}

impl Place {
    /// The path.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// The file that an empty path means, if it begins at a descriptor.
    pub fn file(&self) -> Option<&OpenFile> {
        self.base.as_deref()
    }

    /// The names, and the folder in which the path begins.
    pub fn begin(&self, may_fault: &mut MayFault) -> Result<(Names, NodeId), Errno> {
        let names = names(may_fault)?;
        let folder = self.folder(&names, may_fault)?;
        Ok((names, folder))
    }

    /// The folder in which it begins.
    pub fn folder(&self, names: &Names, may_fault: &mut MayFault) -> Result<NodeId, Errno> {
        match &self.base {
            None => Ok(working_folder::get(process::current(), names, may_fault)),
            Some(_) if self.path.is_empty() => Err(Errno::ENOENT),
            Some(file) => folder_of(file),
        }
    }
}

/// The folder that an open file is.
pub fn folder_of(file: &OpenFile) -> Result<NodeId, Errno> {
    match file.kind() {
        Kind::Named(open) if open.content.is_none() => Ok(open.node),
        _ => Err(Errno::ENOTDIR),
    }
}
