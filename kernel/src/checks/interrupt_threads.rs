//! A check of interrupt threads, on the machine: a handler that has to wait for what the interrupted thread holds
//! lets that go on, and comes back at once when it can.

use super::interrupts::{handled, interrupt_self_on_thread, shared};
use super::processors::wait_until;
use super::{Outcome, Run, Wrong, ensure};
use crate::console;
use crate::kernel::Kernel;
use core::sync::atomic::{AtomicU64, Ordering};
use dispatch::interrupt_thread::InterruptContext;
use dispatch::kernel_thread::{self, Attributes};
use dispatch::{CpuDispatch, Mutex, Priority, Thread};
use machine::{MayFault, Pil, time};

/// What an interrupt's handler has to wait for.
struct Wanted {
    mutex: Mutex<u64>,
    /// Handlers that have begun.
    begun: AtomicU64,
    /// Those that did not run as they should: on the level's own thread, at its level before and after.
    astray: AtomicU64,
}

/// What a thread that was interrupted has found out, as what it returns.
mod found {
    pub const GOOD: usize = 1;
    pub const NOT_COME: usize = 2;
    pub const DONE_TOO_EARLY: usize = 3;
    pub const NOTHING_INHERITED: usize = 4;
    pub const ANOTHER_THREAD: usize = 5;
    pub const NOT_AT_ONCE: usize = 6;
    pub const STILL_INHERITED: usize = 7;
    pub const NOT_BOTH: usize = 8;
}

/// Takes the mutex that the pinned thread holds, as any driver's handler may.
fn take_what_is_wanted(level: Pil, context: &mut InterruptContext) {
    let wanted = shared().subject.load(Ordering::Acquire);
    // SAFETY: the check keeps what it has left there until its handlers are done.
    let Some(wanted) = (unsafe { wanted.cast::<Wanted>().as_ref() }) else { return };
    let as_it_should =
        || Pil::current() == level && Thread::running().interrupt_level() == Some(level);
    let before = as_it_should();
    wanted.begun.fetch_add(1, Ordering::Release);
    *wanted.mutex.lock(context) += 1;
    if !(before && as_it_should()) {
        wanted.astray.fetch_add(1, Ordering::Relaxed);
    }
    handled().fetch_add(1, Ordering::Release);
}

pub fn interrupt_threads_may_block(run: &mut Run<'_>) -> Outcome {
    /// Runs bound to one processor, and interrupts that with the mutex held.
    fn hold(level: usize, may_fault: &mut MayFault) -> usize {
        let kernel = Kernel::current();
        let level = Pil::new(level as u8);
        let me = Thread::running();
        let own = me.cpu_index().and_then(|index| kernel.system.cpu(index));
        let own = own.expect("the own processor");
        let unpinned = || CpuDispatch::of(own).counts().unpinned.load(Ordering::Relaxed);
        // SAFETY: the check has left it there, and waits for this thread.
        let wanted = unsafe { &*shared().subject.load(Ordering::Acquire).cast::<Wanted>() };
        let (before, done) = (unpinned(), handled().load(Ordering::Acquire));
        let held = wanted.mutex.lock(may_fault);
        interrupt_self_on_thread(own, level);
        // It is the interrupted thread that finds out: it goes on, with the mutex.
        if !wait_until(kernel, || unpinned() > before) {
            return found::NOT_COME;
        }
        if handled().load(Ordering::Acquire) != done {
            return found::DONE_TOO_EARLY;
        }
        if me.dispatch_priority() != Priority::of_interrupt(level.number()) {
            return found::NOTHING_INHERITED;
        }
        // One more meanwhile: it is noted for the same thread, which pins nobody.
        interrupt_self_on_thread(own, level);
        kernel.spin_nanoseconds(100_000);
        if unpinned() != before + 1 {
            return found::ANOTHER_THREAD;
        }
        drop(held);
        // Nothing is more important than the interrupt's thread: it has the processor at once.
        if handled().load(Ordering::Acquire) == done {
            return found::NOT_AT_ONCE;
        }
        if me.dispatch_priority() != me.own_priority() {
            return found::STILL_INHERITED;
        }
        if !wait_until(kernel, || handled().load(Ordering::Acquire) == done + 2) {
            return found::NOT_BOTH;
        }
        found::GOOD
    }
    let kernel = run.kernel;
    let wanted =
        Wanted { mutex: Mutex::new(0), begun: AtomicU64::new(0), astray: AtomicU64::new(0) };
    shared().subject.store(core::ptr::from_ref(&wanted).cast_mut().cast(), Ordering::Release);
    shared().handlers.set_on_thread(Some(take_what_is_wanted));
    let mut expected = 0;
    for cpu in kernel.system.cpus() {
        // The clock's own thread, too, which has ticks and sleepers to see to when it is back.
        for level in [console::LEVEL, time::TIMER_LEVEL] {
            let attributes = Attributes::system("check").bound(CpuDispatch::of(cpu));
            let thread = kernel_thread::create(&attributes, hold, usize::from(level.number()));
            let Ok(thread) = thread else {
                return Err(Wrong::new(format_args!("no memory for a thread")));
            };
            let found = thread.join(run.may_fault);
            expected += 2;
            let begun = wanted.begun.load(Ordering::Acquire);
            let came = handled().load(Ordering::Acquire);
            ensure!(
                found == found::GOOD,
                "cpu {} level {level:?}: finding {found}; {begun} begun, {came} done of {expected}",
                cpu.index()
            );
            ensure!(came == expected, "{came} handlers of {expected}");
        }
    }
    let astray = wanted.astray.load(Ordering::Relaxed);
    ensure!(astray == 0, "{astray} handlers did not run on their level's thread, at its level");
    Ok(())
}
