//! Files of the archive, opened: they can be read and mapped.

use super::{File, How, Result};
use crate::virtual_memory::archive::ArchiveFile;
use abi::errno::Errno;
use abi::files::{S_IFREG, Stat};
use machine::MayFault;
use vm::FaultError;
use vm::read::Reach;

/// A file of the archive.
pub struct Opened(pub &'static ArchiveFile);

impl File for Opened {
    fn read(&self, at: &mut u64, to: &mut [u8], _: How, may_fault: &mut MayFault) -> Result<usize> {
        let left = self.0.length().saturating_sub(*at);
        let count = left.min(to.len() as u64) as usize;
        if count == 0 {
            return Ok(0);
        }
        let read = self.0.read(*at, &mut to[..count], Reach::DeviceAndAhead, may_fault);
        read.map_err(|error| match error {
            FaultError::Interrupted => Errno::EINTR,
            _ => Errno::EIO,
        })?;
        *at += count as u64;
        Ok(count)
    }

    fn length(&self, _: &mut MayFault) -> Option<u64> {
        Some(self.0.length())
    }

    fn status(&self, _: &mut MayFault) -> Stat {
        let length = self.0.length();
        Stat {
            device: 1,
            number: self.0.first_page() + 1,
            links: 1,
            mode: S_IFREG | 0o555,
            length: length as i64,
            block: 4096,
            blocks: length.div_ceil(512) as i64,
            ..Stat::default()
        }
    }

    fn mapped(&self) -> Option<&'static ArchiveFile> {
        Some(self.0)
    }
}
