//! An open file: what it is, and what those share that have it: the offset and the flags.
//!
//! Who reads or writes at the offset holds it until it has moved on, so that two do not get the same bytes. Waiting for
//! that can be interrupted, as the one who holds it may wait for a device or for memory.

use super::{Kind, Result, Shared};
use crate::kernel::Kernel;
use crate::virtual_memory::patience::patiently;
use abi::errno::Errno;
use abi::files::{O_ACCMODE, O_APPEND, O_NONBLOCK, O_RDONLY, O_WRONLY};
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use dispatch::{Semaphore, Woken};
use machine::MayFault;

/// Flags that can be changed while a file is open.
const CHANGEABLE: i32 = O_APPEND | O_NONBLOCK;

/// An open file.
pub struct OpenFile {
    kind: Kind,
    /// `O_…`: the access, and what can be changed.
    flags: AtomicI32,
    offset: AtomicU64,
    /// One unit: whoever has it may move the offset.
    moving: Semaphore,
}

impl OpenFile {
    /// Opens something, with these of `O_…`, of which those that concern only opening are not kept. On an error it is
    /// closed.
    pub fn open(kind: Kind, flags: i32, may_fault: &mut MayFault) -> Result<Shared<OpenFile>> {
        let mut file = Some(OpenFile {
            kind,
            flags: AtomicI32::new(flags & (O_ACCMODE | CHANGEABLE)),
            offset: AtomicU64::new(0),
            moving: Semaphore::new(1),
        });
        let opened = patiently(may_fault, |_| {
            let value = file.take().expect("who fails gives it back");
            Shared::new(&Kernel::current().files.open, value).map_err(|(error, value)| {
                file = Some(value);
                error
            })
        });
        opened.map_err(|_| {
            if let Some(file) = file.take() {
                file.kind.file().close(may_fault);
            }
            Errno::ENOMEM
        })
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Its flags, as `O_…`.
    pub fn flags(&self) -> i32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// Changes those flags that can be changed.
    pub fn set_flags(&self, flags: i32) {
        let access = self.flags() & O_ACCMODE;
        self.flags.store(access | flags & CHANGEABLE, Ordering::Relaxed);
    }

    /// Whether it may be read.
    pub fn is_readable(&self) -> bool {
        self.flags() & O_ACCMODE != O_WRONLY
    }

    /// Whether it may be written.
    pub fn is_writable(&self) -> bool {
        self.flags() & O_ACCMODE != O_RDONLY
    }

    /// Acts at a place: at the offset, which moves as it does, if none is named.
    pub fn at<R>(
        &self,
        place: Option<u64>,
        may_fault: &mut MayFault,
        act: impl FnOnce(&mut u64, &mut MayFault) -> Result<R>,
    ) -> Result<R> {
        let has_places = self.kind.file().length(may_fault).is_some();
        match place {
            Some(_) if !has_places => Err(Errno::ESPIPE),
            Some(mut at) => act(&mut at, may_fault),
            None if !has_places => act(&mut 0, may_fault),
            None => {
                if self.moving.p_interruptible(may_fault) == Woken::BySignal {
                    return Err(Errno::EINTR);
                }
                let mut at = self.offset.load(Ordering::Relaxed);
                let result = act(&mut at, may_fault);
                self.offset.store(at, Ordering::Relaxed);
                self.moving.v();
                result
            }
        }
    }

    /// Where the offset is.
    pub fn offset(&self) -> u64 {
        self.offset.load(Ordering::Relaxed)
    }
}

/// Lets go of an open file; the last one closes it.
pub fn close(file: Shared<OpenFile>, may_fault: &mut MayFault) {
    if let Some(file) = file.release() {
        file.kind.file().close(may_fault);
    }
}
