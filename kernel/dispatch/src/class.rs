//! Scheduling classes: what decides a thread's priority and its turn.

use crate::priority::Priority;
use crate::run_queue::End;
use crate::thread::Thread;
use crate::thread_lock::ThreadGuard;
use atomics::{AtomicU8, Ordering};

/// The classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Shares of time, decaying with use and boosted after sleep.
    TimeSharing,
    /// The kernel's own threads: fixed priority, no quantum.
    System,
    /// Fixed priority, above the kernel's own threads.
    RealTime,
    /// Interrupt threads.
    Interrupt,
}

/// What its class keeps in a thread.
pub(crate) struct ClassData {
    class: AtomicU8,
}

impl ClassData {
    pub(crate) fn new() -> ClassData {
        ClassData { class: AtomicU8::new(Class::System as u8) }
    }
}

/// A thread that nobody else knows enters a class.
pub(crate) fn enter(thread: &Thread, class: Class, priority: Priority) {
    thread.class.class.store(class as u8, Ordering::Relaxed);
    thread.priority.store(priority);
}

/// The running thread, locked, is preempted: at which end of its queue it goes in.
pub(crate) fn preempted(guard: &ThreadGuard<'_>) -> End {
    let _ = guard;
    End::Front
}

/// The running thread, locked, goes to sleep.
pub(crate) fn sleeps(guard: &ThreadGuard<'_>) {
    let _ = guard;
}

/// A thread that slept is made runnable: at which end of its queue it goes in. The caller holds its lock.
pub(crate) fn wakes(thread: &Thread) -> End {
    let _ = thread;
    End::Back
}
