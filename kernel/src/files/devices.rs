//! The small devices: nothing, zeros, a full one, random bytes.

use super::terminal;
use super::{File, How, Kind, Result};
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

/// The device with a name.
pub fn find(name: &str) -> Option<Kind> {
    let (_, device) = NAMES.iter().find(|(known, _)| *known == name)?;
    Some(device.map_or(Kind::Terminal(terminal::Opened), Kind::Device))
}

/// What [`Stat`] says of a device with these numbers.
pub fn status_of(major: u64, minor: u64) -> Stat {
    Stat {
        device: 2,
        number: major << 8 | minor,
        links: 1,
        mode: S_IFCHR | 0o666,
        special: major << 8 | minor,
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
        // Linux's numbers.
        status_of(
            1,
            match self {
                Device::Null => 3,
                Device::Zero => 5,
                Device::Full => 7,
                Device::Random => 8,
                Device::UnboundedRandom => 9,
            },
        )
    }
}
