//! Parts of the dispatcher by themselves, to be measured: what no caller outside does alone.

use crate::cpu::CpuDispatch;
use crate::kernel_thread::{self, Attributes};
use crate::run_queue::End;
use crate::thread::Thread;
use crate::thread_lock::InTransit;
use crate::{Dispatch, enqueue, select};
use atomics::Ordering;
use machine::{Pil, pil};

/// A thread that nobody else knows.
pub struct Measured(&'static Thread);

/// Runs `act` with a thread that does not run.
pub fn with_stopped_thread(act: impl FnOnce(&Measured)) {
    let attributes = Attributes::system("measured");
    let Ok(thread) = kernel_thread::prepare(&attributes, |_, _| 0, 0) else { return };
    act(&Measured(thread));
    let guard = machine::preempt::disable_anywhere();
    kernel_thread::end_bare(thread);
    kernel_thread::recycle(thread, guard.atomic());
}

/// Makes the thread runnable and chooses it to run on the current processor, which then does not
/// switch to it. The thread is that of [`with_stopped_thread`].
pub fn enqueue_and_select(&Measured(thread): &Measured) {
    let level = pil::raise_anywhere(Pil::DISP);
    let atomic = level.atomic();
    let cpu = CpuDispatch::current(atomic);
    // It ran here last, as nearly every thread did that becomes runnable.
    thread.cpu.store(Some(cpu), Ordering::Relaxed);
    thread.set_lock_pointer(Some(Dispatch::of(atomic).transition_lock()));
    // SAFETY: nobody knows the thread, and its lock pointer leads to the transition lock.
    enqueue::enqueue(unsafe { InTransit::assume(thread, atomic) }, End::Back);
    let chosen = select::select(cpu, atomic);
    debug_assert!(core::ptr::eq(chosen.thread(), thread));
    select::publish_choice(cpu, cpu.thread(), cpu.thread().dispatch_priority());
}
