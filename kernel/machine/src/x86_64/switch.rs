//! The context switch: six registers and the stack pointer.
//!
//! Everything else is either saved by the caller (it is a function call) or belongs to user mode and
//! lies in a trap frame further up the stack. The kernel uses no FPU or SSE register.

use super::private;
use super::stack::{self, Stack};
use crate::cpu::Private;
use crate::switch::Entry;
use core::arch::naked_asm;
use core::sync::atomic::AtomicU64;

/// Kept free at the top of every stack: there, and nowhere else, entries from user mode put their
/// frames, so a thread may go to user mode from a function that began on the same stack.
const TOP_ROOM: u64 = super::frame::SIZE as u64 + 64;

/// A stopped context: its stack pointer, with the six registers below it on the stack.
#[repr(C)]
pub struct Context {
    /// 0 before the context has first been left or started.
    stack_pointer: Private<AtomicU64>,
    stack_bottom: Private<AtomicU64>,
    stack_top: Private<AtomicU64>,
}

impl Context {
    pub(crate) fn of_running() -> Context {
        let stack = super::private::without_interrupts(|atomic| {
            stack::current(crate::Cpu::current(atomic))
        });
        Context {
            stack_pointer: Private::<AtomicU64>::new(0),
            stack_bottom: Private::<AtomicU64>::new(stack.bottom),
            stack_top: Private::<AtomicU64>::new(stack.top),
        }
    }

    pub(crate) fn unstarted() -> Context {
        Context {
            stack_pointer: Private::<AtomicU64>::new(0),
            stack_bottom: Private::<AtomicU64>::new(0),
            stack_top: Private::<AtomicU64>::new(0),
        }
    }

    /// # Safety
    ///
    /// See [`crate::Context::restart`].
    pub(crate) unsafe fn restart(&self, stack: Stack, entry: Entry, argument: usize) {
        // What `switch_stacks` pops, and where its `ret` goes.
        let words = [0, 0, argument as u64, entry as usize as u64, 0, 0, start as *const () as u64];
        let pointer = stack.top - TOP_ROOM - size_of_val(&words) as u64;
        // SAFETY: the caller gives the stack to this context; its top is populated.
        unsafe { (pointer as *mut [u64; 7]).write(words) };
        self.stack_pointer.set(pointer);
        self.stack_bottom.set(stack.bottom);
        self.stack_top.set(stack.top);
    }
}

/// See [`crate::switch()`].
pub(crate) unsafe fn switch(from: &Context, to: &Context) {
    debug_assert!(to.stack_pointer.get() != 0, "a context is resumed that never began");
    let cpu = private::current_cpu();
    // What is pushed below must not meet a hole: by then the bounds are the other stack's.
    stack::probe();
    let stack = Stack { bottom: to.stack_bottom.get(), top: to.stack_top.get() };
    // An interrupt between the two stores of the stack's bounds, or before the stacks are
    // exchanged, would find them inconsistent. High-level interrupts may come at any level.
    private::without_interrupts(|_| {
        // SAFETY: the next step moves to it, and nothing interrupts.
        unsafe { stack::set_current(cpu, stack) };
        // SAFETY: both are contexts with valid stack pointers, says the caller of
        // `crate::switch`; `to` was started by `Context::restart` or left by this very function.
        unsafe { switch_stacks(&from.stack_pointer, &to.stack_pointer) };
    });
}

#[unsafe(naked)]
unsafe extern "C" fn switch_stacks(from: &Private<AtomicU64>, to: &Private<AtomicU64>) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, [rsi]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Where a new context starts: the argument in `r13`, the entry in `r12`.
#[unsafe(naked)]
unsafe extern "C" fn start() {
    naked_asm!(
        "mov rdi, r13",
        "mov rsi, r12",
        // The end of the backtrace.
        "xor ebp, ebp",
        "push 0",
        "push 0",
        "call {run}",
        "ud2",
        run = sym run,
    )
}

/// Runs a new context from its first step to its last.
extern "C" fn run(argument: usize, entry: Entry) -> ! {
    // The switch that came here had turned interrupts off.
    // SAFETY: on a thread's own stack; the switch's section is over.
    unsafe { private::interrupts_on() };
    let next = entry(argument);
    let level = crate::pil::raise_anywhere(crate::Pil::DISP);
    crate::switch::prepare_last(level.atomic(), next);
    let over = Context::of_running();
    // SAFETY: the entry says that the processor is to go there; nobody comes back here.
    unsafe { switch(&over, &next.backend) };
    unreachable!("a context that is over was resumed");
}
