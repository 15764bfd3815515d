//! Interrupt threads.

use crate::cpu::CpuDispatch;
use crate::thread::Thread;
use machine::Atomic;

/// What an interrupt thread has interrupted; part of the thread.
pub(crate) struct InterruptPart;

impl InterruptPart {
    pub(crate) fn new() -> InterruptPart {
        InterruptPart
    }
}

/// The interrupt threads of a processor.
pub(crate) struct Interrupts;

impl Interrupts {
    pub(crate) fn new() -> Interrupts {
        Interrupts
    }
}

/// The right of an interrupt's handler that runs as a thread: it may block.
pub struct InterruptContext {
    _not_send: core::marker::PhantomData<*mut ()>,
}

/// If the running thread is an interrupt thread that has pinned another, lets that one go on. Says so; then the
/// interrupt thread has been switched to again.
pub(crate) fn unpin(cpu: &'static CpuDispatch, thread: &'static Thread, atomic: &Atomic) -> bool {
    let _ = (cpu, thread, atomic);
    false
}
