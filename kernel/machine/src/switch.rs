//! Leaving one context for another.
//!
//! A [`Context`] is what is left of a thread while it does not run: its stack pointer in the kernel,
//! its baton in the simulated machine; and in both its count of [`crate::preempt`], which belongs to
//! the thread and not to the processor.
//!
//! The switch itself decides nothing. Which context is next, and that nobody else resumes it, is the
//! dispatcher's business.

use crate::capability::Atomic;
use crate::cpu::{Cpu, Private};
use crate::tracing::emit;
use crate::{Pil, backend};
use ::trace::{EventId, Kind};
use core::sync::atomic::AtomicU32;

/// Where a new context starts: at the interrupt level of the switch that started it, preemption
/// turned off once. It returns the context that the processor goes to when this one is over.
pub type Entry = extern "C-unwind" fn(argument: usize) -> &'static Context;

/// A thread that does not run. See the module.
pub struct Context {
    preempt_off: Private<AtomicU32>,
    /// What the backend keeps per context.
    pub backend: backend::Context,
}

impl Context {
    /// The context of the code that is running now; the first switch away from it fills it.
    pub fn of_running() -> Context {
        Context {
            preempt_off: Private::<AtomicU32>::new(0),
            backend: backend::Context::of_running(),
        }
    }

    /// A context without a stack, which cannot be switched to before [`Context::restart`] has given
    /// it one.
    pub fn unstarted() -> Context {
        Context {
            preempt_off: Private::<AtomicU32>::new(0),
            backend: backend::Context::unstarted(),
        }
    }

    /// A context that starts with `entry(argument)` on `stack`.
    ///
    /// # Safety
    ///
    /// `stack` is used by nothing else until the context is over, and as much of it as the entry
    /// may touch where faults are forbidden is populated.
    pub unsafe fn new(stack: backend::Stack, entry: Entry, argument: usize) -> Context {
        let context = Context::unstarted();
        // SAFETY: nobody else knows the context; the caller's promise about the stack.
        unsafe { context.restart(stack, entry, argument) };
        context
    }

    /// Lets a context begin anew, with `entry(argument)` on `stack`: for threads that are recycled.
    ///
    /// # Safety
    ///
    /// The context is over, its last switch done, or it has never been switched to; and nobody
    /// switches to it while this changes it. About the stack as for [`Context::new`]; it may be the
    /// one from before.
    pub unsafe fn restart(&self, stack: backend::Stack, entry: Entry, argument: usize) {
        self.preempt_off.set(1);
        // SAFETY: the caller's promise.
        unsafe { self.backend.restart(stack, entry, argument) };
    }
}

/// Leaves `from`, the running context, for `to`. Returns when something switches back to `from`,
/// possibly on another processor; the interrupt level is then as that switch left it.
///
/// # Safety
///
/// `from` is the running context. `to` is not running anywhere and nobody else resumes it. The
/// interrupt level is at least [`Pil::DISP`]. Both live until they are over.
pub unsafe fn switch(atomic: &Atomic, from: &Context, to: &Context) {
    debug_assert!(Pil::current() >= Pil::DISP, "a switch happens at DISP_LEVEL or above");
    emit(Kind::Switch, core::ptr::from_ref(to) as u64, EventId::NONE);
    let cpu = Cpu::current(atomic);
    from.preempt_off.set(cpu.preempt_off.get());
    cpu.preempt_off.set(to.preempt_off.get());
    // SAFETY: the caller's promise; the count is in place before the other context runs.
    unsafe { backend::switch(&from.backend, &to.backend) };
}

/// Called by the backends when a context is over: prepares the processor for the last switch.
pub(crate) fn prepare_last(atomic: &Atomic, to: &Context) {
    Cpu::current(atomic).preempt_off.set(to.preempt_off.get());
}
