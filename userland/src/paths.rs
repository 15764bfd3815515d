//! Calls on paths. A path is bytes; it becomes a [`Path`], with the null byte that the kernel wants.

use crate::system::raw;
use abi::errno::Errno;
use abi::files::{O_CLOEXEC, S_IFDIR, S_IFMT, Stat};
use core::ffi::CStr;

/// Longest path, with its null byte.
const PATH_MAX: usize = 1024;

/// A path with a null byte behind it.
#[derive(Clone)]
pub struct Path {
    bytes: [u8; PATH_MAX],
    length: usize,
}

impl Path {
    /// The path of some bytes.
    pub fn new(bytes: &[u8]) -> Result<Path, Errno> {
        Path::join(b"", bytes)
    }

    /// The path of something in a folder; an empty folder is the working folder.
    pub fn join(folder: &[u8], name: &[u8]) -> Result<Path, Errno> {
        let slash: &[u8] = if folder.is_empty() || folder.ends_with(b"/") { b"" } else { b"/" };
        let mut path = Path { bytes: [0; PATH_MAX], length: 0 };
        for part in [folder, slash, name] {
            let end = path.length + part.len();
            if part.contains(&0) {
                return Err(Errno::ENOENT);
            }
            if end >= PATH_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            path.bytes[path.length..end].copy_from_slice(part);
            path.length = end;
        }
        Ok(path)
    }

    /// Without the null byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// With it.
    pub fn c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }

    fn address(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    /// The part behind the last slash.
    pub fn name(&self) -> &[u8] {
        let bytes = self.bytes().strip_suffix(b"/").unwrap_or(self.bytes());
        bytes.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
    }
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($path:ident $(, $argument:ident: $type:ty => $pass:expr)*) = $call:ident $(, $after:expr)*;)*) => {
        $($(#[$doc])*
        pub fn $name($path: &[u8] $(, $argument: $type)*) -> Result<u64, Errno> {
            let path = Path::new($path)?;
            // SAFETY: the call writes to no memory but what the caller has borrowed to it.
            unsafe { raw::$call(path.address() $(, $pass)* $(, $after)*) }
        })*
    };
}

calls! {
    /// Describes a file.
    stat_to(path, to: &mut Stat => core::ptr::from_mut(to)) = stat;
    /// Makes a folder.
    make_folder(path) = mkdir, 0o777;
    /// Removes an empty folder.
    remove_folder(path) = rmdir;
    /// Removes a name.
    unlink(path) = unlink;
    /// Changes the working folder.
    change_folder(path) = chdir;
    /// Whether a file may be used in a way: `R_OK` and the like.
    may(path, mode: i32 => mode) = access;
}

/// Describes a file.
pub fn stat(path: &[u8]) -> Result<Stat, Errno> {
    let mut found = Stat::default();
    stat_to(path, &mut found).map(|_| found)
}

/// Whether a path leads to a folder.
pub fn is_folder(path: &[u8]) -> bool {
    stat(path).is_ok_and(|found| found.mode & S_IFMT == S_IFDIR)
}

/// Opens a file with flags `O_…`; no program that is started later gets it.
pub fn open(path: &[u8], flags: i32) -> Result<i32, Errno> {
    crate::files::open(Path::new(path)?.c_str(), flags | O_CLOEXEC)
}

/// Gives a file another name.
pub fn rename(from: &[u8], to: &[u8]) -> Result<(), Errno> {
    let (from, to) = (Path::new(from)?, Path::new(to)?);
    // SAFETY: the call writes to no memory.
    unsafe { raw::rename(from.address(), to.address()) }.map(drop)
}

/// The working folder.
pub fn working_folder() -> Result<Path, Errno> {
    let mut path = Path { bytes: [0; PATH_MAX], length: 0 };
    // SAFETY: the call fills the buffer.
    let length = unsafe { raw::getcwd(path.bytes.as_mut_ptr(), PATH_MAX) }?;
    path.length = (length as usize).saturating_sub(1).min(PATH_MAX - 1);
    Ok(path)
}
