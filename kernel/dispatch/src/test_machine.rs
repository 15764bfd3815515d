//! What the unit tests of this crate share: a machine whose processors a dispatcher knows, and on which
//! nothing runs but what the test starts. The whole system, with idle threads, is what the tests in
//! `tests/` run.

use crate::kernel_thread::Entry;
use crate::resources::{KernelStack, OutOfMemory, StackKind};
use crate::{CpuDispatch, Dispatch, Priority, Resources, Thread, start};
use machine::backend::Stack;
use machine::sim::{self, Machine};
use machine::{Hooks, MayFault};
use std::boxed::Box;
use std::sync::Mutex;
use std::vec::Vec;

/// Thread objects from the host's memory, freed with the machine.
#[derive(Default)]
struct HostResources {
    #[allow(clippy::vec_box, reason = "threads must not move")]
    threads: Mutex<Vec<Box<Thread>>>,
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
}

/// Runs `body` on a machine whose processors the dispatcher knows.
pub(crate) fn run(
    cpus: usize,
    hooks: impl Hooks + Send + 'static,
    body: impl FnOnce(&Machine, &'static Dispatch),
) {
    sim::run(cpus, hooks, |machine| {
        let resources: &'static HostResources = machine.keep(HostResources::default());
        let dispatch: &'static Dispatch = machine.keep(Dispatch::new(resources));
        dispatch.install(machine.system());
        for index in 0..cpus {
            dispatch.add_cpu(machine.keep(CpuDispatch::new(machine.cpu(index))));
        }
        body(machine, dispatch);
    });
}

/// The idle thread of a processor that never idles.
const NEVER: Entry = |_: usize, _: &mut MayFault| unreachable!("the processor never idles");

/// The code that runs becomes the thread of its processor, `thread`, which is bound to nothing.
pub(crate) fn become_thread(cpu: &'static CpuDispatch, thread: &'static Thread) {
    let begun = start::begin_as_thread(cpu, thread, Priority::SYSTEM_MIN, NEVER, 0);
    assert!(begun.is_ok(), "the host has memory");
    thread.binding.begin(None);
}
