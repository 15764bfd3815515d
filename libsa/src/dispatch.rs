//! What a virtual processor does next. Everything here is done in a critical section.

use crate::control::{ControlBlock, Threads, block, id_of};
use crate::line::{self, MARK};
use crate::pending;
use crate::processor::{Processor, here};
use crate::runtime::{self, Mode};
use crate::{switch, timeout};
use abi::activations::{SA_NONE, SaUpcall};
use abi::errno::Errno;
use core::arch::asm;
use core::sync::atomic::{Ordering, fence};
use scheduler::{Place, ThreadId};
use userland::clock;
use userland::system::raw;

/// A thread can run; it is in no list.
#[inline]
pub fn ready(thread: ThreadId, place: Place) {
    if runtime::mode() == Mode::Lwp {
        wake_lwp(block(thread));
        return;
    }
    let wake = runtime::scheduler().ready(here().number.get(), thread, place, &Threads);
    if let Some(number) = wake {
        wake_processor(number);
    }
}

/// A virtual processor idles, and is to begin.
#[cold]
pub fn wake_processor(number: usize) {
    here().count(runtime::WAKES);
    let woken = match runtime::mode() {
        // SAFETY: the call writes to no memory.
        Mode::Sa => unsafe { raw::sa_preempt(number as u32) },
        _ => {
            let lwp = crate::processor::PROCESSORS[number].lwp.load(Ordering::Relaxed);
            // SAFETY: likewise.
            unsafe { raw::lwp_unpark(lwp) }
        }
    };
    debug_assert!(woken.is_ok(), "virtual processor {number} is there: {woken:?}");
}

fn wake_lwp(thread: &ControlBlock) {
    thread.is_woken.store(1, Ordering::Release);
    // SAFETY: the call writes to no memory.
    let woken = unsafe { raw::lwp_unpark(thread.lwp.load(Ordering::Relaxed)) };
    // It may have seen the word before it slept, gone on, and ended.
    debug_assert!(
        matches!(woken, Ok(_) | Err(Errno::ESRCH)),
        "the LWP of a thread that waits: {woken:?}"
    );
}

/// The next thread to run here; or `None`: then this virtual processor counts as idle.
#[inline]
pub fn next(processor: &Processor) -> Option<&'static ControlBlock> {
    if runtime::mode() == Mode::Mux {
        timeout::look();
    }
    let next = runtime::scheduler().next(processor.number.get(), &Threads);
    if let Some(number) = next.wake {
        wake_processor(number);
    }
    next.thread.map(block)
}

/// The running thread leaves: somebody else goes on with it. In a critical section, the only one; returns outside of it.
#[inline]
pub fn leave(me: &ControlBlock) {
    if runtime::mode() == Mode::Lwp {
        line::leave();
        // Whoever wakes it may do so before; that is not lost. A signal's handler may end a sleep too.
        while me.is_woken.swap(0, Ordering::Acquire) == 0 {
            // SAFETY: no time.
            let _ = unsafe { raw::lwp_park(core::ptr::null()) };
        }
        return;
    }
    crate::save::drop_context(me);
    match next(here()) {
        // Somebody has made it ready before it was off its stack, and it came back here.
        Some(next) if core::ptr::eq(next, me) => line::leave(),
        // SAFETY: this is the running thread; the other one is nobody else's.
        Some(next) => unsafe { switch::switch(me, next) },
        // SAFETY: likewise.
        None => unsafe { switch::switch_to_nobody(me) },
    }
}

/// A virtual processor without a thread looks for one, and goes on with that; or idles. This stands on its stack for
/// idling.
pub fn go_on_with_anybody() -> ! {
    match next(here()) {
        // SAFETY: nobody else's.
        Some(next) => unsafe { switch::go_on(next) },
        None => idle(),
    }
}

/// The virtual processor has nothing to do; somebody may have put something off for it. It stands on its stack for
/// idling.
pub extern "C" fn idle() -> ! {
    // From here on an upcall that interrupts this throws it away.
    // SAFETY: a word of the line.
    unsafe { asm!("mov qword ptr fs:[{}], 0", const MARK, options(nostack)) };
    fence(Ordering::SeqCst);
    if line::word::<{ line::PENDING }>() == 0 {
        if runtime::mode() == Mode::Sa {
            // SAFETY: it comes back by an upcall only, which begins anew.
            let refused = unsafe { raw::sa_yield(SA_NONE) };
            panic!("sa_yield came back: {refused:?}");
        }
        sleep_until_woken();
    }
    line::enter();
    pending::do_all(here());
    runtime::scheduler().begins(here().number.get());
    go_on_with_anybody()
}

/// A virtual processor that the kernel tells nothing sleeps until it is woken, or the next deadline comes.
fn sleep_until_woken() {
    let left = timeout::earliest().map(|at| clock::span(at.saturating_sub(clock::nanoseconds())));
    let limit = left.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    // SAFETY: the time is there, if there is one.
    let _ = unsafe { raw::lwp_park(limit) };
}

/// The same after an upcall, whose stack goes back.
pub extern "C" fn idle_after(upcall: &SaUpcall) -> ! {
    pending::give_stack_back(upcall);
    idle()
}

/// The running thread lets others run.
pub fn yield_now() {
    if runtime::mode() == Mode::Lwp {
        userland::system::sched_yield();
        return;
    }
    line::enter();
    let me = line::running();
    // SAFETY: the running thread's.
    let me = unsafe { &*me };
    let processor = here();
    crate::save::drop_context(me);
    match runtime::scheduler().yields(processor.number.get(), id_of(me), &Threads) {
        None => line::leave(),
        // SAFETY: this is the running thread; the other one is nobody else's.
        Some(next) => unsafe { switch::switch(me, block(next)) },
    }
}
