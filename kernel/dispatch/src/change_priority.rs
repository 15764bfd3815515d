//! Changing a thread's priority, whatever the thread is doing.
//!
//! | state | what else has to change |
//! |---|---|
//! | running | what its processor says that it runs; if lowered, perhaps the choice |
//! | runnable | its place: it goes out of its queue, and into the one that is right now |
//! | asleep, in order of priority | its place among those who sleep there |
//! | everything else | nothing |
//!
//! A thread has two priorities, its own and what it inherits; the higher counts
//! ([`Thread::dispatch_priority`]). Either is changed here, with the thread locked.
//!
//! Solaris: `thread_change_pri`, `thread_change_epri`.

use crate::binding::is_processors_own;
use crate::disp_lock::LockClass;
use crate::enqueue;
use crate::priority::Priority;
use crate::priority_inheritance as inheritance;
use crate::resched;
use crate::run_queue::End;
use crate::sleep_queue;
use crate::thread::{State, Thread};
use crate::thread_lock::{self, ThreadGuard};
use crate::turnstile::sleeps_in_turnstile;
use atomics::{Ordering, fence};
use machine::{Pil, pil};

/// Changes a priority of a locked thread. If it is runnable it goes to this end of its new queue,
/// and is unlocked when this returns; otherwise it still is locked.
pub(crate) fn change_priority<'a>(
    guard: ThreadGuard<'a>,
    end: End,
    change: impl FnOnce(&Thread),
) -> Option<ThreadGuard<'a>> {
    // Out of its queue with the priority with which it went in. Nobody else can lock it until it is in its new one.
    let mut guard = match guard.take_from_queue() {
        Ok(transit) => {
            change(transit.thread());
            enqueue::enqueue(transit, end);
            return None;
        }
        Err(guard) => guard,
    };
    match guard.state() {
        State::OnProcessor => change_running(&guard, change),
        State::Sleep if guard.lock().class() != LockClass::Shuttle => {
            sleep_queue::requeue(&mut guard, change);
        }
        _ => change(guard.thread()),
    }
    Some(guard)
}

fn change_running(guard: &ThreadGuard<'_>, change: impl FnOnce(&Thread)) {
    let thread = guard.thread();
    let before = thread.dispatch_priority();
    change(thread);
    let after = thread.dispatch_priority();
    let cpu = thread.cpu();
    // Not so if it is an interrupt thread, or pinned by one. The processor itself changes this only
    // after it has locked the thread, to take it off.
    if cpu.dispatch_thread.is(thread, Ordering::Relaxed) {
        cpu.dispatch_priority.store(after);
    }
    if after < before {
        // Whoever puts a thread into a queue, *fence*, looks at what the processor runs: it has
        // seen the lower priority, or we see its thread.
        fence(Ordering::SeqCst);
        resched::surrender(guard);
    }
}

/// Changes a thread's own priority, without asking its class: for the kernel's own threads. What a
/// user asks for goes through [`crate::class::set`]. Says whether there was anything to change: not
/// if the thread is over.
///
/// If it is runnable and gains, it goes behind its new equals; if it loses, before them.
///
/// Panics for a priority that no such thread has: none, or an interrupt's; and for a thread that belongs to
/// its processor.
pub fn set_priority(thread: &'static Thread, priority: Priority) -> bool {
    let is_one = (Priority::MIN..=Priority::REAL_TIME_MAX).contains(&priority);
    let end = if priority > thread.own_priority() { End::Back } else { End::Front };
    let changed = if is_one {
        change_own(thread, end, |thread| thread.priority.store(priority))
    } else {
        Changed::NotItsOwn
    };
    assert!(changed != Changed::NotItsOwn, "{thread:?} does not get {priority:?}");
    changed == Changed::Yes
}

/// What has become of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// It was made.
    Yes,
    /// The thread is over.
    IsOver,
    /// The thread belongs to its processor.
    NotItsOwn,
}

/// Changes what a thread's own priority depends on. If it waits for a lock and gains, so do those
/// who are in its way.
pub(crate) fn change_own(
    thread: &'static Thread,
    end: End,
    change: impl FnOnce(&Thread),
) -> Changed {
    let level = pil::raise_anywhere(Pil::DISP);
    let Some(guard) = thread_lock::lock_if_alive(thread, level.atomic()) else {
        return Changed::IsOver;
    };
    // Under its lock: before, its object may have been another thread's.
    if is_processors_own(thread) {
        return Changed::NotItsOwn;
    }
    match change_priority(guard, end, change) {
        Some(guard) if sleeps_in_turnstile(&guard) => inheritance::will(guard),
        _ => {}
    }
    Changed::Yes
}
