//! MSI-X: interrupts that a device makes by writing to memory. No wire, no controller in between: the
//! address says which processor, the word which vector.
//!
//! A function has a table of such messages, of four words each, in one of its blocks of registers. A message can
//! be masked; one that is due meanwhile is sent when the mask goes.
//!
//! PCI Local Bus Specification 3.0, section 6.8.2; the message's format: Intel SDM volume 3, 11.11.

use super::{Blocks, NoAddress, Pci};
use virtio_drivers::transport::pci::bus::DeviceFunction;

const CAPABILITY: u8 = 0x11;
/// In the first word of the capability: the number of the table's last entry, and two switches.
const LAST_ENTRY: u32 = 0x7ff;
const FIRST_BITS: u32 = 16;
const ALL_MASKED: u32 = 1 << 30;
const ENABLED: u32 = 1 << 31;
/// In the second word: which block the table lies in; the rest is where.
const BLOCK: u32 = 0b111;

const ENTRY_BYTES: u64 = 16;
/// Words of an entry.
const ADDRESS_LOW: u64 = 0;
const ADDRESS_HIGH: u64 = 4;
const DATA: u64 = 8;
const CONTROL: u64 = 12;
const MASKED: u32 = 1 << 0;

/// Where writes become interrupts of the processor whose identifier is in bits 12 to 19.
const PROCESSORS: u32 = 0xfee0_0000;

/// A function's table of messages.
pub struct Msix {
    /// The capability's place.
    place: u8,
    /// Where it is mapped.
    table: u64,
    entries: u64,
}

/// The function cannot make such interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMessages;

impl From<NoAddress> for NoMessages {
    fn from(_: NoAddress) -> NoMessages {
        NoMessages
    }
}

impl Msix {
    /// The table of a function; its registers have addresses.
    pub fn find(pci: &Pci, function: DeviceFunction, blocks: &Blocks) -> Result<Msix, NoMessages> {
        let found = pci.root.capabilities(function).find(|it| it.id == CAPABILITY);
        let place = found.ok_or(NoMessages)?.offset;
        let entries = u64::from(pci.read(function, place) >> FIRST_BITS & LAST_ENTRY) + 1;
        let table = pci.read(function, place + 4);
        let start = u64::from(table & !BLOCK);
        let part = start..start + entries * ENTRY_BYTES;
        Ok(Msix { place, table: pci.map(blocks, (table & BLOCK) as u8, part)?, entries })
    }

    /// Makes the function interrupt by messages, all of them masked. It is turned on.
    pub fn enable(&self, pci: &mut Pci, function: DeviceFunction) {
        let control = pci.read(function, self.place);
        pci.write(function, self.place, control | ENABLED | ALL_MASKED);
        for entry in 0..self.entries {
            self.write(entry, CONTROL, MASKED);
        }
        pci.write(function, self.place, (control | ENABLED) & !ALL_MASKED);
    }

    /// Lets a message interrupt a processor at a vector; `masked` says whether for the time being not.
    pub fn route(
        &self,
        entry: u16,
        vector: u8,
        apic_id: u32,
        masked: bool,
    ) -> Result<(), NoMessages> {
        let entry = u64::from(entry);
        if entry >= self.entries || apic_id > 0xff {
            return Err(NoMessages);
        }
        self.write(entry, CONTROL, MASKED);
        self.write(entry, ADDRESS_LOW, PROCESSORS | apic_id << 12);
        self.write(entry, ADDRESS_HIGH, 0);
        // On an edge, to that processor: all other bits are 0.
        self.write(entry, DATA, u32::from(vector));
        self.write(entry, CONTROL, if masked { MASKED } else { 0 });
        Ok(())
    }

    fn write(&self, entry: u64, word: u64, value: u32) {
        let address = self.table + entry * ENTRY_BYTES + word;
        // SAFETY: a word of the table, which `find` has mapped, uncached; the callers see to the number.
        unsafe { (address as *mut u32).write_volatile(value) };
    }
}
