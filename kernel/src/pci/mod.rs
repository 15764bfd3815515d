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

/// Where a function's blocks of registers are, in physical memory; empty where there is none.
#[derive(Clone, Debug)]
pub struct Blocks([Range<u64>; BARS as usize]);

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
        log::debug!("PCI: configuration through {access:?}");
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

    /// Gives every block of a function's registers an address. The function answers nowhere until it is turned
    /// on: while it does, asking for the size of a block would make it vanish for that moment.
    pub fn place(&mut self, function: DeviceFunction) -> Result<Blocks, NoAddress> {
        self.root.set_command(function, Command::INTERRUPT_DISABLE);
        let mut blocks = Blocks([const { 0..0 }; BARS as usize]);
        let mut bar = 0;
        while bar < BARS {
            let info = self.root.bar_info(function, bar).map_err(|_| NoAddress)?;
            let wide = info.as_ref().is_some_and(BarInfo::takes_two_entries);
            if let Some(BarInfo::Memory { address_type, address, size, .. }) = info {
                let start = match address {
                    0 => self.give_address(function, bar, address_type, size)?,
                    address => address,
                };
                blocks.0[usize::from(bar)] = start..start.checked_add(size).ok_or(NoAddress)?;
            }
            bar += if wide { 2 } else { 1 };
        }
        Ok(blocks)
    }

    /// Lets a function whose blocks have addresses answer there, reach memory, and interrupt by messages only.
    pub fn turn_on(&mut self, function: DeviceFunction) {
        let command = Command::MEMORY_SPACE | Command::BUS_MASTER | Command::INTERRUPT_DISABLE;
        self.root.set_command(function, command);
    }

    /// Gives a block an address: a multiple of its size.
    fn give_address(
        &mut self,
        function: DeviceFunction,
        bar: u8,
        kind: MemoryBarType,
        size: u64,
    ) -> Result<u64, NoAddress> {
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
        Ok(start)
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

    /// Maps a part of a block of registers.
    pub fn map(&self, blocks: &Blocks, bar: u8, part: Range<u64>) -> Result<u64, NoAddress> {
        let block = blocks.0.get(usize::from(bar)).ok_or(NoAddress)?;
        let start = block.start.checked_add(part.start).ok_or(NoAddress)?;
        let length = part.end.checked_sub(part.start).ok_or(NoAddress)?;
        let inside = start.checked_add(length).is_some_and(|end| end <= block.end);
        if block.is_empty() || !inside {
            return Err(NoAddress);
        }
        let mut space = self.kernel.space.lock_anywhere();
        space.map_device_range(self.kernel, start, length).map_err(|_| NoAddress)
    }
}
