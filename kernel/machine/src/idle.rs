//! Nothing to do: halting a processor until an interrupt comes, without losing a wake-up.
//!
//! The look at the work and the halt are one step as far as interrupts are concerned: they are off
//! from the look on and come on again together with the halt. So an interrupt that announces work
//! after the look ends the halt. What the look has to see is the business of whoever announces:
//! leave the work in memory first, then [`poke`](crate::poke::poke).

use crate::tracing::emit;
use crate::{Atomic, MayFault, backend};
use ::trace::{EventId, Kind};

/// Halts the current processor until an interrupt has been handled, unless `is_there_work` says
/// that there is work; then it returns at once. Also returns without a reason.
pub fn halt_unless(may_fault: &mut MayFault, is_there_work: impl FnOnce(&Atomic) -> bool) {
    let _ = may_fault;
    let begin = emit(Kind::IdleBegin, 0, EventId::NONE);
    backend::halt_unless(is_there_work);
    emit(Kind::IdleEnd, 0, begin);
}
