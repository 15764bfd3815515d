//! PCI: finding functions, giving their registers addresses, mapping those, leading their interrupts to a
//! processor ([`msix`]).
//!
//! A function says in its *base address registers* (BARs) how large its blocks of registers are, and is told
//! there where they appear. Firmware has usually done that; a firmware that is quick because it does
//! nothing (qboot) has not. So a block without an address gets one here, from a window below the
//! interrupt controllers in which a PC never has memory.
//!
//! | file | concept |
//! |---|---|
//! | [`config`] | the way to configuration registers |
//! | [`msix`] | interrupts that are writes to memory |
//!
//! The crate `virtio-drivers` walks buses, capabilities and BARs; this is what it leaves to its user. Only
//! the boot thread is here.

pub mod config;
pub mod msix;

use crate::kernel::Kernel;
use config::Access;
use core::ops::Range;
use virtio_drivers::transport::pci::bus::{
    BarInfo, Command, ConfigurationAccess, DeviceFunction, DeviceFunctionInfo, MemoryBarType,
    PciRoot,
};

/// BARs of a function.
const BARS: u8 = 6;

/// Where blocks of registers may appear: above whatever memory a PC has there, below the interrupt
/// controllers. Memory of more than 3.5 GiB goes on above 4 GiB.
const WINDOW: Range<u64> = 0xe000_0000..0xfec0_0000;

/// What the memory-mapped configuration registers of 256 buses take.
const CONFIGURATION_BYTES: u64 = 256 << 20;

/// A function's block of registers has no address and there is none left to give, or it is of a kind that
/// cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAddress;

/// The first PCI bus.
pub struct Pci {
    kernel: &'static Kernel,
    access: Access,
    /// The walker of buses, capabilities and BARs.
    pub root: PciRoot<Access>,
    /// What is left to give; known once something is to be given.
    window: Option<Range<u64>>,
    /// Where the configuration registers are, if they are memory.
    configuration: Option<u64>,
}

impl Pci {
    /// The bus; `configuration` is the physical address of its configuration registers, if the firmware
    /// knows one.
    pub fn new(kernel: &'static Kernel, configuration: Option<u64>) -> Pci {
        let access = Access::new(kernel, configuration);
        Pci { kernel, access, root: PciRoot::new(access), window: None, configuration }
    }

    /// The kernel whose bus it is.
    pub fn kernel(&self) -> &'static Kernel {
        self.kernel
    }

    /// Every function on the bus.
    pub fn functions(&self) -> impl Iterator<Item = (DeviceFunction, DeviceFunctionInfo)> + use<> {
        self.root.enumerate_bus(0)
    }

    /// A word of a function's configuration registers.
    pub fn read(&self, function: DeviceFunction, register: u8) -> u32 {
        self.access.read_word(function, register)
    }

    /// Writes a word of a function's configuration registers. What that does is the caller's to know.
    pub fn write(&mut self, function: DeviceFunction, register: u8, data: u32) {
        self.access.write_word(function, register, data);
    }

    /// Gives every block of the function's registers an address, and lets the function answer there, reach
    /// memory, and interrupt by messages only.
    pub fn enable(&mut self, function: DeviceFunction) -> Result<(), NoAddress> {
        let mut bar = 0;
        while bar < BARS {
            let info = self.root.bar_info(function, bar).map_err(|_| NoAddress)?;
            let wide = info.as_ref().is_some_and(BarInfo::takes_two_entries);
            if let Some(BarInfo::Memory { address_type, address: 0, size, .. }) = info {
                self.place(function, bar, address_type, size)?;
            }
            bar += if wide { 2 } else { 1 };
        }
        let command = Command::MEMORY_SPACE | Command::BUS_MASTER | Command::INTERRUPT_DISABLE;
        self.root.set_command(function, command);
        Ok(())
    }

    /// Gives a block an address: a multiple of its size.
    fn place(
        &mut self,
        function: DeviceFunction,
        bar: u8,
        kind: MemoryBarType,
        size: u64,
    ) -> Result<(), NoAddress> {
        let free = match self.window.clone() {
            Some(window) => window,
            None => self.free_window(),
        };
        let start = free.start.checked_next_multiple_of(size).ok_or(NoAddress)?;
        let end = start.checked_add(size).filter(|&end| end <= free.end).ok_or(NoAddress)?;
        self.window = Some(end..free.end);
        match kind {
            MemoryBarType::Width32 => self.root.set_bar_32(function, bar, start as u32),
            MemoryBarType::Width64 => self.root.set_bar_64(function, bar, start),
            MemoryBarType::Below1MiB => return Err(NoAddress),
        }
        Ok(())
    }

    /// The part of the window above everything that has an address there already.
    fn free_window(&mut self) -> Range<u64> {
        let mut start = WINDOW.start;
        let mut leave_out = |address: u64, size: u64| {
            let end = address.saturating_add(size);
            if end > start && address < WINDOW.end {
                start = end.min(WINDOW.end);
            }
        };
        if let Some(address) = self.configuration {
            leave_out(address, CONFIGURATION_BYTES);
        }
        for (function, _) in self.functions() {
            let bars = self.root.bars(function).unwrap_or([const { None }; BARS as usize]);
            for (address, size) in bars.iter().flatten().filter_map(BarInfo::memory_address_size) {
                if address != 0 {
                    leave_out(address, size);
                }
            }
        }
        start..WINDOW.end
    }

    /// Where a part of a block of registers is, in physical memory. The function is enabled.
    pub fn physical(
        &mut self,
        function: DeviceFunction,
        bar: u8,
        part: Range<u64>,
    ) -> Result<u64, NoAddress> {
        let info = self.root.bar_info(function, bar).ok().flatten();
        let block = info.as_ref().and_then(BarInfo::memory_address_size);
        let (address, _) = block.filter(|&(_, size)| part.end <= size).ok_or(NoAddress)?;
        Ok(address + part.start)
    }

    /// Maps a part of a block of registers.
    pub fn map(
        &mut self,
        function: DeviceFunction,
        bar: u8,
        part: Range<u64>,
    ) -> Result<u64, NoAddress> {
        let length = part.end - part.start;
        let physical = self.physical(function, bar, part)?;
        let mut space = self.kernel.space.lock_anywhere();
        space.map_device_range(self.kernel, physical, length).map_err(|_| NoAddress)
    }
}
