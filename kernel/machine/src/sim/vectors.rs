//! Copying and emptying frames with the vector unit, as far as others can see it: it takes a while, in which interrupts
//! come; and what somebody has put away must be there still when it is taken back. What is put away is a number here,
//! another one each time.

use crate::Cpu;
use crate::Pil;
use core::sync::atomic::{AtomicU64, Ordering};

/// Every thread's are, as on the real machine those of all that have a user mode.
pub(crate) fn are_saved_with_thread() -> bool {
    Pil::current() == Pil::NONE
}

/// Interrupts come, and the thread may be preempted.
fn interrupts_come() {
    super::interrupt_point();
    drop(crate::preempt::disable_anywhere());
}

/// Does something with registers that have been put away, and takes them back.
fn with_registers(cpu: &Cpu, act: impl FnOnce()) {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    cpu.backend.put_away.store(number, Ordering::Relaxed);
    interrupts_come();
    act();
    interrupts_come();
    assert!(
        cpu.backend.put_away.load(Ordering::Relaxed) == number || crate::is_unwinding(),
        "somebody else's registers are taken back"
    );
}

/// Copies a frame.
///
/// # Safety
///
/// None of its own; see the real machine's.
pub(crate) unsafe fn copy(cpu: &Cpu, from: u64, to: u64) {
    with_registers(cpu, || cpu.system().backend.memory.copy(from, to));
}

/// Fills a frame with zeros.
///
/// # Safety
///
/// None of its own.
pub(crate) unsafe fn clear(cpu: &Cpu, frame: u64) {
    with_registers(cpu, || cpu.system().backend.memory.clear(frame));
}
