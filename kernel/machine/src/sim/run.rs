//! Making a machine for a test, running threads on its processors, and taking it all down again.
//!
//! A test says [`run`] with the number of processors, what happens on interrupts, and a body. The
//! body starts threads, each on a processor; when it returns, all threads are waited for, the
//! machine is checked, and everything is freed. Checkers run a test thousands of times, so nothing
//! may stay behind.

use super::baton::{drop_cpu, join_system, leave_system, take_cpu};
use super::flavour::{JoinHandle, spawn};
use super::{CpuState, SystemState, cpu_of, interrupt_point};
use crate::capability::{Atomic, MayFault};
use crate::{Cpu, Hooks, Pil, System, preempt};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use std::boxed::Box;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

/// The threads of a system. Bookkeeping only; see [`super::flavour`].
pub(crate) struct Threads {
    inner: Mutex<ThreadsInner>,
    /// One of them has panicked. Who waits for it waits in vain.
    failed: AtomicBool,
}

struct ThreadsInner {
    /// Those that the test has started, each with a processor.
    started: Vec<JoinHandle<()>>,
    /// Those of contexts.
    contexts: Vec<JoinHandle<()>>,
    /// How many contexts have been left and not resumed.
    left: isize,
}

impl Threads {
    pub(crate) fn new() -> Threads {
        let inner = ThreadsInner { started: Vec::new(), contexts: Vec::new(), left: 0 };
        Threads { inner: Mutex::new(inner), failed: AtomicBool::new(false) }
    }

    fn with<R>(&self, act: impl FnOnce(&mut ThreadsInner) -> R) -> R {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes the thread of a context.
    pub(crate) fn add_context(&self, handle: JoinHandle<()>) {
        self.with(|threads| threads.contexts.push(handle));
    }

    /// Whether one of them has panicked.
    pub(crate) fn have_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Notes that a context has been left, or resumed.
    pub(crate) fn left(&self, difference: isize) {
        self.with(|threads| threads.left += difference);
    }

    /// Waits until all threads are over.
    fn join(&self) {
        while let Some(handle) = self.with(|threads| threads.started.pop()) {
            wait_for(handle);
        }
        // Every processor has come back from the thread that it ended with. So who waits for one
        // now waits for ever.
        let left = self.with(|threads| threads.left);
        assert_eq!(left, 0, "contexts were left and never resumed");
        while let Some(handle) = self.with(|threads| threads.contexts.pop()) {
            wait_for(handle);
        }
    }
}

/// Notes, when it is dropped, whether the thread panics.
pub(crate) struct NoteFailure<'a>(pub(crate) &'a System);

impl Drop for NoteFailure<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.backend.threads.failed.store(true, Ordering::Relaxed);
        }
    }
}

/// Waits until a thread is over; if it has panicked, so does the caller.
fn wait_for(handle: JoinHandle<()>) {
    if let Err(panic) = handle.join() {
        std::panic::resume_unwind(panic);
    }
}

/// What lives as long as the machine, to be freed in reverse order.
struct Kept {
    pointer: NonNull<()>,
    /// # Safety
    ///
    /// Called once, with the pointer beside it, when no reference to the value lives.
    free: unsafe fn(NonNull<()>),
}

// SAFETY: `Machine::keep` takes values that are `Send` only.
unsafe impl Send for Kept {}

/// A machine in a test.
pub struct Machine {
    system: &'static System,
    kept: Mutex<Vec<Kept>>,
}

/// Makes a machine with `cpus` processors, runs `body`, waits for all threads and frees everything.
///
/// What [`Machine::keep`] and the machine itself lend for `'static` is gone after that: the body must
/// not carry it out of the test.
pub fn run(cpus: usize, hooks: impl Hooks + Send + 'static, body: impl FnOnce(&Machine)) {
    let mut kept = Vec::new();
    let hooks: &'static dyn Hooks = keep(&mut kept, hooks);
    let mut body = Some(body);
    run_kept(cpus, kept, hooks, &mut |machine| {
        if let Some(body) = body.take() {
            body(machine);
        }
    });
}

/// The same, built once and not for each test.
fn run_kept(
    cpus: usize,
    mut kept: Vec<Kept>,
    hooks: &'static dyn Hooks,
    body: &mut dyn FnMut(&Machine),
) {
    let system: &'static System = keep(&mut kept, System::new(hooks, SystemState::new()));
    for index in 0..cpus {
        system.add_cpu(keep(&mut kept, Cpu::new(system, index, CpuState::new())));
    }
    join_system(system);
    let machine = Machine { system, kept: Mutex::new(kept) };
    body(&machine);
    machine.join();
    leave_system();
    machine.free();
}

impl Machine {
    /// The system.
    pub fn system(&self) -> &'static System {
        self.system
    }

    /// A processor, by index.
    pub fn cpu(&self, index: usize) -> &'static Cpu {
        cpu_of(self.system, index)
    }

    /// Keeps a value until the machine is taken down.
    pub fn keep<T: Send + 'static>(&self, value: T) -> &'static T {
        keep(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner), value)
    }

    /// Starts a thread that holds a processor, which nobody else holds.
    pub fn start(&self, cpu: usize, thread: impl FnOnce(&mut MayFault) + Send + 'static) {
        self.start_boxed(cpu, Box::new(thread));
    }

    /// The same, built once and not for each test.
    fn start_boxed(&self, cpu: usize, thread: Box<dyn FnOnce(&mut MayFault) + Send>) {
        let cpu = self.cpu(cpu);
        let handle = spawn(move || hold_cpu(cpu, thread));
        self.system.backend.threads.with(|threads| threads.started.push(handle));
    }

    /// Runs `thread` on a processor, which nobody else holds, in the calling thread.
    pub fn on<R>(&self, cpu: usize, thread: impl FnOnce(&mut MayFault) -> R) -> R {
        hold_cpu(self.cpu(cpu), thread)
    }

    /// Waits until all threads are over. Then every context has to be over, or never begun: one that
    /// was left and not resumed is a wake-up that was lost.
    pub fn join(&self) {
        self.system.backend.threads.join();
    }

    /// Frees everything that was kept.
    fn free(self) {
        let kept = self.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        for Kept { pointer, free } in kept.into_iter().rev() {
            // SAFETY: all threads of the machine are over, this one has left it, and by the contract
            // of `run` nobody else has a reference.
            unsafe { free(pointer) };
        }
    }
}

/// Leaks a value and notes how to free it.
fn keep<T: Send + 'static>(kept: &mut Vec<Kept>, value: T) -> &'static T {
    /// # Safety
    ///
    /// `pointer` was made by `keep` for a `T`, and nobody uses it any longer.
    unsafe fn free<T>(pointer: NonNull<()>) {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(pointer.cast::<T>().as_ptr()) });
    }
    let pointer = NonNull::from(Box::leak(Box::new(value)));
    kept.push(Kept { pointer: pointer.cast(), free: free::<T> });
    // SAFETY: leaked just now; freed when nobody uses it any longer.
    unsafe { pointer.as_ref() }
}

/// Runs `thread` with a processor.
fn hold_cpu<R>(cpu: &'static Cpu, thread: impl FnOnce(&mut MayFault) -> R) -> R {
    let _note = NoteFailure(cpu.system());
    take_cpu(cpu);
    interrupt_point();
    // SAFETY: the thread has just come to life, at level 0, with preemption on and no lock.
    let mut may_fault = unsafe { MayFault::assume() };
    let result = thread(&mut may_fault);
    interrupt_point();
    let cpu = drop_cpu();
    assert_eq!(cpu.pil.get(), 0, "a thread ends at a raised interrupt level");
    assert_eq!(cpu.preempt_off.get(), 0, "a thread ends with preemption off");
    result
}

/// Hooks for tests without interrupts: pokes do nothing, preemption takes the wish back, anything
/// else is unexpected.
pub struct Quiet;

impl Hooks for Quiet {
    fn interrupt(&self, cpu: &Cpu, _: &Atomic, level: Pil, line: u8) {
        panic!("interrupt at {level:?}, line {line}, of processor {}", cpu.index());
    }

    fn poked(&self, _: &Cpu, _: &Atomic) {}

    fn timer(&self, cpu: &Cpu, _: &Atomic) {
        panic!("the timer of processor {} has run out", cpu.index());
    }

    fn preempt(&self) {
        preempt::clear(preempt::disable_anywhere().atomic());
    }
}
