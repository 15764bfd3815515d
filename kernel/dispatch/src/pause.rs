//! Pausing all processors: for the few changes that nobody may see half made.
//!
//! Each other processor gets a *pause thread*, bound to it, at the highest of all priorities. Once
//! it runs, nothing else runs there, and whatever had preemption off or a dispatcher lock has
//! finished with that:
//!
//! ```text
//!   who pauses                             the pause thread of each other processor
//!   turns preemption off
//!   makes the pause threads
//!   spins until all are ready    <------   begins; READY
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
//! Who pauses keeps its processor from the first pause thread on. Its processor is the only one that
//! runs other threads meanwhile, so every thread that is bound nowhere would come there: it might
//! never get the processor back, and the others would spin for ever.
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

use crate::Dispatch;
use crate::class::Class;
use crate::cpu::CpuDispatch;
use crate::cpu_lock::CpuLockGuard;
use crate::kernel_thread::{self, Attributes, JoinHandle};
use crate::priority::Priority;
use crate::resources::{OutOfMemory, StackKind};
use crate::system::CPUS;
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
}

impl Pausing {
    pub(crate) fn new() -> Pausing {
        Pausing { phase: AtomicU8::new(OVER), ready: AtomicU32::new(0), waiting: AtomicU32::new(0) }
    }

    /// A pause begins. Before anybody is asked for it.
    pub(crate) fn begin(&self) {
        self.ready.store(0, Ordering::Relaxed);
        self.waiting.store(0, Ordering::Relaxed);
        self.phase.store(READY, Ordering::Release);
    }

    /// Keeps the processor that the caller runs on still until the pause is over.
    pub(crate) fn keep_still(&self) {
        self.ready.fetch_add(1, Ordering::AcqRel);
        while self.phase.load(Ordering::Acquire) == READY {
            machine::spin();
        }
        let level = pil::raise_anywhere(Pil::SPIN_MAX);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        while self.phase.load(Ordering::Acquire) == GO {
            machine::spin();
        }
        drop(level);
    }

    /// Does something once this many others keep still, who have been asked for it; then the pause is over.
    pub(crate) fn act<R>(&self, others: u32, atomic: &Atomic, act: impl FnOnce(&Atomic) -> R) -> R {
        while self.ready.load(Ordering::Acquire) != others {
            machine::spin();
        }
        let level = pil::raise_within(Pil::DISP, atomic);
        self.phase.store(GO, Ordering::Release);
        while self.waiting.load(Ordering::Acquire) != others {
            machine::spin();
        }
        let result = act(level.atomic());
        // Before the level, or preemption, is as it was: who pauses is not to wait with the others
        // standing still.
        self.end();
        result
    }

    /// The pause is over: the others go on.
    fn end(&self) {
        self.phase.store(OVER, Ordering::Release);
    }
}

/// The life of a pause thread.
fn pause_thread(_: usize, _: &mut MayFault) -> usize {
    Dispatch::current().hot_plug.pausing.keep_still();
    0
}

/// The pause threads of one pause.
struct PauseThreads {
    threads: [Option<JoinHandle>; CPUS],
    count: u32,
}

impl PauseThreads {
    /// Makes one for each processor but this. Says whether there was memory for all.
    fn make(dispatch: &'static Dispatch, here: &'static CpuDispatch) -> (PauseThreads, bool) {
        let mut made = PauseThreads { threads: [const { None }; CPUS], count: 0 };
        let others = dispatch.cpus().filter(|cpu| !core::ptr::eq(*cpu, here));
        for cpu in others.filter(|cpu| cpu.is_ready()) {
            let attributes = Attributes { stack: StackKind::Eager, ..Attributes::system("pause") }
                .scheduled(Class::Interrupt, Priority::MAX)
                .bound(cpu);
            match kernel_thread::create(&attributes, pause_thread, 0) {
                Ok(thread) => made.threads[cpu.index()] = Some(thread),
                Err(_) => return (made, false),
            }
            made.count += 1;
        }
        (made, true)
    }

    /// Waits until they have ended. The pause is over.
    fn join(self, may_fault: &mut MayFault) {
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
    pausing.begin();
    let (threads, result) = {
        let preemption = machine::preempt::disable(may_fault);
        let atomic = preemption.atomic();
        let (threads, all) = PauseThreads::make(dispatch, CpuDispatch::current(atomic));
        let result = all.then(|| pausing.act(threads.count, atomic, act));
        if result.is_none() {
            pausing.end();
        }
        (threads, result)
    };
    threads.join(may_fault);
    result.ok_or(OutOfMemory)
}
