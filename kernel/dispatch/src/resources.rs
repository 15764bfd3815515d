//! What the dispatcher needs from the layer above it: thread objects, stacks, the
//! handlers of interrupts.

use crate::interrupt_thread::InterruptContext;
use crate::thread::Thread;
use machine::Pil;
use machine::backend::Stack;

/// There is no memory for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// How the pages of a kernel stack come into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackKind {
    /// All are there from the start: for interrupt threads, and whoever may not fault.
    Eager,
    /// Each comes when it is first touched. (Until the lazy stacks are there: as `Eager`.)
    Lazy,
}

/// The stack of a kernel thread, with a guard page below it.
pub struct KernelStack {
    /// Where it is.
    pub stack: Stack,
    /// How its pages come into being.
    pub kind: StackKind,
}

/// Gives and takes what threads are made of, with no dispatcher lock held and without
/// sleeping; handles interrupts.
pub trait Resources: Sync {
    /// A new thread object; it is a thread's for ever, so it is never given back.
    fn new_thread(&self) -> Result<&'static Thread, OutOfMemory>;

    /// A stack.
    fn take_stack(&self, kind: StackKind) -> Result<KernelStack, OutOfMemory>;

    /// Takes a stack back that nobody stands on any longer.
    fn give_stack(&self, stack: KernelStack);

    /// Handles an interrupt, on an interrupt thread of the current processor, at the interrupt's
    /// level. May block. Only who makes interrupt threads has to have this.
    fn handle_interrupt(&self, level: Pil, line: u8, _: &mut InterruptContext) {
        panic!("nobody handles interrupts: level {level:?}, line {line}");
    }
}
