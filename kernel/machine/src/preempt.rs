//! Kernel preemption: off, on, wanted.
//!
//! A thread in the kernel can be made to give up its processor at any moment, except while its
//! interrupt level is at [`Pil::DISP`](crate::Pil::DISP) or above, or while it has turned preemption
//! off. Turning it off nests. The count belongs to the thread: a context switch saves it and brings
//! the next thread's.
//!
//! That preemption is *wanted* is bit [`Pil::PREEMPT`](crate::Pil::PREEMPT) of the processor's
//! pending levels. Whoever makes preemption possible again looks at the bit ([`check`]): the guard
//! here, the guard of the interrupt level, and the return from an interrupt.
//!
//! Solaris: `kpreempt_disable`, `kpreempt_enable`, `cpu_kprunrun`.

use crate::capability::{Atomic, MayFault};
use crate::{Cpu, Pil, backend};
use core::marker::PhantomData;

/// The bit of level 1 among the pending levels.
pub(crate) const LEVEL_BIT: u32 = 1 << Pil::PREEMPT.number();

/// Preemption turned off; dropping it turns it on again. Lends out [`Atomic`].
#[must_use = "preemption is turned on again when this is dropped"]
pub struct PreemptGuard<'a> {
    section: PhantomData<(&'a mut MayFault, *mut ())>,
}

/// Turns preemption off, from code that may fault (rule 4).
#[inline]
pub fn disable(may_fault: &mut MayFault) -> PreemptGuard<'_> {
    let _ = may_fault;
    backend::probe_stack();
    disable_anywhere()
}

/// Turns preemption off wherever the caller comes from (rule 5). There is no way in for rule 3:
/// whoever holds an [`Atomic`] already is where this leads.
#[inline]
pub fn disable_anywhere<'a>() -> PreemptGuard<'a> {
    backend::add_preempt_off(1);
    backend::compiler_barrier();
    PreemptGuard { section: PhantomData }
}

impl PreemptGuard<'_> {
    /// A guard for a turning-off that has happened already, such as that of a new context.
    ///
    /// # Safety
    ///
    /// The count is at least 1, and nobody else will turn preemption on for that 1.
    pub unsafe fn adopt<'a>() -> PreemptGuard<'a> {
        PreemptGuard { section: PhantomData }
    }

    /// What holds while preemption is off: the caller stays on its processor, unless it sleeps,
    /// for which it would need the `MayFault` that the guard borrows.
    #[inline]
    pub fn atomic(&self) -> &Atomic {
        // SAFETY: nobody preempts this thread while the count is above 0, and it cannot sleep.
        unsafe { Atomic::assume() }
    }
}

impl Drop for PreemptGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        backend::compiler_barrier();
        backend::add_preempt_off(-1);
        check();
    }
}

/// Asks for the preemption of whatever runs on the current processor. It happens as soon as it is
/// possible.
pub fn want(atomic: &Atomic) {
    let _ = atomic;
    backend::set_pending(LEVEL_BIT);
}

/// Whether preemption of the current processor is wanted.
pub fn is_wanted(atomic: &Atomic) -> bool {
    Cpu::current(atomic).pending.levels.get() & LEVEL_BIT != 0
}

/// Takes back the wish. The dispatcher does so when it has chosen anew.
pub fn clear(atomic: &Atomic) {
    let _ = atomic;
    backend::clear_pending(LEVEL_BIT);
}

/// Preempts the caller if that is wanted and possible.
#[inline]
pub fn check() {
    if backend::pending_levels() & LEVEL_BIT != 0 {
        preempt();
    }
}

/// The slow half of [`check`]: asks whether it is possible and calls the hook, again as long as
/// preemption is wanted.
#[cold]
fn preempt() {
    while is_possible() && backend::pending_levels() & LEVEL_BIT != 0 {
        backend::current_system().hooks().preempt();
    }
}

/// Whether the caller could be preempted at this moment: level 0, preemption on, interrupts on.
pub fn is_possible() -> bool {
    backend::pil() == 0 && backend::preempt_off() == 0 && backend::interrupts_are_on()
}
