//! A thread of a test has failed: what the others do about it.
//!
//! A thread may spin until another does something. If the other has panicked, that never happens,
//! and as the test waits for all its threads, it would never end. So a thread that unwinds says so,
//! and the others stop at their next interrupt point, of which every spin loop has one.
//!
//! The threads of contexts cannot unwind: what they run is called from assembly on the real machine.
//! They stay where they are. Whoever waits for a processor or an interrupt gives up after a while by
//! itself (`super::flavour`).
//!
//! With plain threads only: loom and shuttle end a run as soon as a thread of it panics.

use super::baton::is_context;
use crate::System;
use core::any::Any;
use core::sync::atomic::{AtomicBool, Ordering};

/// What a thread says that stops because another has failed.
const STOPPED: &str = "another thread of this test has failed";

/// Whether a thread of a system has failed. Bookkeeping only, so the host's atomic.
pub(crate) struct Failure(AtomicBool);

impl Failure {
    pub(crate) fn new() -> Failure {
        Failure(AtomicBool::new(false))
    }

    /// Whether a thread has panicked because another has failed.
    pub(crate) fn has_stopped(panic: &(dyn Any + Send)) -> bool {
        panic.downcast_ref::<&str>() == Some(&STOPPED)
    }

    /// Stops the calling thread, one of the system's, if another has failed.
    pub(crate) fn stop_if_failed(&self) {
        if cfg!(any(feature = "loom", feature = "shuttle")) || !self.0.load(Ordering::Relaxed) {
            return;
        }
        if !is_context() {
            std::panic::panic_any(STOPPED);
        }
        loop {
            std::thread::park();
        }
    }
}

/// Notes that a thread of this system has failed, if it unwinds past this.
pub(crate) struct NoteFailure(pub(crate) &'static System);

impl Drop for NoteFailure {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.backend.failure.0.store(true, Ordering::Relaxed);
        }
    }
}
