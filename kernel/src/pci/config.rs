//! The way to the configuration registers of PCI functions: 256 bytes each, in words.
//!
//! Where the firmware says so (the MCFG table), the registers are memory: a page per function. Where not, or
//! where that memory does not answer, there are the two I/O ports that every PC has had since PCI came:
//! the address is written to the one, and the other is the word. The ports are two steps, so one thread at a
//! time may use them: only the boot thread does, while it looks for devices.
//!
//! Only the first bus is reached. What lies behind bridges is out of sight.

use crate::kernel::Kernel;
use virtio_drivers::transport::pci::bus::{Cam, ConfigurationAccess, DeviceFunction};
use x86_64::instructions::port::{Port, PortWriteOnly};

const ADDRESS_PORT: u16 = 0xcf8;
const DATA_PORT: u16 = 0xcfc;
/// Makes the data port a word of configuration.
const ENABLE: u32 = 1 << 31;

/// What is read where there is no function.
pub const ABSENT: u32 = u32::MAX;

/// The registers of the first bus: 32 devices of 8 functions, a page each.
const BUS_BYTES: u64 = 32 * 8 * 4096;

/// How far the registers are mapped: one large page.
const MAPPED: u64 = 2 << 20;
const _: () = assert!(BUS_BYTES <= MAPPED);

/// The way to the configuration registers. See the module.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// Memory, mapped at this address.
    Memory(u64),
    /// The two ports.
    Ports,
}

impl Access {
    /// By memory if it answers, by the ports if not. `physical` is what the firmware says.
    pub fn new(kernel: &Kernel, physical: Option<u64>) -> Access {
        let host = DeviceFunction { bus: 0, device: 0, function: 0 };
        let mapped = physical.and_then(|address| {
            kernel.space.lock_anywhere().map_device_range(kernel, address, MAPPED).ok()
        });
        match mapped.map(Access::Memory) {
            Some(memory) if memory.read_word(host, 0) != ABSENT => memory,
            _ => Access::Ports,
        }
    }
}

/// What the address port is told.
fn port_address(function: DeviceFunction, register: u8) -> u32 {
    ENABLE | Cam::MmioCam.cam_offset(function, register)
}

impl ConfigurationAccess for Access {
    fn read_word(&self, function: DeviceFunction, register: u8) -> u32 {
        if function.bus != 0 {
            return ABSENT;
        }
        match *self {
            Access::Memory(base) => {
                let offset = u64::from(Cam::Ecam.cam_offset(function, register));
                // SAFETY: `new` has mapped the registers of the first bus there, uncached.
                unsafe { ((base + offset) as *const u32).read_volatile() }
            }
            Access::Ports => {
                let mut address = PortWriteOnly::<u32>::new(ADDRESS_PORT);
                // SAFETY: chooses what the data port is; one thread at a time does.
                unsafe { address.write(port_address(function, register)) };
                // SAFETY: a word of configuration; those that this kernel reads have no side effects.
                unsafe { Port::<u32>::new(DATA_PORT).read() }
            }
        }
    }

    fn write_word(&mut self, function: DeviceFunction, register: u8, data: u32) {
        if function.bus != 0 {
            return;
        }
        match *self {
            Access::Memory(base) => {
                let offset = u64::from(Cam::Ecam.cam_offset(function, register));
                // SAFETY: `new` has mapped the registers of the first bus there, uncached. What is
                // written is for the callers to answer for: addresses inside the window, and flags.
                unsafe { ((base + offset) as *mut u32).write_volatile(data) };
            }
            Access::Ports => {
                let mut address = PortWriteOnly::<u32>::new(ADDRESS_PORT);
                // SAFETY: chooses what the data port is; one thread at a time does.
                unsafe { address.write(port_address(function, register)) };
                // SAFETY: as for memory above.
                unsafe { Port::<u32>::new(DATA_PORT).write(data) };
            }
        }
    }

    unsafe fn unsafe_clone(&self) -> Access {
        *self
    }
}
