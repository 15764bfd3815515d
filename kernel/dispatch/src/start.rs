//! Putting a processor under the dispatcher.
//!
//! A processor that has just started becomes its own idle thread: the code that runs goes on as
//! that. The first processor has something to do already, so the code that runs there becomes an
//! ordinary thread, and gets an idle thread beside it.

use crate::Dispatch;
use crate::class::{self, Class};
use crate::cpu::{CpuDispatch, Presence};
use crate::kernel_thread::{self, Attributes, Entry};
use crate::priority::Priority;
use crate::resources::{OutOfMemory, StackKind};
use crate::thread::{State, Thread};
use crate::thread_lock::{InTransit, publish_on_processor};
use crate::tick;
use atomics::Ordering;
use machine::{Atomic, Pil, pil, time};

/// The running code becomes the idle thread of the current processor, which must go on with
/// [`crate::idle_loop`]. `idle` is [`Thread::of_running_code`].
pub fn begin_as_idle(cpu: &'static CpuDispatch, idle: &'static Thread) {
    let level = pil::raise_anywhere(Pil::DISP);
    set_up(idle, "idle", cpu, Priority::SYSTEM_MIN);
    make_idle(cpu, idle);
    cpu.set_thread(idle);
    cpu.dispatch_thread.store(Some(idle), Ordering::Relaxed);
    idle.on_cpu.store(true, Ordering::Relaxed);
    go_on_line(cpu, level.atomic());
}

/// The running code becomes a thread of the current processor, bound there, whose idle thread is
/// made anew with `idle` as its entry.
pub fn begin_as_thread(
    cpu: &'static CpuDispatch,
    thread: &'static Thread,
    priority: Priority,
    idle: Entry,
    argument: usize,
) -> Result<(), OutOfMemory> {
    let attributes = Attributes { stack: StackKind::Eager, ..Attributes::system("idle") };
    let idle = kernel_thread::prepare(&attributes.bound(cpu), idle, argument)?;
    let level = pil::raise_anywhere(Pil::DISP);
    set_up(thread, "boot", cpu, priority);
    // By affinity, so that no user can undo it.
    thread.binding.strong.store(Some(cpu), Ordering::Relaxed);
    thread.binding.affinity.store(1, Ordering::Relaxed);
    make_idle(cpu, idle);
    // SAFETY: nobody else knows the thread yet.
    let transit = unsafe { InTransit::assume(thread, level.atomic()) };
    cpu.dispatch_priority.store(priority);
    cpu.dispatch_thread.store(Some(thread), Ordering::Relaxed);
    cpu.set_thread(thread);
    thread.on_cpu.store(true, Ordering::Relaxed);
    let _ = publish_on_processor(transit, cpu, level.atomic());
    go_on_line(cpu, level.atomic());
    Ok(())
}

fn set_up(
    thread: &'static Thread,
    name: &'static str,
    cpu: &'static CpuDispatch,
    priority: Priority,
) {
    let dispatch = Dispatch::current();
    thread.life.set_name(name);
    dispatch.all_threads.join(thread);
    thread.id.store(dispatch.take_thread_id(), Ordering::Relaxed);
    class::enter(thread, Class::System, priority);
    thread.partition.store(Some(cpu.partition()), Ordering::Relaxed);
    thread.cpu.store(Some(cpu), Ordering::Relaxed);
    thread.publish(State::Free, Some(dispatch.transition_lock()));
}

/// The idle thread is always running, as far as its state and lock say, and in no queue ever.
fn make_idle(cpu: &'static CpuDispatch, idle: &'static Thread) {
    idle.binding.strong.store(Some(cpu), Ordering::Relaxed);
    idle.dispatch_queue.store(Some(&cpu.queue), Ordering::Relaxed);
    idle.publish(State::OnProcessor, Some(&cpu.thread_lock));
    cpu.set_idle_thread(idle);
}

fn go_on_line(cpu: &'static CpuDispatch, _: &Atomic) {
    cpu.idle_time.begin(cpu.is_idle_thread(cpu.thread()), time::now());
    tick::note_on_line(cpu);
    // In this order: whoever sees that it is on line finds it in its partition.
    cpu.partition().enter(cpu);
    cpu.set_presence(Presence::OnLine);
}
