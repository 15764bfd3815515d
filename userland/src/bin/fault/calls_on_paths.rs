//! The calls on paths for `bad_pointers.rs`: what they fill, each with a path that leads somewhere, and the paths
//! themselves.

use super::bad_pointers::{Call, NOWHERE};
use super::calls_on_files::fills;
use abi::errno::Errno;
use abi::files::{O_RDONLY, Stat};
use abi::folders::{AT_FDCWD, Statx};
use core::ptr;
use userland::fail;
use userland::files::{close, open};
use userland::report::Why;
use userland::system::raw;

const ROOT: *const u8 = c"/".as_ptr().cast();

/// The calls. As in `bad_pointers::CALLS`, memory that is filled is none of Rust's.
pub const CALLS: [Call; 6] = [
    fills("stat", size_of::<Stat>() as u64, |address, _| {
        // SAFETY: see `CALLS`.
        unsafe { raw::stat(ROOT, address as _) }
    }),
    fills("lstat", size_of::<Stat>() as u64, |address, _| {
        // SAFETY: see `CALLS`.
        unsafe { raw::lstat(ROOT, address as _) }
    }),
    fills("newfstatat", size_of::<Stat>() as u64, |address, _| {
        // SAFETY: see `CALLS`.
        unsafe { raw::newfstatat(AT_FDCWD, ROOT, address as _, 0) }
    }),
    fills("statx", size_of::<Statx>() as u64, |address, _| {
        // SAFETY: see `CALLS`.
        unsafe { raw::statx(AT_FDCWD, ROOT, 0, 0, address as _) }
    }),
    // The working folder is the root.
    fills("getcwd", 2, |address, length| {
        // SAFETY: see `CALLS`.
        unsafe { raw::getcwd(address as _, length as usize) }.map(|_| 0)
    }),
    // As long as the entry of a folder itself.
    fills("getdents64", 24, |address, length| {
        let fd = open(c"/", O_RDONLY)?;
        // SAFETY: see `CALLS`.
        let result = unsafe { raw::getdents64(fd, address as _, length as usize) };
        close(fd)?;
        result.map(|_| 0)
    }),
];

/// Calls whose pointers are paths, tried by [`try_paths`].
pub const WITH_PATHS: [&str; 16] = [
    "access",
    "truncate",
    "chdir",
    "rename",
    "mkdir",
    "rmdir",
    "creat",
    "unlink",
    "readlink",
    "openat",
    "mkdirat",
    "unlinkat",
    "renameat",
    "readlinkat",
    "faccessat",
    "open",
];

/// Paths that are nowhere.
pub fn try_paths() -> Result<(), Why> {
    for address in NOWHERE.into_iter().chain([0]) {
        let bad: *const u8 = ptr::with_exposed_provenance(address as usize);
        let good = c"/none".as_ptr().cast();
        let place = ptr::null_mut();
        type Make = fn(*const u8, *const u8, *mut u8) -> Result<u64, Errno>;
        let calls: [Make; 22] = [
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::stat(bad, ptr::null_mut()) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::lstat(bad, ptr::null_mut()) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::newfstatat(AT_FDCWD, bad, ptr::null_mut(), 0) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::statx(AT_FDCWD, bad, 0, 0, ptr::null_mut()) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::access(bad, 0) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::truncate(bad, 0) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::chdir(bad) },
            // SAFETY: the call writes to no memory.
            |bad, good, _| unsafe { raw::rename(bad, good) },
            // SAFETY: the call writes to no memory.
            |bad, good, _| unsafe { raw::rename(good, bad) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::mkdir(bad, 0) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::rmdir(bad) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::creat(bad, 0) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::unlink(bad) },
            // SAFETY: the call writes to no memory.
            |bad, _, place| unsafe { raw::readlink(bad, place, 9) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::open(bad, 0, 0) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::openat(AT_FDCWD, bad, 0, 0) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::mkdirat(AT_FDCWD, bad, 0) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::unlinkat(AT_FDCWD, bad, 0) },
            // SAFETY: the call writes to no memory.
            |bad, good, _| unsafe { raw::renameat(AT_FDCWD, bad, AT_FDCWD, good) },
            // SAFETY: the call writes to no memory.
            |bad, good, _| unsafe { raw::renameat(AT_FDCWD, good, AT_FDCWD, bad) },
            // SAFETY: the call writes to no memory.
            |bad, _, place| unsafe { raw::readlinkat(AT_FDCWD, bad, place, 9) },
            // SAFETY: the call writes to no memory.
            |bad, _, _| unsafe { raw::faccessat(AT_FDCWD, bad, 0) },
        ];
        for (number, call) in calls.iter().enumerate() {
            let found = call(bad, good, place);
            if found != Err(Errno::EFAULT) {
                fail!("call {number} with {address:#x}: {found:?}");
            }
        }
    }
    Ok(())
}
