//! The I/O APIC: which device's interrupt goes to which processor, at which vector.

use super::firmware::{IoApicEntry, Line};

/// Register numbers.
const VERSION: u32 = 1;
const REDIRECTION: u32 = 0x10;

const ACTIVE_LOW: u64 = 1 << 13;
const LEVEL_TRIGGERED: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;

/// One I/O APIC, its registers mapped.
pub struct IoApic {
    base: u64,
    /// The first global interrupt number that it serves.
    first: u32,
    count: u32,
}

impl IoApic {
    /// The controller at this mapping, with every line masked.
    ///
    /// # Safety
    ///
    /// `mapped` is a mapping of the entry's registers that is not cached; nobody else uses them.
    pub unsafe fn new(entry: IoApicEntry, mapped: u64) -> IoApic {
        let mut controller = IoApic { base: mapped, first: entry.first_interrupt, count: 0 };
        controller.count = (controller.read(VERSION) >> 16 & 0xff) + 1;
        for line in 0..controller.count {
            controller.write_redirection(line, MASKED);
        }
        controller
    }

    fn select(&self, register: u32) {
        // SAFETY: `new` was given a mapping of the registers.
        unsafe { (self.base as *mut u32).write_volatile(register) };
    }

    fn read(&self, register: u32) -> u32 {
        self.select(register);
        // SAFETY: `new` was given a mapping of the registers.
        unsafe { ((self.base + 0x10) as *const u32).read_volatile() }
    }

    fn write(&self, register: u32, value: u32) {
        self.select(register);
        // SAFETY: `new` was given a mapping of the registers.
        unsafe { ((self.base + 0x10) as *mut u32).write_volatile(value) };
    }

    fn write_redirection(&self, line: u32, entry: u64) {
        // The half with the mask first when masking, last when unmasking: no half-made entry is
        // ever live.
        let register = REDIRECTION + 2 * line;
        self.write(register, MASKED as u32);
        self.write(register + 1, (entry >> 32) as u32);
        self.write(register, entry as u32);
    }

    /// Sends a device's interrupt to a processor. Says whether the line is this controller's.
    pub fn route(&mut self, line: Line, vector: u8, apic_id: u32) -> bool {
        let Some(number) = line.interrupt.checked_sub(self.first).filter(|&n| n < self.count)
        else {
            return false;
        };
        let mut entry = u64::from(vector) | u64::from(apic_id & 0xff) << 56;
        if line.active_low {
            entry |= ACTIVE_LOW;
        }
        if line.level_triggered {
            entry |= LEVEL_TRIGGERED;
        }
        self.write_redirection(number, entry);
        true
    }
}
