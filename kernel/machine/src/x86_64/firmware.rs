//! Processors and interrupt routing, from the ACPI tables.
//!
//! Only the static tables are read (MADT, FADT, MCFG); the interpreter that ACPI's bytecode needs has no
//! place in a teaching kernel.

use super::paging;
use crate::System;
use crate::system::CPU_MAX;
use acpi::madt::Madt;
use acpi::mcfg::Mcfg;
use acpi::{AcpiHandler, AcpiTables, PhysicalMapping};
use core::ptr::NonNull;

/// Most I/O APICs that are looked at.
const IO_APIC_MAX: usize = 8;
/// The ISA interrupts, whose routing the firmware may override.
const ISA_LINES: usize = 16;

/// Why the tables cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFirmware {
    /// The root pointer or the tables behind it are damaged.
    Tables,
    /// There is no table of interrupt controllers.
    NoMadt,
    /// No processor is usable.
    NoProcessor,
}

/// An I/O APIC, as the firmware describes it.
#[derive(Clone, Copy, Debug)]
pub struct IoApicEntry {
    /// Physical address of the registers.
    pub address: u64,
    /// The first global interrupt number that it serves.
    pub first_interrupt: u32,
}

/// How a device's interrupt arrives.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Global interrupt number.
    pub interrupt: u32,
    /// Polarity.
    pub active_low: bool,
    /// Trigger mode.
    pub level_triggered: bool,
}

/// What the tables say.
pub struct Firmware {
    cpus: [u32; CPU_MAX],
    cpu_count: usize,
    io_apics: [Option<IoApicEntry>; IO_APIC_MAX],
    isa: [Line; ISA_LINES],
    /// Physical address of the local APICs' registers.
    pub local_apic: u64,
    /// Usable processors beyond [`CPU_MAX`], or with an identifier too large to start.
    pub cpus_left_out: usize,
    /// I/O port of the power-management timer.
    pub pm_timer: Option<u16>,
    /// Physical address of the configuration registers of the first PCI bus, and of the others behind it.
    pub pci_configuration: Option<u64>,
}

/// Reaches the tables through the mapping of physical memory.
#[derive(Clone)]
struct Mapped {
    system: &'static System,
}

impl AcpiHandler for Mapped {
    unsafe fn map_physical_region<T>(
        &self,
        physical: usize,
        size: usize,
    ) -> PhysicalMapping<Self, T> {
        let address = paging::physical::<T>(self.system, physical as u64);
        let end = address as u64 + size as u64;
        for page in (address as u64 & !0xfff..end).step_by(4096) {
            assert!(
                paging::is_present(self.system, page),
                "the ACPI tables point to {physical:#x}, where there is no memory"
            );
        }
        let address = NonNull::new(address).expect("physical memory is not mapped at 0");
        // SAFETY: the region is mapped for as long as the kernel runs.
        unsafe { PhysicalMapping::new(physical, address, size, size, self.clone()) }
    }

    fn unmap_physical_region<T>(_: &PhysicalMapping<Self, T>) {}
}

impl Firmware {
    /// Reads the tables.
    ///
    /// # Safety
    ///
    /// `root` is the physical address of the root pointer, and nobody writes to the tables' memory.
    pub unsafe fn read(system: &'static System, root: u64) -> Result<Firmware, BadFirmware> {
        let handler = Mapped { system };
        // SAFETY: the caller's promise.
        let tables = unsafe { AcpiTables::from_rsdp(handler, root as usize) }
            .map_err(|_| BadFirmware::Tables)?;
        let madt = tables.find_table::<Madt>().map_err(|_| BadFirmware::NoMadt)?;
        let mut firmware = Firmware {
            cpus: [0; CPU_MAX],
            cpu_count: 0,
            io_apics: [None; IO_APIC_MAX],
            isa: core::array::from_fn(|line| Line {
                interrupt: line as u32,
                active_low: false,
                level_triggered: false,
            }),
            local_apic: u64::from(madt.get().local_apic_address),
            cpus_left_out: 0,
            pm_timer: None,
            pci_configuration: None,
        };
        let length = (madt.region_length()).saturating_sub(size_of::<Madt>());
        let entries =
            (madt.virtual_start().as_ptr() as u64 + size_of::<Madt>() as u64) as *const u8;
        // SAFETY: the rest of the table, whose length and checksum the crate has checked.
        firmware.read_madt(unsafe { core::slice::from_raw_parts(entries, length) });
        if let Ok(fadt) = tables.find_table::<acpi::fadt::Fadt>() {
            firmware.pm_timer = fadt
                .pm_timer_block()
                .ok()
                .flatten()
                .filter(|block| block.address_space == acpi::address::AddressSpace::SystemIo)
                .map(|block| block.address as u16);
        }
        if let Ok(mcfg) = tables.find_table::<Mcfg>()
            && mcfg.region_length() >= size_of::<Mcfg>()
        {
            let first = mcfg
                .entries()
                .iter()
                .find(|entry| (entry.pci_segment_group, entry.bus_number_start) == (0, 0));
            firmware.pci_configuration = first.map(|entry| entry.base_address);
        }
        if firmware.cpu_count == 0 { Err(BadFirmware::NoProcessor) } else { Ok(firmware) }
    }

    /// Reads the entries of the table of interrupt controllers. Each says how long it is; one that is
    /// shorter than its kind, or longer than what is left, ends the reading.
    fn read_madt(&mut self, entries: &[u8]) {
        const ENABLED: u8 = 1 << 0;
        let mut rest = entries;
        let mut io_apic_count = 0;
        while let [kind, length, ..] = *rest {
            let Some(entry) = rest.get(..usize::from(length)).filter(|_| length >= 2) else {
                return;
            };
            rest = &rest[entry.len()..];
            match (kind, entry) {
                // Processor, APIC identifier, flags.
                (0, &[_, _, _, id, flags, _, _, _, ..]) if flags & ENABLED != 0 => {
                    self.add_cpu(u32::from(id));
                }
                // I/O APIC: identifier, reserved, address, first interrupt.
                (1, &[_, _, _, _, a, b, c, d, e, f, g, h, ..]) if io_apic_count < IO_APIC_MAX => {
                    self.io_apics[io_apic_count] = Some(IoApicEntry {
                        address: u64::from(u32::from_le_bytes([a, b, c, d])),
                        first_interrupt: u32::from_le_bytes([e, f, g, h]),
                    });
                    io_apic_count += 1;
                }
                // Override: bus, ISA line, interrupt, flags.
                (2, &[_, _, _, irq, a, b, c, d, flags, _, ..]) => {
                    if let Some(line) = self.isa.get_mut(usize::from(irq)) {
                        *line = Line {
                            interrupt: u32::from_le_bytes([a, b, c, d]),
                            active_low: flags & 0b11 == 0b11,
                            level_triggered: flags >> 2 & 0b11 == 0b11,
                        };
                    }
                }
                // Another address of the local APICs: reserved, address.
                (5, &[_, _, _, _, a, b, c, d, e, f, g, h, ..]) => {
                    self.local_apic = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
                }
                // Processor with a wide identifier: reserved, identifier, flags.
                (9, &[_, _, _, _, a, b, c, d, flags, _, _, _, ..]) if flags & ENABLED != 0 => {
                    self.add_cpu(u32::from_le_bytes([a, b, c, d]));
                }
                _ => {}
            }
        }
    }

    fn add_cpu(&mut self, apic_id: u32) {
        // 255 is the broadcast address; larger identifiers cannot be reached before x2APIC is on.
        if self.cpu_count == CPU_MAX || apic_id >= 255 {
            self.cpus_left_out += 1;
        } else if !self.cpus().contains(&apic_id) {
            self.cpus[self.cpu_count] = apic_id;
            self.cpu_count += 1;
        }
    }

    /// The APIC identifiers of the usable processors.
    pub fn cpus(&self) -> &[u32] {
        &self.cpus[..self.cpu_count]
    }

    /// The I/O APICs.
    pub fn io_apics(&self) -> impl Iterator<Item = IoApicEntry> + '_ {
        self.io_apics.iter().copied().flatten()
    }

    /// How an ISA device's interrupt arrives.
    pub fn isa_line(&self, irq: u8) -> Line {
        self.isa[usize::from(irq)]
    }
}
