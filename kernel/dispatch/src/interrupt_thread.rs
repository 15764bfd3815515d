//! Interrupt threads: interrupts up to `LOCK_LEVEL` run as threads, so their handlers may block.
//!
//! Each processor has an interrupt thread for each level in use, bound there, with a stack that is
//! populated. When an interrupt comes, the running thread is *pinned*: the interrupt thread runs on
//! top of it without any queue being touched, at the interrupt's level, and the pinned thread,
//! which stays running as far as everybody knows, goes on when the handler is done.
//!
//! If the handler has to wait for a mutex, the pinned thread may be the one that holds it. So an
//! interrupt thread that blocks *unpins*: the interrupted thread goes on at once, and the interrupt
//! thread, when it is woken, is a thread like any other, of very high priority.
//!
//! ```text
//! running: T ---interrupt---> I (pins T) ---done----------------> T
//!                              |
//!                              +-- blocks --> T goes on; I woken, chosen, done --> whoever is next
//! ```
//!
//! An interrupt of a level whose thread is still busy with an earlier one is noted, and handled by
//! that thread before it is done. So one thread per level is enough.
//!
//! Invariants:
//! - an interrupt thread is pinning, or queued or asleep or running by itself, or free; `active`
//!   says whether it is not free;
//! - a pinned thread is running in the sense of its state, and cannot move: it is in no queue;
//! - `lines` and `active` are touched on their own processor only, with hardware interrupts off or
//!   at a level that holds the thread's own interrupts back.
//!
//! Kleiman and Eykholt, *Interrupts as Threads*, 1995; Solaris: `T_INTR_THREAD`, `thread_unpin`.

use crate::Dispatch;
use crate::atomic_ref::AtomicRef;
use crate::class::Class;
use crate::cpu::{CpuDispatch, count};
use crate::kernel_thread::{self, Attributes};
use crate::priority::Priority;
use crate::resources::{OutOfMemory, StackKind};
use crate::select;
use crate::swtch;
use crate::thread::{State, Thread};
use atomics::Ordering;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU16};
use machine::pil::{self, PilGuard};
use machine::{Atomic, Context, MayFault, Pil};

/// Levels from 0 to `LOCK_LEVEL`.
const LEVELS: usize = Pil::LOCK.number() as usize + 1;

/// Of an interrupt thread, what it works on; part of the thread. Core's atomics in every flavour:
/// only the thread's own processor touches them.
pub(crate) struct InterruptPart {
    /// Its level; 0 if it is no interrupt thread.
    level: AtomicU8,
    /// The thread that it has interrupted and that has not gone on.
    pinned: AtomicRef<Thread>,
    /// Bit `n` set: line `n` wants to be handled.
    lines: AtomicU16,
    active: AtomicBool,
    /// It is to end.
    retires: AtomicBool,
}

impl InterruptPart {
    pub(crate) fn new() -> InterruptPart {
        InterruptPart {
            level: AtomicU8::new(0),
            pinned: AtomicRef::new(None),
            lines: AtomicU16::new(0),
            active: AtomicBool::new(false),
            retires: AtomicBool::new(false),
        }
    }

    fn add_line(&self, line: u8) {
        self.lines.store(self.lines.load(Ordering::Relaxed) | 1 << line, Ordering::Relaxed);
    }

    fn take_line(&self) -> Option<u8> {
        let lines = self.lines.load(Ordering::Relaxed);
        self.lines.store(lines & lines.wrapping_sub(1), Ordering::Relaxed);
        (lines != 0).then(|| lines.trailing_zeros() as u8)
    }

    fn take_pinned(&self) -> Option<&'static Thread> {
        let pinned = self.pinned.load(Ordering::Relaxed);
        self.pinned.store(None, Ordering::Relaxed);
        pinned
    }
}

impl Thread {
    /// The level whose interrupts it handles, if it is an interrupt thread.
    pub fn interrupt_level(&self) -> Option<Pil> {
        match self.interrupt.level.load(Ordering::Relaxed) {
            0 => None,
            level => Some(Pil::new(level)),
        }
    }

    /// Whether it is an interrupt thread: it stays on its processor whatever happens.
    #[inline]
    pub(crate) fn is_interrupt_thread(&self) -> bool {
        self.interrupt.level.load(Ordering::Relaxed) != 0
    }
}

/// The interrupt threads of a processor, by level.
pub(crate) struct Interrupts {
    threads: [AtomicRef<Thread>; LEVELS],
}

impl Interrupts {
    pub(crate) fn new() -> Interrupts {
        Interrupts { threads: core::array::from_fn(|_| AtomicRef::new(None)) }
    }

    fn thread(&self, level: Pil) -> Option<&'static Thread> {
        self.threads.get(usize::from(level.number()))?.load(Ordering::Acquire)
    }
}

/// The right of an interrupt's handler that runs as a thread: it may block.
pub struct InterruptContext {
    not_send: PhantomData<*mut ()>,
}

/// Makes the interrupt thread of a level of a processor. From then on interrupts of that level run
/// there; before the first of them the processor has to be on line. Once per processor and level.
pub fn prepare(cpu: &'static CpuDispatch, level: Pil) -> Result<(), OutOfMemory> {
    assert!(level <= Pil::LOCK && level >= Pil::DEVICE_MIN, "interrupts above run as they come");
    let attributes = Attributes { stack: StackKind::Eager, ..Attributes::system("interrupt") }
        .scheduled(Class::Interrupt, Priority::of_interrupt(level.number()))
        .bound(cpu);
    let thread = kernel_thread::prepare_bare(&attributes, begin)?;
    thread.interrupt.level.store(level.number(), Ordering::Relaxed);
    thread.publish(State::Free, Some(&cpu.thread_lock));
    cpu.interrupts.threads[usize::from(level.number())].store(Some(thread), Ordering::Release);
    Ok(())
}

/// An interrupt up to `LOCK_LEVEL` has come: runs its handler
/// ([`Resources::handle_interrupt`](crate::Resources::handle_interrupt)) as a thread. Returns when
/// the handler is done or has blocked. Says whether there is a thread for that level.
///
/// Called by the machine's hook: on the interrupted thread's stack, hardware interrupts off.
pub fn deliver(cpu: &'static CpuDispatch, atomic: &Atomic, level: Pil, line: u8) -> bool {
    let Some(thread) = cpu.interrupts.thread(level) else { return false };
    thread.interrupt.add_line(line);
    if thread.interrupt.active.load(Ordering::Relaxed) {
        // It has blocked, and handles this one as well before it is done.
        return true;
    }
    count(&cpu.counts.interrupt_threads);
    pin_running(cpu, thread, atomic);
    true
}

/// Takes the interrupt threads of the current processor away, all of which are free. Interrupts of
/// their levels then find no thread.
pub fn retire_all(may_fault: &mut MayFault) {
    let raised = pil::raise(Pil::DISP, may_fault);
    let cpu = CpuDispatch::current(raised.atomic());
    for place in &cpu.interrupts.threads {
        let Some(thread) = place.load(Ordering::Relaxed) else { continue };
        assert!(!thread.interrupt.active.load(Ordering::Relaxed), "its handler is not done");
        place.store(None, Ordering::Release);
        thread.interrupt.retires.store(true, Ordering::Relaxed);
        pin_running(cpu, thread, raised.atomic());
    }
}

/// Lets an interrupt thread run on top of the running thread. Returns when that goes on.
fn pin_running(cpu: &'static CpuDispatch, thread: &'static Thread, atomic: &Atomic) {
    thread.interrupt.active.store(true, Ordering::Relaxed);
    let raised = pil::raise_within(Pil::DISP, atomic);
    let pinned = cpu.thread();
    thread.interrupt.pinned.store(Some(pinned), Ordering::Relaxed);
    thread.publish(State::OnProcessor, Some(&cpu.thread_lock));
    thread.on_cpu.store(true, Ordering::Relaxed);
    cpu.set_thread(thread);
    // SAFETY: the pinned thread runs here; the interrupt thread is free, so it runs nowhere, and
    // nobody but this processor ever resumes it. At `DISP_LEVEL`.
    unsafe { machine::switch(raised.atomic(), &pinned.context, &thread.context) };
    // Done, or blocked: in both cases on this processor, which a pinned thread never leaves.
    swtch::release_previous(cpu, raised.atomic());
}

/// Where an interrupt thread begins, and stays: it handles what has come, goes back, and is resumed
/// here by the next interrupt.
extern "C-unwind" fn begin(address: usize) -> &'static Context {
    // SAFETY: `kernel_thread::prepare_bare` gave the address of this thread, which lives for ever.
    let thread: &'static Thread =
        unsafe { &*core::ptr::with_exposed_provenance::<Thread>(address) };
    swtch::arrive();
    // SAFETY: a new context has preemption off once, and nobody else turns it on.
    drop(unsafe { machine::preempt::PreemptGuard::adopt() });
    let level = Pil::new(thread.interrupt.level.load(Ordering::Relaxed));
    let mut context = InterruptContext { not_send: PhantomData };
    while !thread.interrupt.retires.load(Ordering::Relaxed) {
        // SAFETY: whoever came here raised the level, and leaves restoring it to this thread.
        drop(unsafe { PilGuard::adopt(level) });
        while let Some(line) = thread.interrupt.take_line() {
            Dispatch::current().resources.handle_interrupt(level, line, &mut context);
        }
        let raised = pil::raise_anywhere(Pil::DISP);
        go_back(thread, raised.atomic());
        let _ = raised.leave_raised();
    }
    retire(thread)
}

/// The end of an interrupt thread, at `DISP_LEVEL`.
fn retire(thread: &'static Thread) -> &'static Context {
    // SAFETY: at `DISP_LEVEL` until the processor has left this stack.
    let cpu = CpuDispatch::current(unsafe { Atomic::assume() });
    let Some(pinned) = thread.interrupt.take_pinned() else {
        panic!("{thread:?} retires on top of nobody");
    };
    thread.interrupt.level.store(0, Ordering::Relaxed);
    thread.interrupt.active.store(false, Ordering::Relaxed);
    thread.interrupt.retires.store(false, Ordering::Relaxed);
    kernel_thread::end_bare(thread);
    cpu.previous.store(Some(thread), Ordering::Relaxed);
    cpu.set_thread(pinned);
    &pinned.context
}

/// Nothing is left to handle: leaves the processor to the pinned thread or, if that has gone on
/// long ago, to whoever is next. Returns at the next interrupt.
///
/// Interrupts of the thread's own level are held back from the last look at the lines until another
/// thread has lowered the level.
fn go_back(thread: &'static Thread, atomic: &Atomic) {
    let cpu = CpuDispatch::current(atomic);
    thread.interrupt.active.store(false, Ordering::Relaxed);
    match thread.interrupt.take_pinned() {
        Some(pinned) => {
            thread.publish(State::Free, Some(&cpu.thread_lock));
            release(cpu, thread, pinned, atomic);
        }
        None => {
            // It was running by itself: others may hold its lock, which is this processor's.
            let guard = crate::thread_lock::lock(thread, atomic);
            guard.free(&cpu.thread_lock);
            swtch::switch_to(cpu, thread, select::select(cpu, atomic));
        }
    }
}

/// Leaves an interrupt thread for the thread that it has pinned. Returns when the interrupt
/// thread is resumed.
fn release(
    cpu: &'static CpuDispatch,
    thread: &'static Thread,
    pinned: &'static Thread,
    atomic: &Atomic,
) {
    cpu.previous.store(Some(thread), Ordering::Relaxed);
    cpu.set_thread(pinned);
    // SAFETY: the interrupt thread runs here; the pinned one stands in `deliver` on this processor,
    // and nobody else resumes it. At `DISP_LEVEL`.
    unsafe { machine::switch(atomic, &thread.context, &pinned.context) };
    swtch::arrive();
}

/// The running thread gives up the processor: if it is an interrupt thread that has pinned another,
/// that one goes on. Says so; by then the interrupt thread has been woken and chosen.
#[inline]
pub(crate) fn unpin(cpu: &'static CpuDispatch, thread: &'static Thread, atomic: &Atomic) -> bool {
    if !thread.is_interrupt_thread() {
        return false;
    }
    let Some(pinned) = thread.interrupt.take_pinned() else { return false };
    count(&cpu.counts.unpinned);
    release(cpu, thread, pinned, atomic);
    true
}
