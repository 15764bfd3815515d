//! How a process ended, and why one did not begin.

use crate::virtual_memory::archive::NoArchive;
use abi::errno::Errno;
use core::fmt;
use memory::OutOfMemory;

/// [`Process::outcome`] of one that runs.
pub(super) const RUNNING: u32 = u32::MAX;
/// In [`Process::outcome`]: the low bits are a signal, not a status.
const BY_SIGNAL: u32 = 1 << 8;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Killed(u8),
}

impl Outcome {
    pub(super) fn to_bits(self) -> u32 {
        match self {
            Outcome::Exited(status) => u32::from(status),
            Outcome::Killed(signal) => BY_SIGNAL | u32::from(signal),
        }
    }

    pub(super) fn from_bits(bits: u32) -> Outcome {
        assert_ne!(bits, RUNNING, "a process is over before it ended");
        if bits & BY_SIGNAL == 0 {
            Outcome::Exited(bits as u8)
        } else {
            Outcome::Killed(bits as u8)
        }
    }

    /// The same, if it has been decided.
    pub(super) fn find(bits: u32) -> Option<Outcome> {
        (bits != RUNNING).then(|| Outcome::from_bits(bits))
    }

    /// As `wait4` says it.
    pub fn to_status(self) -> i32 {
        match self {
            Outcome::Exited(status) => i32::from(status) << 8,
            Outcome::Killed(signal) => i32::from(signal),
        }
    }
}

/// Why a program could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotRun {
    /// There are no programs at all.
    NoArchive(NoArchive),
    /// There is no such program.
    NotFound,
    /// Its file is not one that this kernel can run: why.
    Unsuitable(&'static str),
    /// The device that has its file failed.
    Device,
    /// The thread has been interrupted while it waited for the file.
    Interrupted,
    /// There is not enough memory.
    OutOfMemory,
}

impl CannotRun {
    /// What a process ends with that could not become a program: as a shell says it.
    pub const STATUS: u8 = 127;
}

impl fmt::Display for CannotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CannotRun::NoArchive(why) => write!(f, "{why}"),
            CannotRun::NotFound => write!(f, "{}", Errno::ENOENT.text()),
            CannotRun::Unsuitable(why) => write!(f, "{}: {why}", Errno::ENOEXEC.text()),
            CannotRun::Device => write!(f, "{}", Errno::EIO.text()),
            CannotRun::Interrupted => write!(f, "{}", Errno::EINTR.text()),
            CannotRun::OutOfMemory => write!(f, "{}", Errno::ENOMEM.text()),
        }
    }
}

impl From<NoArchive> for CannotRun {
    fn from(why: NoArchive) -> CannotRun {
        CannotRun::NoArchive(why)
    }
}

impl From<OutOfMemory> for CannotRun {
    fn from(_: OutOfMemory) -> CannotRun {
        CannotRun::OutOfMemory
    }
}
