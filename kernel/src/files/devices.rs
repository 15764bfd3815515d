//! The small devices: nothing, zeros, a full one, random bytes.

use super::{File, How, Result};
use crate::kernel::Kernel;
use abi::errno::Errno;
use abi::files::{S_IFCHR, Stat};
use machine::MayFault;

/// A device that is no more than a source and a sink of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// It is empty, and takes everything.
    Null,
    /// It is full of zeros, and takes everything.
    Zero,
    /// It is full of zeros, and takes nothing.
    Full,
    /// It is full of random bytes, and takes everything.
    Random,
    /// The same.
    UnboundedRandom,
}

/// All names in the folder of devices, with what they stand for; none: the terminal.
pub const NAMES: [(&str, Option<Device>); 7] = [
    ("console", None),
    ("full", Some(Device::Full)),
    ("null", Some(Device::Null)),
    ("random", Some(Device::Random)),
    ("tty", None),
    ("urandom", Some(Device::UnboundedRandom)),
    ("zero", Some(Device::Zero)),
];

/// Linux's number of a device; none: the terminal.
pub fn number(device: Option<Device>) -> u64 {
    let (major, minor) = match device {
        Some(Device::Null) => (1, 3),
        Some(Device::Zero) => (1, 5),
        Some(Device::Full) => (1, 7),
        Some(Device::Random) => (1, 8),
        Some(Device::UnboundedRandom) => (1, 9),
        None => (5, 1),
    };
    major << 8 | minor
}

/// What [`Stat`] says of a device that was not opened by its path.
pub fn status_of(device: Option<Device>) -> Stat {
    let special = number(device);
    Stat {
        device: 2,
        number: special,
        links: 1,
        mode: S_IFCHR | 0o666,
        special,
        block: 4096,
        ..Stat::default()
    }
}

impl File for Device {
    fn read(&self, _: &mut u64, to: &mut [u8], _: How, _: &mut MayFault) -> Result<usize> {
        match self {
            Device::Null => return Ok(0),
            Device::Zero | Device::Full => to.fill(0),
            Device::Random | Device::UnboundedRandom => Kernel::current().files.random.fill(to),
        }
        Ok(to.len())
    }

    fn write(&self, _: &mut u64, from: &[u8], _: How, _: &mut MayFault) -> Result<usize> {
        match self {
            Device::Full => Err(Errno::ENOSPC),
            _ => Ok(from.len()),
        }
    }

    fn length(&self, _: &mut MayFault) -> Option<u64> {
        // They have places, all of which are alike.
        Some(0)
    }

    fn status(&self, _: &mut MayFault) -> Stat {
        status_of(Some(*self))
    }
}
