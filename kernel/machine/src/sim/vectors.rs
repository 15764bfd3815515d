//! Copying and emptying frames with the vector unit, as far as others can see it: it takes a while, in which interrupts
//! come.

use crate::Cpu;
use crate::Pil;

/// Every thread's are, as on the real machine those of all that have a user mode.
pub(crate) fn are_saved_with_thread() -> bool {
    Pil::current() == Pil::NONE
}

/// Copies a frame.
///
/// # Safety
///
/// None of its own; see the real machine's.
pub(crate) unsafe fn copy(cpu: &Cpu, from: u64, to: u64) {
    super::interrupt_point();
    cpu.system().backend.memory.copy(from, to);
    super::interrupt_point();
}

/// Fills a frame with zeros.
///
/// # Safety
///
/// None of its own.
pub(crate) unsafe fn clear(cpu: &Cpu, frame: u64) {
    super::interrupt_point();
    cpu.system().backend.memory.clear(frame);
    super::interrupt_point();
}
