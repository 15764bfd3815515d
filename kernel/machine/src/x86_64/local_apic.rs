//! The local APIC: acknowledging interrupts, sending them, the timer.
//!
//! The memory-mapped form (xAPIC) is the tested one; where the processor has x2APIC, the same
//! registers are model-specific registers and nothing else differs.

use super::private::{read_msr, without_interrupts, write_msr};
use super::trap::SPURIOUS;
use core::sync::atomic::{AtomicU64, Ordering};

const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const END_OF_INTERRUPT: u32 = 0xb0;
const SPURIOUS_VECTOR: u32 = 0xf0;
const COMMAND_LOW: u32 = 0x300;
const COMMAND_HIGH: u32 = 0x310;
const TIMER_VECTOR: u32 = 0x320;
const LINT0: u32 = 0x350;
const LINT1: u32 = 0x360;
const ERROR_VECTOR: u32 = 0x370;
const TIMER_INITIAL: u32 = 0x380;
const TIMER_CURRENT: u32 = 0x390;
const TIMER_DIVIDE: u32 = 0x3e0;

const MASKED: u32 = 1 << 16;
const NON_MASKABLE: u32 = 4 << 8;
const DELIVERY_PENDING: u32 = 1 << 12;
const ASSERT: u32 = 1 << 14;

/// Physical address of the registers unless the firmware says otherwise.
pub const DEFAULT_ADDRESS: u64 = 0xfee0_0000;

const MSR_APIC_BASE: u32 = 0x1b;
const APIC_ENABLE: u64 = 1 << 11;
const X2APIC_ENABLE: u64 = 1 << 10;

/// The way to the local APIC of whichever processor asks.
pub struct LocalApic {
    /// Address of the registers; [`REGISTERS`] for x2APIC; 0 before the first is enabled.
    base: AtomicU64,
}

/// Stands for "model-specific registers" in [`LocalApic::base`].
const REGISTERS: u64 = 1;

impl LocalApic {
    pub(crate) fn new() -> LocalApic {
        LocalApic { base: AtomicU64::new(0) }
    }

    /// Says how the registers are reached: mapped at an address, or, for `None`, as x2APIC.
    ///
    /// # Safety
    ///
    /// The address is a mapping of the registers that is not cached; or the processors have x2APIC.
    pub unsafe fn set_access(&self, mapped: Option<u64>) {
        self.base.store(mapped.unwrap_or(REGISTERS), Ordering::Relaxed);
    }

    fn read(&self, register: u32) -> u32 {
        match self.base.load(Ordering::Relaxed) {
            0 => panic!("the local APIC is used before it is there"),
            // SAFETY: x2APIC is on; the register is one of the constants above.
            REGISTERS => unsafe { read_msr(0x800 + (register >> 4)) as u32 },
            // SAFETY: `set_access` was given a mapping of the registers.
            base => unsafe { ((base + u64::from(register)) as *const u32).read_volatile() },
        }
    }

    fn write(&self, register: u32, value: u32) {
        match self.base.load(Ordering::Relaxed) {
            0 => panic!("the local APIC is used before it is there"),
            // SAFETY: x2APIC is on; the register is one of the constants above.
            REGISTERS => unsafe { write_msr(0x800 + (register >> 4), u64::from(value)) },
            // SAFETY: `set_access` was given a mapping of the registers.
            base => unsafe { ((base + u64::from(register)) as *mut u32).write_volatile(value) },
        }
    }

    /// Turns the current processor's local APIC on, everything but interrupts from others masked.
    pub fn enable(&self) {
        let mode = match self.base.load(Ordering::Relaxed) {
            REGISTERS => APIC_ENABLE | X2APIC_ENABLE,
            _ => APIC_ENABLE,
        };
        // SAFETY: the register exists wherever there is a local APIC.
        let base = unsafe { read_msr(MSR_APIC_BASE) };
        // SAFETY: turns it on, in the mode in which it will be used.
        unsafe { write_msr(MSR_APIC_BASE, base | mode) };
        for register in [TIMER_VECTOR, LINT0, LINT1, ERROR_VECTOR] {
            self.write(register, MASKED);
        }
        self.write(TASK_PRIORITY, 0);
        const SOFTWARE_ENABLE: u32 = 1 << 8;
        self.write(SPURIOUS_VECTOR, SOFTWARE_ENABLE | u32::from(SPURIOUS));
    }

    /// The current processor's APIC identifier.
    pub fn id(&self) -> u32 {
        match self.base.load(Ordering::Relaxed) {
            REGISTERS => self.read(ID),
            _ => self.read(ID) >> 24,
        }
    }

    /// Tells the controller that the interrupt in service with the highest priority is over.
    #[inline]
    pub fn acknowledge(&self) {
        self.write(END_OF_INTERRUPT, 0);
    }

    fn command(&self, to: u32, command: u32) {
        // What was written before is seen by whoever takes the interrupt. The memory-mapped form
        // needs nothing, as its register is uncached; a write to a model-specific register is not
        // ordered behind earlier stores.
        // SAFETY: orders memory, changes nothing.
        unsafe { core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags)) };
        if self.base.load(Ordering::Relaxed) == REGISTERS {
            // SAFETY: x2APIC is on.
            unsafe { write_msr(0x830, u64::from(to) << 32 | u64::from(command)) };
            return;
        }
        // Two registers and a busy bit: an interrupt's handler must not come between.
        without_interrupts(|_| {
            self.write(COMMAND_HIGH, to << 24);
            self.write(COMMAND_LOW, command);
            while self.read(COMMAND_LOW) & DELIVERY_PENDING != 0 {
                core::hint::spin_loop();
            }
        });
    }

    /// Sends an interrupt to the processor with this APIC identifier.
    pub fn send(&self, to: u32, vector: u8) {
        self.command(to, ASSERT | u32::from(vector));
    }

    /// Sends an NMI.
    pub fn send_non_maskable(&self, to: u32) {
        self.command(to, ASSERT | NON_MASKABLE);
    }

    /// Sends INIT: the processor waits for a start-up interrupt.
    pub(crate) fn send_init(&self, to: u32) {
        const INIT: u32 = 5 << 8;
        self.command(to, ASSERT | INIT);
    }

    /// Sends a start-up interrupt: the processor starts in real mode at `page * 4096`.
    pub(crate) fn send_start(&self, to: u32, page: u8) {
        const START_UP: u32 = 6 << 8;
        self.command(to, ASSERT | START_UP | u32::from(page));
    }

    /// Starts the current processor's timer, undivided: one interrupt when `count` has run down.
    /// 0 stops it.
    pub(crate) fn start_timer(&self, vector: Option<u8>, count: u32) {
        const DIVIDE_BY_1: u32 = 0b1011;
        self.write(TIMER_VECTOR, vector.map_or(MASKED, u32::from));
        self.write(TIMER_DIVIDE, DIVIDE_BY_1);
        self.write(TIMER_INITIAL, count);
    }

    /// What is left of the timer's count.
    pub(crate) fn timer_count(&self) -> u32 {
        self.read(TIMER_CURRENT)
    }
}
