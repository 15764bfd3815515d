//! Checks of the dispatcher on the real machine. Its logic is checked on the host; these show that the
//! machine underneath does what that logic assumes, on as many processors as there are.

mod drain;
mod hand_over;
mod hot_plug;
mod preemption;
mod spreading;

pub use drain::{off_line_gives_up_on_weak_bindings, off_line_waits_for_weak_bindings};
pub use hand_over::{
    condvar_ping_pong, mutex_ping_pong, semaphore_ping_pong, sleeps_end_on_time,
    threads_come_and_go,
};
pub use hot_plug::{bound_threads_keep_a_processor_on_line, processors_go_off_and_on_line};
pub use preemption::{
    preemption_is_deferred, priority_inversion_is_bounded, real_time_preempts_the_kernel,
};
pub use spreading::work_spreads;

use super::processors::wait_until;
use super::{Outcome, Run, Wrong, ensure};
use crate::kernel::Kernel;
use crate::threads::KernelDuties;
use core::sync::atomic::{AtomicBool, Ordering};
use dispatch::cpu_lock::lock_processors;
use dispatch::hot_plug::{OffLineError, cpu_offline};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::{Class, CpuDispatch, Priority, Semaphore};
use machine::MayFault;

/// What a thread of a check does: it sees what all share, and its own number.
pub(super) type Body<S> = fn(&S, usize, &mut MayFault);

/// Where threads wait until all of them are there.
struct Gate {
    open: Semaphore,
    /// One could not be created: the others do nothing, as they might wait for it.
    failed: AtomicBool,
}

/// What a thread finds through its argument.
struct Job<S> {
    gate: *const Gate,
    shared: *const S,
    body: Body<S>,
    number: usize,
}

/// Most threads of a check.
pub(super) const THREADS_MAX: usize = 128;

/// Runs a thread for each of `attributes`, at most [`THREADS_MAX`], and waits until all are over. If one of them cannot
/// be created, none does anything.
pub(super) fn run_threads<S: Sync>(
    shared: &S,
    mut attributes: impl Iterator<Item = Attributes>,
    body: Body<S>,
    may_fault: &mut MayFault,
) -> Outcome {
    fn entry<S>(argument: usize, may_fault: &mut MayFault) -> usize {
        // SAFETY: `run_threads` passes the address of a job, which it keeps until this thread is over.
        let job = unsafe { &*core::ptr::with_exposed_provenance::<Job<S>>(argument) };
        // SAFETY: as above; the gate outlives all jobs.
        let gate = unsafe { &*job.gate };
        gate.open.p(may_fault);
        // SAFETY: as above; what is shared outlives all jobs.
        let shared = unsafe { &*job.shared };
        if !gate.failed.load(Ordering::Acquire) {
            (job.body)(shared, job.number, may_fault);
        }
        0
    }
    let gate = Gate { open: Semaphore::new(0), failed: AtomicBool::new(false) };
    let jobs: [Job<S>; THREADS_MAX] = core::array::from_fn(|number| Job {
        gate: core::ptr::from_ref(&gate),
        shared: core::ptr::from_ref(shared),
        body,
        number,
    });
    let mut threads = [const { None }; THREADS_MAX];
    let mut failed = false;
    for (job, thread) in jobs.iter().zip(&mut threads) {
        let Some(attributes) = attributes.next() else { break };
        let argument = core::ptr::from_ref(job).expose_provenance();
        *thread = kernel_thread::create(&attributes, entry::<S>, argument).ok();
        failed |= thread.is_none();
    }
    let too_many = attributes.next().is_some();
    gate.failed.store(failed, Ordering::Release);
    for _ in threads.iter().flatten() {
        gate.open.v();
    }
    for thread in threads.into_iter().flatten() {
        thread.join(may_fault);
    }
    assert!(!too_many, "a check wants more than {THREADS_MAX} threads");
    if failed { Err(Wrong::new(format_args!("no memory for a thread"))) } else { Ok(()) }
}

/// A thread of the system class.
pub fn system() -> Attributes {
    Attributes::system("check")
}

/// A thread of the real-time class.
fn real_time(priority: u8) -> Attributes {
    Attributes::system("check").scheduled(Class::RealTime, Priority::new(priority))
}

/// The dispatcher's part of the processor with this index.
fn cpu(kernel: &Kernel, index: usize) -> &'static CpuDispatch {
    CpuDispatch::of(kernel.system.cpu(index).expect("there is such a processor"))
}

/// The dispatcher's part of the last processor.
fn last_cpu(kernel: &Kernel) -> &'static CpuDispatch {
    cpu(kernel, kernel.system.cpu_count() - 1)
}

/// All that can be said of going off line where there is one processor: it does not.
fn ensure_last_stays(run: &mut Run<'_>) -> Outcome {
    let lock = lock_processors(run.may_fault);
    let refused = cpu_offline(last_cpu(run.kernel), true, &KernelDuties, &lock, run.may_fault);
    drop(lock);
    ensure!(refused == Err(OffLineError::Last), "the last processor: {refused:?}");
    ensure!(last_cpu(run.kernel).is_online(), "it was refused, and is off line");
    Ok(())
}

/// Loops in the kernel until something holds; says whether it did in time.
fn loop_until(holds: impl Fn() -> bool) -> bool {
    wait_until(Kernel::current(), holds)
}
