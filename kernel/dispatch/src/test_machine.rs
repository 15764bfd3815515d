//! What the unit tests of this crate share: a machine whose processors a dispatcher knows, and on which
//! nothing runs but what the test starts. The whole system, with idle threads, is what the tests in
//! `tests/` run.

#[path = "../tests/common/host.rs"]
mod host;

use crate::kernel_thread::Entry;
use crate::{CpuDispatch, Dispatch, Priority, Thread, start};
use atomics::Ordering;
use host::{HostResources, unexpected};
use machine::preempt::{self, PreemptGuard};
use machine::sim::{self, Machine};
use machine::{Hooks, MayFault};

/// Runs `body` on a machine whose processors the dispatcher knows.
pub(crate) fn run(
    cpus: usize,
    hooks: impl Hooks + Send + 'static,
    body: impl FnOnce(&Machine, &'static Dispatch),
) {
    sim::run(cpus, hooks, |machine| {
        let resources: &'static HostResources = machine.keep(HostResources::new(unexpected));
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

/// What a test's own preemption begins with: preemption is off, and nobody wants it any longer.
pub(crate) fn take_wish_back<'a>() -> (PreemptGuard<'a>, &'static CpuDispatch) {
    let off = preempt::disable_anywhere();
    let cpu = CpuDispatch::current(off.atomic());
    cpu.kprunrun.store(false, Ordering::Relaxed);
    preempt::clear(off.atomic());
    (off, cpu)
}
