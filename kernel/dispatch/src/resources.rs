//! What the dispatcher needs from whoever owns the memory: thread objects and stacks.

use crate::thread::Thread;
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

/// Gives and takes what threads are made of. Called with no dispatcher lock held; does not sleep.
pub trait Resources: Sync {
    /// A new thread object; it is a thread's for ever, so it is never given back.
    fn new_thread(&self) -> Result<&'static Thread, OutOfMemory>;

    /// A stack.
    fn take_stack(&self, kind: StackKind) -> Result<KernelStack, OutOfMemory>;

    /// Takes a stack back that nobody stands on any longer.
    fn give_stack(&self, stack: KernelStack);
}
