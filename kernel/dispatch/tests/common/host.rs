//! A machine with a dispatcher, and what that takes from the kernel, on the host: thread objects from its memory, and
//! stacks that are the host's threads' own. The unit tests of the crate use this file too (`src/test_machine.rs`).

use dispatch::interrupt_thread::InterruptContext;
use dispatch::resources::{KernelStack, OutOfMemory, StackKind};
use dispatch::{CpuDispatch, Dispatch, Resources, Thread};
use machine::backend::Stack;
use machine::sim::{self, Machine};
use machine::{Hooks, Pil};
use std::boxed::Box;
use std::sync::Mutex;
use std::vec::Vec;

/// What a test does at an interrupt.
pub type InterruptHandler = fn(Pil, u8, &mut InterruptContext);

/// Threads are freed with the machine that keeps this.
pub struct HostResources {
    #[allow(clippy::vec_box, reason = "threads must not move")]
    threads: Mutex<Vec<Box<Thread>>>,
    handler: InterruptHandler,
}

impl HostResources {
    /// Interrupts that run as threads go to `handler`.
    pub fn new(handler: InterruptHandler) -> HostResources {
        HostResources { threads: Mutex::default(), handler }
    }
}

impl Resources for HostResources {
    fn new_thread(&self) -> Result<&'static Thread, OutOfMemory> {
        let thread = Box::new(Thread::unused());
        let pointer: *const Thread = &*thread;
        self.threads.lock().unwrap().push(thread);
        // SAFETY: boxed, and freed when the machine is taken down, after all its threads.
        Ok(unsafe { &*pointer })
    }

    fn take_stack(&self, kind: StackKind) -> Result<KernelStack, OutOfMemory> {
        Ok(KernelStack { stack: Stack, kind })
    }

    fn give_stack(&self, _: KernelStack) {}

    fn handle_interrupt(&self, level: Pil, line: u8, context: &mut InterruptContext) {
        (self.handler)(level, line, context);
    }
}

/// The handler of tests that expect no interrupt.
pub fn unexpected(level: Pil, line: u8, _: &mut InterruptContext) {
    panic!("interrupt at {level:?}, line {line}");
}

/// Makes a machine with a dispatcher that knows all its processors; `handler` gets the interrupts that run as threads.
pub fn with_handler(
    cpus: usize,
    hooks: impl Hooks + Send + 'static,
    handler: InterruptHandler,
    body: impl FnOnce(&Machine, &'static Dispatch),
) {
    sim::run(cpus, hooks, |machine| {
        let resources: &'static HostResources = machine.keep(HostResources::new(handler));
        let dispatch: &'static Dispatch = machine.keep(Dispatch::new(resources));
        dispatch.install(machine.system());
        for index in 0..cpus {
            let cpu = machine.keep(CpuDispatch::new(machine.cpu(index)));
            dispatch.add_cpu(cpu);
        }
        body(machine, dispatch);
    });
}
