//! Accesses of user mode: what a program does to its memory, on the current processor and through the
//! address space that the processor is in.
//!
//! An access is one instruction: interrupts come before it and after it, not within. That it goes through
//! a stale translation is not prevented: that is for whoever changes translations to see to.

use super::baton::current_cpu;
use super::interrupt_point;
use super::pmap::translate;
use atomics::{AtomicU64, Ordering};

pub use super::pmap::Fault;

fn access<R>(address: u64, write: bool, act: impl FnOnce(&AtomicU64) -> R) -> Result<R, Fault> {
    interrupt_point();
    let cpu = current_cpu();
    let result = translate(cpu, address, write)
        .map(|physical| act(&cpu.system().backend.memory.word(physical)));
    interrupt_point();
    result
}

/// Reads the word at an address, a multiple of 8.
pub fn load(address: u64) -> Result<u64, Fault> {
    access(address, false, |word| word.load(Ordering::Acquire))
}

/// Writes it.
pub fn store(address: u64, value: u64) -> Result<(), Fault> {
    access(address, true, |word| word.store(value, Ordering::Release))
}

/// Adds to it, in one step, and returns what was there.
pub fn fetch_add(address: u64, difference: u64) -> Result<u64, Fault> {
    access(address, true, |word| word.fetch_add(difference, Ordering::AcqRel))
}
