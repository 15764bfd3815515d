//! The disks that were found, by name.
//!
//! A disk says its name itself, and only those with a name that means something are used: nobody's
//! disk is written because it lies where another was expected.

use super::device::{Device, NAME_BYTES};
use super::door::Door;
use super::{ARCHIVE, Disk, SWAP, dma};
use crate::kernel::Kernel;
use crate::pci::Pci;
use dispatch::interrupt_thread::InterruptContext;
use spin::Once;
use virtio_drivers::transport::DeviceType;
use virtio_drivers::transport::pci::virtio_device_type;

/// The names that mean something.
const NAMES: [&str; 2] = [ARCHIVE, SWAP];
/// Most disks that are used.
pub const DISKS_MAX: usize = NAMES.len();

/// A disk's name: up to 20 bytes of text.
#[derive(Clone, Copy)]
pub struct Name(pub [u8; NAME_BYTES]);

impl Name {
    /// The text; empty if it is none.
    pub fn text(&self) -> &str {
        let length = self.0.iter().position(|&byte| byte == 0).unwrap_or(NAME_BYTES);
        core::str::from_utf8(&self.0[..length]).unwrap_or("")
    }
}

/// The disks, at most one for each name.
pub struct Disks([Once<Disk>; DISKS_MAX]);

impl Disks {
    /// None.
    pub const fn new() -> Disks {
        Disks([const { Once::new() }; DISKS_MAX])
    }

    /// The disk with this name.
    pub fn find(&'static self, name: &str) -> Option<&'static Disk> {
        self.0.iter().filter_map(Once::get).find(|disk| disk.name() == name)
    }

    /// Starts the disks on the first PCI bus. One that cannot be used, or that nobody would use, is named in the
    /// log and left alone.
    pub fn start(&'static self, pci: &mut Pci) {
        let mut line = 0;
        for (function, info) in pci.functions() {
            let is_disk = virtio_device_type(&info) == Some(DeviceType::Block);
            if function.function != 0 || !is_disk {
                continue;
            }
            let Some(place) = self.0.get(usize::from(line)) else {
                log::warn!("disk {function}: not used: there are {DISKS_MAX} already");
                continue;
            };
            let who = |function| pci.read(function, 0);
            let door = Some(Door::beside(function)).filter(|&door| who(door) == who(function));
            let device = match Device::start(pci, function, door, line) {
                Ok(device) => device,
                Err(why) => {
                    log::warn!("disk {function}: not used: {why}");
                    continue;
                }
            };
            let name = device.name;
            if !NAMES.contains(&name.text()) || self.find(name.text()).is_some() {
                log::warn!(
                    "disk {function}: not used: nobody asks for one named '{}'",
                    name.text()
                );
                let area = device.area;
                // Resets it: it no longer knows the frame.
                drop(device);
                dma::free(area);
                continue;
            }
            let disk = place.call_once(|| Disk::new(device, line));
            log::info!("{disk:?}");
            line += 1;
        }
    }
}

/// A disk's interrupt, on the disks' thread.
pub fn interrupt(kernel: &'static Kernel, line: u8, context: &mut InterruptContext) {
    if let Some(disk) = kernel.disks.0.get(usize::from(line)).and_then(Once::get) {
        disk.complete(context);
    }
}
