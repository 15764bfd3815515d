//! Where instructions are counted, a disk must not be as fast as the host happens to be.
//!
//! A transfer is carried out by a thread of the host's, and is over at some instruction or other: two runs
//! would differ from the first transfer on. So QEMU is told to give each disk a second function, the *door*:
//! another disk with the same content, which nobody uses. Whoever resets a disk waits, within the one
//! instruction, until nothing is under way on its content any longer (`virtio_blk_reset` drains it). Resetting
//! the door therefore ends all transfers of the disk beside it, at once as far as the guest can tell.
//!
//! Then every transfer would be over before its thread has gone to sleep. So the driver keeps what is over to
//! itself for a fixed time, [`LATENCY`], and then interrupts itself; the device's own interrupt stays masked.
//! What remains is a disk that is exactly equally fast every time.

use super::device::{COMMON, Place};
use crate::pci::{NoAddress, Pci};
use virtio_drivers::transport::pci::bus::DeviceFunction;

/// How long a transfer takes, in nanoseconds: a good solid-state disk's time for a page.
pub const LATENCY: u64 = 50_000;

/// The place of the device's status among the common registers, which writing 0 to resets it.
const STATUS: u64 = 20;

/// The other way to a disk's content. See the module.
pub struct Door {
    /// Where its status is mapped.
    status: u64,
}

impl Door {
    /// The function beside a disk.
    pub fn beside(function: DeviceFunction) -> DeviceFunction {
        DeviceFunction { function: 1, ..function }
    }

    /// Takes a function as a door.
    pub fn open(pci: &mut Pci, function: DeviceFunction) -> Result<Door, NoAddress> {
        let blocks = pci.place(function)?;
        let common = Place::find(pci, function, COMMON).ok_or(NoAddress)?;
        let status = common.map(pci, &blocks)? + STATUS;
        pci.turn_on(function);
        Ok(Door { status })
    }

    /// Returns when nothing is under way on the disk's content.
    pub fn wait(&self) {
        // SAFETY: the status register of a device that is used for nothing else, mapped uncached.
        unsafe { (self.status as *mut u8).write_volatile(0) };
    }
}
