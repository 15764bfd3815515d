//! Open files, and the descriptors by which programs name them.
//!
//! ```text
//!  process --> Descriptors --+--> OpenFile: offset, flags --> Kind: what it is, a `File`
//!  child   --> Descriptors --+        (shared by dup and fork)
//! ```
//!
//! | file | concept |
//! |---|---|
//! | this one | what every open file can do ([`File`]), and which kinds there are ([`Kind`]) |
//! | [`open_file`] | an open file: its offset and flags |
//! | [`descriptors`] | a process's descriptors |
//! | [`archive_file`], [`devices`], [`pipe`], [`terminal`] | the kinds |
//! | [`crate::name_space`] | what is opened by a path: one kind, whatever it is |
//! | [`watch`] | waiting until one of several files is ready |
//! | [`shared`], [`buffer`] | counted references; pages for bytes on their way |
//!
//! A call takes a reference to the open file with the descriptor, so that another thread may close that meanwhile. What
//! is read and written passes through kernel memory: user memory is not touched with a lock of a file held, because
//! who waits for memory must not keep others from going, whose memory it may be waiting for. What is held then (the
//! offset, and what [`File::begin`] takes) is waited for in a way that can be interrupted.

pub mod archive_file;
pub mod buffer;
pub mod descriptors;
pub mod devices;
pub mod open_file;
pub mod pipe;
pub mod random;
pub mod shared;
pub mod terminal;
pub mod watch;

use crate::kernel_space::SlabPages;
use crate::name_space::opening::OpenNode;
use crate::virtual_memory::archive::ArchiveFile;
use abi::errno::Errno;
use abi::files::{POLLIN, POLLOUT, Stat};
use core::sync::atomic::AtomicU64;
use machine::MayFault;
use memory::Slab;

pub use descriptors::Descriptors;
pub use open_file::OpenFile;
pub use shared::{Counted, Shared};

/// What using a file comes to.
pub type Result<T> = core::result::Result<T, Errno>;

/// How bytes are to be read or written.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Wait for what is not there yet; else that is EAGAIN.
    pub waits: bool,
    /// Write at the end, wherever the offset is.
    pub appends: bool,
    /// Write all of it, with nobody else's bytes between, or nothing.
    pub whole: bool,
}

/// What can be done with an open file, whatever it is. What a kind does not say it cannot do.
pub trait File: Sync {
    /// Reads from a place, which moves on; says how many bytes came, 0 at the end. Fewer than asked for: there are no
    /// more now.
    fn read(
        &self,
        _at: &mut u64,
        _to: &mut [u8],
        _how: How,
        _may_fault: &mut MayFault,
    ) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// Writes at a place, which moves on; says how many bytes.
    fn write(
        &self,
        _at: &mut u64,
        _from: &[u8],
        _how: How,
        _may_fault: &mut MayFault,
    ) -> Result<usize> {
        Err(Errno::EINVAL)
    }

    /// How long it is, if it has places to go to.
    fn length(&self, _may_fault: &mut MayFault) -> Option<u64> {
        None
    }

    /// What [`Stat`] says of it.
    fn status(&self, may_fault: &mut MayFault) -> Stat;

    /// Which of `POLL…` hold now. Whoever changes that tells [`watch`].
    fn ready(&self, _may_fault: &mut MayFault) -> u16 {
        POLLIN | POLLOUT
    }

    /// What `ioctl` asks of it alone.
    fn control(&self, _request: u32, _argument: u64, _may_fault: &mut MayFault) -> Result<u64> {
        Err(Errno::ENOTTY)
    }

    /// What is mapped if it is.
    fn mapped(&self) -> Option<&'static ArchiveFile> {
        None
    }

    /// A call begins that reads or writes, in one or several steps: nobody else's come between. Waiting for that can be
    /// interrupted, because whoever is between [`File::begin`] and [`File::end`] touches user memory there.
    fn begin(&self, _may_fault: &mut MayFault) -> Result<()> {
        Ok(())
    }

    /// It is over.
    fn end(&self, _may_fault: &mut MayFault) {}

    /// Nobody has it open any more.
    fn close(&self, _may_fault: &mut MayFault) {}
}

/// The kinds of open files.
pub enum Kind {
    /// An end of a pipe.
    Pipe(pipe::End),
    /// What was opened by a path.
    Named(OpenNode),
    /// The terminal.
    Terminal(terminal::Opened),
}

impl Kind {
    /// What can be done with it.
    pub fn file(&self) -> &dyn File {
        match self {
            Kind::Pipe(file) => file,
            Kind::Named(file) => file,
            Kind::Terminal(file) => file,
        }
    }
}

/// What a system has for its open files.
pub struct Files {
    /// Open files.
    pub open: Slab<Counted<OpenFile>>,
    /// Processes' descriptors.
    pub descriptors: Slab<Descriptors>,
    /// Pipes.
    pub pipes: Slab<Counted<pipe::Pipe>>,
    /// The number of the next one.
    pub next_pipe: AtomicU64,
    /// Who waits for one of several files.
    pub watch: watch::Watch,
    /// Where random bytes come from.
    pub random: random::Random,
}

impl Files {
    /// None is open.
    pub fn new() -> Files {
        Files {
            open: Slab::new(&SlabPages),
            descriptors: Slab::new(&SlabPages),
            pipes: Slab::new(&SlabPages),
            next_pipe: AtomicU64::new(1),
            watch: watch::Watch::new(),
            random: random::Random::new(),
        }
    }
}
