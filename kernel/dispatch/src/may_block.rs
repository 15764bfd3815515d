//! Who may block: a thread at level 0 that holds a [`MayFault`], and an interrupt thread, which
//! runs at its interrupt's level.

use crate::interrupt_thread::InterruptContext;
use machine::pil::{self, PilGuard};
use machine::{MayFault, Pil};

/// The right to give up the processor until something has come. Functions that may block take it by
/// mutable reference, so that no critical section can call them.
pub trait MayBlock {
    /// Raises the level to the dispatcher's, on the way to sleep or not.
    fn raise(&mut self) -> PilGuard<'_>;
}

impl MayBlock for MayFault {
    #[inline]
    fn raise(&mut self) -> PilGuard<'_> {
        pil::raise(Pil::DISP, self)
    }
}

impl MayBlock for InterruptContext {
    #[inline]
    fn raise(&mut self) -> PilGuard<'_> {
        // An interrupt thread's stack is populated: there is nothing to probe.
        pil::raise_anywhere(Pil::DISP)
    }
}
