//! What the tests of several processors share: threads go to a processor and stay there, and processors go off
//! line and come back.

use super::{Flag, run, spawn, spin_until, system, wait_until};
use dispatch::binding::AffinityGuard;
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{NoDuties, OffLineError, cpu_offline, cpu_online};
use dispatch::kernel_thread::JoinHandle;
use dispatch::{CpuDispatch, Dispatch, Thread};
use machine::preempt::{self, PreemptGuard};
use machine::{Cpu, MayFault};

/// Explores what `main` does as a thread of the dispatcher on a machine with so many processors, all of which
/// have been started.
pub fn model_on(cpus: usize, main: impl Fn(&mut MayFault) + Copy + Send + Sync + 'static) {
    super::model(move || {
        run(cpus, move |may_fault| {
            wait_for_processors(cpus);
            main(may_fault);
        });
    });
}

/// A processor of the running machine.
pub fn cpu(index: usize) -> &'static CpuDispatch {
    Dispatch::current().cpu(index).expect("the test knows how many there are")
}

/// Waits until this many processors have been started.
pub fn wait_for_processors(count: usize) {
    wait_until(|| (0..count).all(|index| cpu(index).is_online()));
}

/// The index of the processor that the running thread is on at this moment.
pub fn here() -> usize {
    Cpu::current_index_hint()
}

/// The running thread goes to a processor, and is bound to it while the guard lives.
pub fn go_to(index: usize, may_fault: &mut MayFault) -> AffinityGuard {
    let lock = lock_processors(may_fault);
    let guard = dispatch::binding::affinity_set(Thread::running(), cpu(index), &lock);
    drop(lock);
    assert_eq!(here(), index);
    guard.expect("the thread runs")
}

/// The running thread goes to a processor, and has preemption off there while the guard lives. It is not bound.
pub fn go_to_and_stay(index: usize, may_fault: &mut MayFault) -> PreemptGuard<'_> {
    let affinity = go_to(index, may_fault);
    let off = preempt::disable(may_fault);
    drop(affinity);
    off
}

/// Takes a processor off line; no device interrupts it.
pub fn offline(index: usize, forced: bool, may_fault: &mut MayFault) -> Result<(), OffLineError> {
    let lock = lock_processors(may_fault);
    cpu_offline(cpu(index), forced, &NoDuties, &lock, may_fault)
}

/// Brings a processor back on line.
pub fn online(index: usize, may_fault: &mut MayFault) {
    let lock = lock_processors(may_fault);
    cpu_online(cpu(index), &NoDuties, &lock, may_fault).expect("the host has memory");
}

/// Starts a thread that holds what `prepare` returns until `over` is set. It holds that when this returns.
pub fn holding<G>(
    over: &Flag,
    prepare: impl FnOnce(&mut MayFault) -> G + Send + 'static,
) -> JoinHandle {
    let (over, ready) = (over.clone(), Flag::new());
    let is_ready = ready.clone();
    let thread = spawn(system(60), move |may_fault| {
        let held = prepare(may_fault);
        is_ready.set();
        over.wait();
        drop(held);
    });
    ready.wait();
    thread
}

/// Starts a thread that runs on processor 1 with preemption off, and does so when this returns. As soon as all
/// processors are to be paused, for that one to go off line, it does `then` with the guard that keeps
/// preemption off.
pub fn staying_until_the_pause(then: impl FnOnce(PreemptGuard<'_>) + Send + 'static) -> JoinHandle {
    let ready = Flag::new();
    let is_ready = ready.clone();
    let thread = spawn(system(60), move |may_fault| {
        let off = go_to_and_stay(1, may_fault);
        is_ready.set();
        // The pause thread is there: the wait for bindings has found none.
        spin_until(|| cpu(1).is_in_motion() && cpu(1).waiting() != 0);
        then(off);
    });
    ready.wait();
    thread
}
