//! What kernel and programs agree on about files: Linux's structures and numbers for x86-64.

/// Linux's `struct iovec`: one of several buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct IoVec {
    /// Where it is.
    pub address: u64,
    /// How many bytes it has.
    pub length: u64,
}

/// Linux's `struct pollfd`: what somebody waits for on a descriptor, and what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PollFd {
    /// The descriptor; a negative one is passed over.
    pub fd: i32,
    /// `POLL…`: what is waited for.
    pub events: u16,
    /// `POLL…`: what there is.
    pub found: u16,
}

/// Something can be read.
pub const POLLIN: u16 = 1;
/// Something can be written.
pub const POLLOUT: u16 = 4;
/// Nobody reads any more. Found whether it is waited for or not, as are the two below.
pub const POLLERR: u16 = 8;
/// Nobody writes any more.
pub const POLLHUP: u16 = 0x10;
/// The descriptor is not open.
pub const POLLNVAL: u16 = 0x20;

/// Linux's `struct stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Stat {
    /// The file system.
    pub device: u64,
    /// The file's number in it.
    pub number: u64,
    /// How many names it has.
    pub links: u64,
    /// What it is (`S_IF…`), and who may do what.
    pub mode: u32,
    /// The user that it belongs to.
    pub user: u32,
    /// The group that it belongs to.
    pub group: u32,
    /// Nothing.
    pub padding: u32,
    /// Of a device: which.
    pub special: u64,
    /// Its length, in bytes.
    pub length: i64,
    /// The length that is best read and written at a time.
    pub block: i64,
    /// How much room it takes, in units of 512 bytes.
    pub blocks: i64,
    /// When it was read last: seconds, nanoseconds.
    pub accessed: [i64; 2],
    /// When it was written last.
    pub modified: [i64; 2],
    /// When anything about it was changed last.
    pub changed: [i64; 2],
    /// Nothing.
    pub reserved: [i64; 3],
}

/// In [`Stat::mode`]: the bits that say what a file is.
pub const S_IFMT: u32 = 0o17_0000;
/// A pipe.
pub const S_IFIFO: u32 = 0o01_0000;
/// A device that is read and written byte by byte.
pub const S_IFCHR: u32 = 0o02_0000;
/// A folder.
pub const S_IFDIR: u32 = 0o04_0000;
/// A file.
pub const S_IFREG: u32 = 0o10_0000;

/// The bits of `open`'s flags that say what is to be done.
pub const O_ACCMODE: i32 = 3;
/// Reading alone.
pub const O_RDONLY: i32 = 0;
/// Writing alone.
pub const O_WRONLY: i32 = 1;
/// Both.
pub const O_RDWR: i32 = 2;
/// If there is no such file, one is made.
pub const O_CREAT: i32 = 0o100;
/// With [`O_CREAT`]: there must be none.
pub const O_EXCL: i32 = 0o200;
/// A file that is to be written loses its contents.
pub const O_TRUNC: i32 = 0o1000;
/// Everything is written at the end.
pub const O_APPEND: i32 = 0o2000;
/// What would wait fails.
pub const O_NONBLOCK: i32 = 0o4000;
/// It must be a folder.
pub const O_DIRECTORY: i32 = 0o20_0000;
/// `execve` closes it.
pub const O_CLOEXEC: i32 = 0o200_0000;

/// [`crate::calls`]' `fcntl`: another descriptor, not below the argument.
pub const F_DUPFD: i32 = 0;
/// Read a descriptor's flags.
pub const F_GETFD: i32 = 1;
/// Set a descriptor's flags.
pub const F_SETFD: i32 = 2;
/// Read an open file's flags.
pub const F_GETFL: i32 = 3;
/// Set an open file's flags.
pub const F_SETFL: i32 = 4;
/// As [`F_DUPFD`], and `execve` closes the new one.
pub const F_DUPFD_CLOEXEC: i32 = 1030;
/// A descriptor's only flag: `execve` closes it.
pub const FD_CLOEXEC: u64 = 1;

/// `lseek`: from the beginning.
pub const SEEK_SET: i32 = 0;
/// `lseek`: from where it is.
pub const SEEK_CUR: i32 = 1;
/// `lseek`: from the end.
pub const SEEK_END: i32 = 2;

/// So many bytes at most are written to a pipe in one piece, with nobody else's between them.
pub const PIPE_BUF: usize = 4096;
/// So many bytes a pipe holds.
pub const PIPE_CAPACITY: usize = 64 << 10;
/// So many descriptors a process may have.
pub const OPEN_MAX: usize = 256;
/// So many buffers `readv` and `writev` take.
pub const IOV_MAX: usize = 1024;
/// So many bytes at most are read or written by a call.
pub const TRANSFER_MAX: usize = 0x7fff_f000;

/// `getrandom`: fail rather than wait.
pub const GRND_NONBLOCK: u32 = 1;
/// `getrandom`: from the better source, if there are two.
pub const GRND_RANDOM: u32 = 2;
