//! What kernel and programs agree on about paths and folders: Linux's structures and numbers for x86-64. What they agree
//! on about files is in [`crate::files`].

/// In place of a folder's descriptor: the working folder.
pub const AT_FDCWD: i32 = -100;
/// A symbolic link itself; there are none.
pub const AT_SYMLINK_NOFOLLOW: i32 = 0x100;
/// `unlinkat`: a folder.
pub const AT_REMOVEDIR: i32 = 0x200;
/// What would be mounted on the way is not; nothing is.
pub const AT_NO_AUTOMOUNT: i32 = 0x800;
/// An empty path means the descriptor's file itself.
pub const AT_EMPTY_PATH: i32 = 0x1000;
/// `statx`: how up to date the answer has to be; it always is.
pub const AT_STATX_SYNC_TYPE: i32 = 0x6000;

/// `open`: no symbolic link at the end; there are none.
pub const O_NOFOLLOW: i32 = 0o40_0000;

/// `access`: may it be read, written, executed.
pub const R_OK: i32 = 4;
/// See [`R_OK`].
pub const W_OK: i32 = 2;
/// See [`R_OK`].
pub const X_OK: i32 = 1;

/// Only who made a name in this folder may remove it. There is one user only.
pub const S_ISVTX: u32 = 0o1000;

/// Linux's `struct linux_dirent64` up to the name, which ends with a null byte. The next one begins at the next multiple
/// of 8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Dirent {
    /// The file's number.
    pub number: u64,
    /// Where to go on: a place for `lseek`.
    pub next: i64,
    /// How long this entry is, with its name and what fills it up.
    pub length: u16,
    /// `DT_…`: what it is.
    pub kind: u8,
}

impl Dirent {
    /// Where the name begins.
    pub const NAME: usize = 19;
}

/// A device.
pub const DT_CHR: u8 = 2;
/// A folder.
pub const DT_DIR: u8 = 4;
/// A file.
pub const DT_REG: u8 = 8;

/// Linux's `struct statx_timestamp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct StatxTime {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nanoseconds: u32,
    /// Nothing.
    pub reserved: i32,
}

/// Linux's `struct statx`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Statx {
    /// Which of the fields are there.
    pub mask: u32,
    /// The length that is best read and written at a time.
    pub block: u32,
    /// None.
    pub attributes: u64,
    /// How many names it has.
    pub links: u32,
    /// The user that it belongs to.
    pub user: u32,
    /// The group that it belongs to.
    pub group: u32,
    /// What it is (`S_IF…`), and who may do what.
    pub mode: u16,
    /// Nothing.
    pub padding: u16,
    /// The file's number.
    pub number: u64,
    /// Its length, in bytes.
    pub length: u64,
    /// How much room it takes, in units of 512 bytes.
    pub blocks: u64,
    /// Which attributes there could be.
    pub attributes_mask: u64,
    /// When it was read last.
    pub accessed: StatxTime,
    /// When it was made.
    pub made: StatxTime,
    /// When anything about it was changed last.
    pub changed: StatxTime,
    /// When it was written last.
    pub modified: StatxTime,
    /// Of a device: which.
    pub special: [u32; 2],
    /// The file system.
    pub device: [u32; 2],
    /// Nothing.
    pub reserved: [u64; 14],
}

/// In [`Statx::mask`]: all that `stat` says.
pub const STATX_BASIC_STATS: u32 = 0x7ff;

const _: () = assert!(size_of::<Statx>() == 256);
