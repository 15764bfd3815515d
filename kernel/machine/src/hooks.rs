//! What the machine calls upwards. The layer that owns the [`System`](crate::System) implements
//! [`Hooks`] once; tests implement it for themselves.

use crate::capability::Atomic;
use crate::{Cpu, Pil, poke, shoot_down, time};

/// What happens on a processor. Every call but [`Hooks::preempt`] comes from an interrupt: on a
/// populated stack, hardware interrupts off, the interrupt level at the interrupt's own.
///
/// Calls for levels up to [`Pil::LOCK`] come on the interrupted thread's own kernel stack, the
/// interrupt acknowledged already. They may [`switch`](crate::switch()) to another context, such as
/// that of an interrupt thread, which may turn interrupts on, lower the level to the interrupt's own
/// and take its time. The interrupted thread is then *pinned*: whoever switches back to it does so
/// on the same processor, and the call returns with the level as it came. The interrupted code may
/// have preemption off.
///
/// Calls for higher levels may come on a stack that the next interrupt overwrites, and must not
/// switch.
pub trait Hooks: Sync {
    /// A device's interrupt: the `line`th of its level. May switch if the level is up to
    /// [`Pil::LOCK`].
    fn interrupt(&self, cpu: &Cpu, atomic: &Atomic, level: Pil, line: u8);

    /// Another processor has poked this one ([`crate::poke`]).
    fn poked(&self, cpu: &Cpu, atomic: &Atomic);

    /// The one-shot timer has run out ([`crate::time`]). May switch.
    fn timer(&self, cpu: &Cpu, atomic: &Atomic);

    /// The current thread is to give up the processor. Called on the thread's own stack, with
    /// interrupts on and at level 0. Must take back the wish ([`crate::preempt::clear`]) or keep
    /// being called.
    fn preempt(&self);
}

/// Runs the handler of an interrupt; called by the backends.
pub(crate) fn deliver(cpu: &Cpu, atomic: &Atomic, level: Pil, line: u8) {
    if (level, line) == (poke::LEVEL, poke::LINE) {
        poke::received(cpu, atomic);
    } else if (level, line) == (shoot_down::LEVEL, shoot_down::LINE) {
        shoot_down::received(cpu);
    } else if (level, line) == (time::TIMER_LEVEL, time::TIMER_LINE) {
        cpu.system().hooks().timer(cpu, atomic);
    } else {
        cpu.system().hooks().interrupt(cpu, atomic, level, line);
    }
}
