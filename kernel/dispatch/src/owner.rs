//! Hooks of a thread: how the layer above (LWPs, activations) hears what the dispatcher
//! does with it.

use crate::thread::Thread;
use machine::{Atomic, MayFault};

/// What a thread spends its time on. Microstate accounting adds up the time in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Microstate {
    /// It has a processor.
    Running,
    /// It waits for a processor.
    WaitCpu,
    /// It sleeps.
    Sleep,
    /// It is stopped.
    Stopped,
}

/// The owner of a thread: an LWP, for example. Every call comes on the thread's own behalf, at most
/// one at a time per thread.
pub trait ThreadOwner: Sync {
    /// The thread, which runs, is about to sleep or to stop and has not published it yet: no
    /// dispatcher lock is held and the thread can still do whatever it likes but sleep.
    fn before_sleep(&self, thread: &'static Thread) {
        let _ = thread;
    }

    /// The thread has been put to sleep and is about to give up its processor; it still stands on its stack, and may
    /// have been woken by now. At `DISP_LEVEL`, with no dispatcher lock held: another thread may be woken.
    fn sleeps(&self, thread: &'static Thread, atomic: &Atomic) {
        let _ = (thread, atomic);
    }

    /// The thread has slept and runs again; it may do whatever it likes but sleep.
    fn after_wake(&self, thread: &'static Thread) {
        let _ = thread;
    }

    /// The current processor is about to leave the thread's stack: what the processor has of it is
    /// to be saved. At `DISP_LEVEL`.
    fn leaves_processor(&self, thread: &'static Thread, atomic: &Atomic) {
        let _ = (thread, atomic);
    }

    /// The current processor has come to the thread's stack: what it needs is to be loaded. At
    /// `DISP_LEVEL`.
    fn enters_processor(&self, thread: &'static Thread, atomic: &Atomic) {
        let _ = (thread, atomic);
    }

    /// The thread is about to return to user mode and was asked to do something first
    /// ([`crate::thread::asynchronous::OWNER`]).
    fn asynchronous(&self, thread: &'static Thread, may_fault: &mut MayFault) {
        let _ = (thread, may_fault);
    }

    /// Its microstate changes, at this time (in ticks). At `DISP_LEVEL`, on the processor
    /// that changes it.
    fn microstate(&self, thread: &'static Thread, state: Microstate, now: u64) {
        let _ = (thread, state, now);
    }

    /// The thread is over, and its object will be another's. It does not run any longer.
    fn over(&self, thread: &'static Thread) {
        let _ = thread;
    }
}
