//! Taking interrupts: the interrupt flag, what the controller holds, interrupt points, halting.
//!
//! An interrupt that is let through goes to `pil::arrive`, the kernel's own code, which runs its
//! handler or holds it back. Handlers run with the flag off, so they are not interrupted; when they
//! are done the thread may be preempted, as on the return from a real interrupt.

use super::baton::{current_cpu, holds_cpu};
use crate::capability::Atomic;
use crate::cpu::Private;
use crate::{Cpu, Pil, pil, preempt};
use core::sync::atomic::AtomicU8;

/// A processor's interrupt flag and what its controller holds. Both are the processor's own.
pub(crate) struct Interrupts {
    off: Private<AtomicU8>,
    /// Wires at or below this level are not let through.
    held: Private<AtomicU8>,
}

impl Interrupts {
    pub(crate) fn new() -> Interrupts {
        Interrupts { off: Private::<AtomicU8>::new(0), held: Private::<AtomicU8>::new(0) }
    }

    pub(crate) fn are_on(&self) -> bool {
        self.off.get() == 0
    }

    pub(crate) fn set(&self, on: bool) {
        self.off.set(u8::from(!on));
    }

    fn held(&self) -> Pil {
        Pil::new(self.held.get())
    }
}

/// Whether the current processor's interrupt flag is on.
pub fn interrupts_are_on() -> bool {
    current_cpu().backend.interrupts.are_on()
}

/// The level at and below which the controller of a processor lets nothing through.
pub fn held(cpu: &Cpu) -> Pil {
    cpu.backend.interrupts.held()
}

/// Makes the controller of a processor, the current one, hold this level and those below.
pub fn hold(cpu: &Cpu, level: Pil) {
    cpu.backend.interrupts.held.set(level.number());
}

/// Raises an interrupt: line `line` of a level of a processor. Any thread may.
pub fn interrupt(cpu: &Cpu, level: Pil, line: u8) {
    assert!(level >= Pil::DEVICE_MIN && line < 16, "no device has level {level:?}, line {line}");
    cpu.backend.wires.raise(level, line);
}

/// Raises an interrupt of the kernel's own.
pub(crate) fn send(cpu: &Cpu, level: Pil, line: u8) {
    cpu.backend.wires.raise(level, line);
}

/// Runs `section` with the interrupt flag off; before turning it off and after turning it on again is
/// an interrupt point.
pub fn without_interrupts<R>(section: impl FnOnce(&Atomic) -> R) -> R {
    let were_on = interrupts_are_on();
    if were_on {
        interrupt_point();
    }
    // Only now: the thread may have been preempted, and moved here.
    current_cpu().backend.interrupts.set(false);
    // SAFETY: without interrupts nobody preempts or moves this thread.
    let result = section(unsafe { Atomic::assume() });
    if were_on {
        // The section may have switched, and come back elsewhere.
        current_cpu().backend.interrupts.set(true);
        interrupt_point();
    }
    result
}

/// Takes the interrupts of the current processor that are let through, if there are any and the flag
/// is on. A thread without a processor has none to take; one that panics has other worries.
pub fn interrupt_point() {
    if !holds_cpu() || !interrupts_are_on() || std::thread::panicking() {
        return;
    }
    if take_interrupts(current_cpu()) {
        preempt::check();
    }
}

/// Takes all interrupts that are let through, with the flag off meanwhile. Returns whether there
/// were any.
fn take_interrupts(cpu: &Cpu) -> bool {
    let interrupts = &cpu.backend.interrupts;
    interrupts.set(false);
    let mut any = false;
    while let Some((level, line)) = cpu.backend.wires.take(interrupts.held()) {
        any = true;
        // SAFETY: without interrupts nobody preempts or moves this thread.
        pil::arrive(cpu, unsafe { Atomic::assume() }, level, line);
    }
    interrupts.set(true);
    any
}

/// Halts the current processor until an interrupt comes that is let through, unless there is work.
/// The flag is off from before the look until the halt.
pub fn halt_unless(is_there_work: impl FnOnce(&Atomic) -> bool) {
    without_interrupts(|atomic| {
        if !is_there_work(atomic) {
            let cpu = Cpu::current(atomic);
            cpu.backend.wires.wait(held(cpu), cpu.index());
        }
    });
}
