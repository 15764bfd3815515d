//! Stopping a thread from outside, and letting it continue.
//!
//! | the thread | what [`stop`] does |
//! |---|---|
//! | waits for a processor | takes it from its queue: it is stopped at once |
//! | runs | asks it: it stops in the asynchronous work, on its way to user mode |
//! | sleeps in a wait queue | asks it: it is stopped instead of woken; the event is not lost |
//! | sleeps for a lock or on a door | asks it: it stops on its way to user mode, without the lock |
//!
//! The wish is a bit of the asynchronous word that is changed under the thread lock, so stop and
//! continue come one after the other. Stops do not nest: one continue undoes them all.
//!
//! A runnable thread is stopped wherever it is, perhaps in the kernel with a mutex held. Who stops
//! threads for a user asks those that are in user mode, or means what it does.
//!
//! Solaris: `thread_stop`, `stop_lock`, `TS_XSTART`.

use crate::Dispatch;
use crate::enqueue::set_runnable;
use crate::may_block::MayBlock;
use crate::run_queue::End;
use crate::sleep::{about_to_sleep, slept};
use crate::swtch::swtch;
use crate::thread::{State, Thread, asynchronous};
use crate::thread_lock::{self, InTransit};
use atomics::Ordering;
use machine::pil::{self, PilGuard};
use machine::{Pil, poke};

/// Stops a thread, or asks it to stop; see the module. Says whether it is stopped when this
/// returns. Who stops itself uses [`stop_self`].
pub fn stop(thread: &'static Thread) -> bool {
    let level = pil::raise_anywhere(Pil::DISP);
    let atomic = level.atomic();
    let Some(guard) = thread_lock::lock_if_alive(thread, atomic) else { return false };
    thread.ask(asynchronous::STOP);
    // One that was preempted while weakly bound would keep its processor on line for as long as it is
    // stopped.
    let guard = if thread.binding.weak.load(Ordering::Relaxed).is_none() {
        match guard.take_from_queue() {
            Ok(transit) => {
                instead_of_waking(transit);
                return true;
            }
            Err(guard) => guard,
        }
    } else {
        guard
    };
    let state = guard.state();
    if let Some(cpu) = guard.processor()
        && !cpu.is_here(atomic)
    {
        // It may be in user mode, where it would not look.
        poke::poke(cpu.cpu());
    }
    state == State::Stopped
}

/// The running thread stops, until somebody lets it continue.
pub fn stop_self(may_block: &mut impl MayBlock) {
    let thread = Thread::running();
    about_to_sleep(thread);
    leave(may_block.raise(), thread, true);
    slept(thread);
}

/// The running thread was asked to stop, and is on its way to user mode.
pub(crate) fn stop_as_asked() {
    let thread = Thread::running();
    about_to_sleep(thread);
    leave(pil::raise_anywhere(Pil::DISP), thread, false);
    slept(thread);
}

/// Stops the running thread, if it wants that itself or if it is still wanted by now.
fn leave(level: PilGuard<'_>, thread: &'static Thread, wants: bool) {
    let atomic = level.atomic();
    let me = thread_lock::lock(thread, atomic);
    if wants || is_asked(thread) {
        thread.ask(asynchronous::STOP);
        let held = Dispatch::of(atomic).stop_lock.enter_high(atomic);
        me.stop(&held);
        drop(held);
        swtch(level);
    }
}

/// Whether somebody wants the thread to be stopped. Asked by who holds its lock.
#[inline]
pub(crate) fn is_asked(thread: &Thread) -> bool {
    thread.asynchronous.load(Ordering::Relaxed) & asynchronous::STOP != 0
}

/// Stops a thread that would have become, or stayed, runnable.
pub(crate) fn instead_of_waking(transit: InTransit<'_>) {
    let atomic = transit.atomic();
    let held = Dispatch::of(atomic).stop_lock.enter_high(atomic);
    transit.into_stopped(&held);
}

/// Lets a thread continue; takes the wish back if it has not stopped yet. Says whether it was
/// stopped.
pub fn continue_thread(thread: &'static Thread) -> bool {
    let level = pil::raise_anywhere(Pil::DISP);
    let Some(guard) = thread_lock::lock_if_alive(thread, level.atomic()) else { return false };
    thread.asynchronous.fetch_and(!asynchronous::STOP, Ordering::Relaxed);
    if guard.state() != State::Stopped {
        return false;
    }
    set_runnable(guard.transition(), End::Back);
    true
}
