//! What the unit tests of this crate share: a machine whose processors a dispatcher knows, and on which
//! nothing runs but what the test starts. The whole system, with idle threads, is what the tests in
//! `tests/` run.

#[path = "../tests/common/host.rs"]
mod host;

use crate::kernel_thread::Entry;
use crate::{CpuDispatch, Dispatch, Priority, Thread, start};
use atomics::Ordering;
use host::{unexpected, with_handler};
use machine::preempt::{self, PreemptGuard};
use machine::sim::Machine;
use machine::{Hooks, MayFault};

/// Runs `body` on a machine whose processors the dispatcher knows.
pub(crate) fn run(
    cpus: usize,
    hooks: impl Hooks + Send + 'static,
    body: impl FnOnce(&Machine, &'static Dispatch),
) {
    with_handler(cpus, hooks, unexpected, body);
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
