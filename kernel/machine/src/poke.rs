//! Making another processor look: the poke.
//!
//! A poke is an interrupt from one processor to another, at the dispatcher's level. It carries
//! nothing: whoever pokes has left its message in memory first, and the poked processor looks at
//! everything that it might be about. Pokes that arrive while one is held back are one.
//!
//! Solaris: `poke_cpu`.

use crate::capability::Atomic;
use crate::tracing::emit;
use crate::{Cpu, Pil, backend};
use ::trace::{EventId, Kind};

/// The level of a poke.
pub const LEVEL: Pil = Pil::DISP;

/// The line of a poke within its level.
pub const LINE: u8 = 0;

/// Pokes a processor; the caller's own is allowed. What the caller has written before is seen by
/// the poked processor's hook. Does not wait.
pub fn poke(cpu: &Cpu) {
    cpu.tracing.announce_poke(emit(Kind::PokeSent, cpu.index() as u64, EventId::NONE));
    backend::send(cpu, LEVEL, LINE);
}

/// The poke's handler, called by the backends.
pub(crate) fn received(cpu: &Cpu, atomic: &Atomic) {
    cpu.pokes.fetch_add(1, atomics::Ordering::Relaxed);
    emit(Kind::PokeReceived, 0, cpu.tracing.announced_poke());
    cpu.system().hooks().poked(cpu, atomic);
}
