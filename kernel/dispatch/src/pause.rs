//! Pausing all processors: for the few changes that nobody may see half made.
//!
//! Each other processor gets a *pause thread*, bound to it, at the highest of all priorities. Once
//! it runs, nothing else runs there, and whatever had preemption off or a dispatcher lock has
//! finished with that:
//!
//! ```text
//!   who pauses                             the pause thread of each other processor
//!   makes the pause threads
//!   sleeps until all are ready   <------   begins; READY
//!   raises its level; go         ------>   raises its level; WAIT
//!   spins until all wait         <------
//!   makes its change
//!   over                         ------>   ends
//! ```
//!
//! The level is raised only when *all* are ready: a processor that masked its interrupts earlier
//! would keep the pause thread of another from being told to run, if the one that has to tell it
//! waits for this one.
//!
//! While they are paused nobody takes a mutex: its holder may be one of those who do not run.
//! Dispatcher locks are free, all of them.
//!
//! Two uses follow. A change is *atomic* for everybody. And a pause is a *grace period*: a sequence
//! that runs with preemption off lies either entirely before it, and then its stores are seen by
//! who paused; or entirely behind it, and then it sees what who paused has stored before. The fast
//! path of weak binding rests on this ([`crate::weak_binding`]).
//!
//! A pause thread lives for one pause: making it is what wakes it, and joining it is how the
//! pause knows that it has left. Solaris: `pause_cpus`, `start_cpus`, `cpu_pause`, whose threads
//! sleep in between.

use crate::class::Class;
use crate::cpu::CpuDispatch;
use crate::cpu_lock::CpuLockGuard;
use crate::kernel_thread::{self, Attributes, JoinHandle};
use crate::priority::Priority;
use crate::resources::{OutOfMemory, StackKind};
use crate::sleep_queue::WaitQueue;
use crate::swtch::swtch;
use crate::system::CPUS;
use crate::thread::Thread;
use crate::{Dispatch, thread_lock};
use atomics::{AtomicU8, AtomicU32, Ordering};
use machine::pil;
use machine::{Atomic, MayFault, Pil};

/// The pause threads get ready.
const READY: u8 = 0;
/// All are: each masks its interrupts and waits.
const GO: u8 = 1;
/// They end.
const OVER: u8 = 2;

/// What who pauses shares with the pause threads. One pause at a time: `cpu_lock` is held.
pub(crate) struct Pausing {
    phase: AtomicU8,
    /// How many are ready.
    ready: AtomicU32,
    /// How many wait, their interrupts masked.
    waiting: AtomicU32,
    /// Who pauses sleeps here until all are ready.
    initiator: WaitQueue,
}

impl Pausing {
    pub(crate) fn new() -> Pausing {
        Pausing {
            phase: AtomicU8::new(OVER),
            ready: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            initiator: WaitQueue::new(),
        }
    }

    /// One more is ready.
    fn post(&self) {
        let level = pil::raise_anywhere(Pil::DISP);
        let mut held = self.initiator.lock(level.atomic()).enter_high(level.atomic());
        self.ready.store(self.ready.load(Ordering::Relaxed) + 1, Ordering::Release);
        self.initiator.wake_one(&mut held);
    }

    /// Sleeps until so many are ready.
    fn wait(&self, count: u32, may_fault: &mut MayFault) {
        loop {
            let level = pil::raise(Pil::DISP, may_fault);
            let atomic = level.atomic();
            let me = thread_lock::lock(Thread::current(atomic), atomic);
            let mut held = self.initiator.lock(atomic).enter_high(atomic);
            if self.ready.load(Ordering::Relaxed) == count {
                return;
            }
            self.initiator.put_to_sleep(me, &mut held);
            drop(held);
            swtch(level);
        }
    }
}

/// The life of a pause thread.
fn pause_thread(_: usize, _: &mut MayFault) -> usize {
    let pausing = &Dispatch::current().hot_plug.pausing;
    pausing.post();
    while pausing.phase.load(Ordering::Acquire) == READY {
        machine::spin();
    }
    let level = pil::raise_anywhere(Pil::SPIN_MAX);
    pausing.waiting.fetch_add(1, Ordering::AcqRel);
    while pausing.phase.load(Ordering::Acquire) == GO {
        machine::spin();
    }
    drop(level);
    0
}

/// The pause threads of one pause.
struct PauseThreads {
    threads: [Option<JoinHandle>; CPUS],
    count: u32,
}

impl PauseThreads {
    /// Makes one for each processor but this. On failure those that there are end again.
    fn make(
        dispatch: &'static Dispatch,
        here: &'static CpuDispatch,
        may_fault: &mut MayFault,
    ) -> Result<PauseThreads, OutOfMemory> {
        let mut made = PauseThreads { threads: [const { None }; CPUS], count: 0 };
        let others = dispatch.cpus().filter(|cpu| !core::ptr::eq(*cpu, here));
        for cpu in others.filter(|cpu| cpu.is_ready()) {
            let attributes = Attributes { stack: StackKind::Eager, ..Attributes::system("pause") }
                .scheduled(Class::Interrupt, Priority::MAX)
                .bound(cpu);
            match kernel_thread::create(&attributes, pause_thread, 0) {
                Ok(thread) => made.threads[cpu.index()] = Some(thread),
                Err(error) => {
                    made.end(dispatch, may_fault);
                    return Err(error);
                }
            }
            made.count += 1;
        }
        Ok(made)
    }

    /// Lets them end, and waits until they have.
    fn end(self, dispatch: &'static Dispatch, may_fault: &mut MayFault) {
        dispatch.hot_plug.pausing.phase.store(OVER, Ordering::Release);
        for thread in self.threads.into_iter().flatten() {
            thread.join(may_fault);
        }
    }
}

/// Does something while all other processors are paused. The caller has affinity for the processor
/// that it runs on. `act` runs at `DISP_LEVEL`; it takes no mutex and does not sleep.
pub(crate) fn with_all_paused<R>(
    lock: &CpuLockGuard,
    may_fault: &mut MayFault,
    act: impl FnOnce(&Atomic) -> R,
) -> Result<R, OutOfMemory> {
    let dispatch = lock.dispatch();
    let pausing = &dispatch.hot_plug.pausing;
    pausing.ready.store(0, Ordering::Relaxed);
    pausing.waiting.store(0, Ordering::Relaxed);
    pausing.phase.store(READY, Ordering::Release);
    let here = {
        let guard = machine::preempt::disable(may_fault);
        CpuDispatch::current(guard.atomic())
    };
    let threads = PauseThreads::make(dispatch, here, may_fault)?;
    pausing.wait(threads.count, may_fault);
    let result = {
        let level = pil::raise(Pil::DISP, may_fault);
        debug_assert!(here.is_here(level.atomic()), "who pauses stays where it is");
        pausing.phase.store(GO, Ordering::Release);
        while pausing.waiting.load(Ordering::Acquire) != threads.count {
            machine::spin();
        }
        let result = act(level.atomic());
        // Before the level comes down: who pauses is not to wait with the others standing still.
        pausing.phase.store(OVER, Ordering::Release);
        result
    };
    threads.end(dispatch, may_fault);
    Ok(result)
}
