//! A processor, as the dispatcher knows it.
//!
//! | fields | protected by |
//! |---|---|
//! | `thread`, `dispatch_thread` | written by the processor at `DISP_LEVEL` |
//! | `dispatch_priority` | the same; or by who changes the running thread's priority and has locked it |
//! | `kprunrun`, `chosen` | anybody sets; the processor clears them when it chooses |
//! | queue | its lock |
//! | partition, online state | written with `cpu_lock` held and all processors paused |
//!
//! Others read the fields of the first two rows without a lock, and look again where it matters.
//!
//! Solaris: `cpu_t`.

use crate::atomic_ref::AtomicRef;
use crate::callout::CalloutQueue;
use crate::disp_lock::DispLock;
use crate::dispatch_queue::DispatchQueue;
use crate::idle_time::IdleTime;
use crate::interrupt_thread::Interrupts;
use crate::lock_order::HeldLocks;
use crate::partition::Partition;
use crate::priority::{AtomicPriority, Priority};
use crate::thread::Thread;
use crate::tick::Tick;
use crate::watchdog::Heartbeat;
use crate::weak_binding::Obstacles;
use atomics::{AtomicBool, AtomicU8, Ordering};
use core::sync::atomic::{AtomicU32, AtomicU64};
use machine::slot::{Layer, Slot};
use machine::{Atomic, Cpu};

// SAFETY: the only slot of this layer for processors.
const SLOT: Slot<CpuDispatch> = unsafe { Slot::new(Layer::Dispatch) };

/// Whether a processor runs threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Presence {
    /// It has not begun. Threads may wait for it.
    NotStarted,
    /// It does.
    OnLine,
    /// It runs its idle thread and nothing else.
    OffLine,
}

/// What the dispatcher keeps per processor. See the module.
pub struct CpuDispatch {
    cpu: &'static Cpu,
    /// Its bit in a set of processors.
    bit: u64,
    /// The lock of the threads that run here.
    pub(crate) thread_lock: DispLock,
    /// The thread on whose stack the processor stands; an interrupt thread while one runs.
    thread: AtomicRef<Thread>,
    /// The thread that was chosen to run last; an interrupt does not change it.
    pub(crate) dispatch_thread: AtomicRef<Thread>,
    /// Its priority, [`Priority::NONE`] if it is the idle thread.
    pub(crate) dispatch_priority: AtomicPriority,
    /// It is to give way at once, also in the kernel.
    pub(crate) kprunrun: AtomicBool,
    /// Of the threads in the partition's queue for whose sake this processor was told to choose
    /// anew, the highest priority.
    pub(crate) chosen: AtomicPriority,
    pub(crate) queue: DispatchQueue,
    pub(crate) partition: AtomicRef<Partition>,
    /// A [`Presence`].
    presence: AtomicU8,
    idle_thread: AtomicRef<Thread>,
    /// The thread that it left last, until it stands on the next one's stack.
    pub(crate) previous: AtomicRef<Thread>,
    /// The thread that it will switch to from the idle thread's stack, once the processor on which
    /// that thread still stands has left it.
    pub(crate) deferred: AtomicRef<Thread>,
    /// What is in the way of weak bindings.
    pub(crate) obstacles: Obstacles,
    pub(crate) interrupts: Interrupts,
    pub(crate) callouts: CalloutQueue,
    pub(crate) tick: Tick,
    pub(crate) idle_time: IdleTime,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) held_locks: HeldLocks,
    /// High-level interrupts that are being handled. Only the processor itself writes.
    on_interrupt: AtomicU32,
    pub(crate) counts: Counts,
}

/// What has happened on a processor. Core's atomics in every flavour: one writer, and nobody waits
/// for what they say.
#[derive(Default)]
pub struct Counts {
    /// Threads that were switched to.
    pub switches: AtomicU64,
    /// Times that a thread's processor was taken away.
    pub preemptions: AtomicU64,
    /// Preemptions of a thread that had already been chosen to run elsewhere.
    pub preemptions_too_late: AtomicU64,
    /// Times that the choice was revised because something better had come meanwhile.
    pub ratify_retries: AtomicU64,
    /// Threads that were taken from another processor's queue.
    pub steals: AtomicU64,
    /// Threads that came from the partition's queue.
    pub from_partition: AtomicU64,
    /// Times that a thread was put into its run queue; for a partition's queue, times that it put one there.
    pub enqueues: AtomicU64,
    /// Times that a thread handed the processor directly to another.
    pub hand_overs: AtomicU64,
    /// Hand-overs to a thread that had to run elsewhere, and was put into a run queue.
    pub hand_overs_queued: AtomicU64,
    /// Switches that waited on the idle thread's stack until another processor had left the thread.
    pub deferred_switches: AtomicU64,
    /// Times that it halted.
    pub halts: AtomicU64,
    /// Pokes that it was sent by the dispatcher.
    pub pokes: AtomicU64,
    /// Interrupts that ran as threads.
    pub interrupt_threads: AtomicU64,
    /// Interrupt threads that blocked, so that what they had pinned went on.
    pub unpinned: AtomicU64,
    /// Clock ticks.
    pub ticks: AtomicU64,
    /// Handlers of callouts that were called.
    pub callouts: AtomicU64,
    /// Weak bindings that went to another processor first, because this one was in motion.
    pub weak_retries: AtomicU64,
    /// Weak bindings to this processor although it was in motion.
    pub weak_in_motion: AtomicU64,
    /// Weak bindings in whose place preemption was turned off, because the barrier stood.
    pub weak_without_preemption: AtomicU64,
    /// Weak bindings that ended on another processor than that of the strong one.
    pub weak_went_home: AtomicU64,
    /// Times that threads were found bound here only when all processors were paused.
    pub late_binders: AtomicU64,
}

/// Adds 1 to a count. A lost addition does no harm where another processor counts too.
#[inline]
pub(crate) fn count(counter: &AtomicU64) {
    use core::sync::atomic::Ordering::Relaxed;
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

impl CpuDispatch {
    /// The dispatcher's part of a processor, on line and without threads.
    pub fn new(cpu: &'static Cpu) -> CpuDispatch {
        CpuDispatch {
            cpu,
            bit: 1 << cpu.index(),
            thread_lock: DispLock::of_processor(cpu.index()),
            thread: AtomicRef::new(None),
            dispatch_thread: AtomicRef::new(None),
            dispatch_priority: AtomicPriority::new(Priority::NONE),
            kprunrun: AtomicBool::new(false),
            chosen: AtomicPriority::new(Priority::NONE),
            queue: DispatchQueue::new(Some(cpu.index())),
            partition: AtomicRef::new(None),
            presence: AtomicU8::new(Presence::NotStarted as u8),
            idle_thread: AtomicRef::new(None),
            previous: AtomicRef::new(None),
            deferred: AtomicRef::new(None),
            obstacles: Obstacles::new(),
            interrupts: Interrupts::new(),
            callouts: CalloutQueue::new(),
            tick: Tick::new(),
            idle_time: IdleTime::new(),
            heartbeat: Heartbeat::new(),
            held_locks: HeldLocks::new(),
            on_interrupt: AtomicU32::new(0),
            counts: Counts::default(),
        }
    }

    /// Makes this the processor's. Once, before it runs threads.
    pub(crate) fn install(&'static self) {
        self.cpu.slots().install(&SLOT, self);
    }

    /// A processor's.
    #[inline]
    pub fn of(cpu: &Cpu) -> &'static CpuDispatch {
        cpu.slots().get(&SLOT)
    }

    /// A processor's, if the dispatcher has it.
    pub fn find(cpu: &Cpu) -> Option<&'static CpuDispatch> {
        cpu.slots().find(&SLOT)
    }

    /// The current processor's.
    #[inline]
    pub fn current(atomic: &Atomic) -> &'static CpuDispatch {
        CpuDispatch::of(Cpu::current(atomic))
    }

    /// The current processor's, if the dispatcher has it.
    #[inline]
    pub(crate) fn find_current(atomic: &Atomic) -> Option<&'static CpuDispatch> {
        Cpu::current(atomic).slots().find(&SLOT)
    }

    /// The processor itself.
    #[inline]
    pub fn cpu(&self) -> &'static Cpu {
        self.cpu
    }

    /// Its index.
    #[inline]
    pub fn index(&self) -> usize {
        self.cpu.index()
    }

    /// Its bit in a set of processors.
    #[inline]
    pub(crate) fn bit(&self) -> u64 {
        self.bit
    }

    /// Whether this is the current processor.
    #[inline]
    pub(crate) fn is_here(&self, atomic: &Atomic) -> bool {
        core::ptr::eq(self.cpu, Cpu::current(atomic))
    }

    /// The thread on whose stack it stands: its own question, at a level at which it stays.
    #[inline]
    pub(crate) fn thread(&self) -> &'static Thread {
        match self.thread.load(Ordering::Relaxed) {
            Some(thread) => thread,
            None => panic!("the processor runs no thread yet"),
        }
    }

    /// The thread that runs there at this moment: a hint.
    pub fn running_thread(&self) -> Option<&'static Thread> {
        self.thread.load(Ordering::Relaxed)
    }

    /// Whether it stands on that thread's stack at this moment.
    pub(crate) fn is_running(&self, thread: &Thread) -> bool {
        self.thread.is(thread, Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn set_thread(&self, thread: &'static Thread) {
        self.thread.store(Some(thread), Ordering::Release);
        // SAFETY: the only call; it is always a `&'static Thread`.
        unsafe { self.cpu.set_running(core::ptr::from_ref(thread).cast_mut().cast()) };
    }

    /// Its idle thread.
    #[inline]
    pub(crate) fn idle_thread(&self) -> &'static Thread {
        match self.idle_thread.load(Ordering::Relaxed) {
            Some(thread) => thread,
            None => panic!("the processor has no idle thread yet"),
        }
    }

    pub(crate) fn set_idle_thread(&self, thread: &'static Thread) {
        self.idle_thread.store(Some(thread), Ordering::Release);
    }

    /// Whether that is its idle thread.
    #[inline]
    pub(crate) fn is_idle_thread(&self, thread: &Thread) -> bool {
        self.idle_thread.is(thread, Ordering::Relaxed)
    }

    /// The partition that it serves.
    #[inline]
    pub(crate) fn partition(&self) -> &'static Partition {
        match self.partition.load(Ordering::Relaxed) {
            Some(partition) => partition,
            None => panic!("the processor belongs to no partition yet"),
        }
    }

    /// Whether it has been started: it has an idle thread.
    pub fn is_ready(&self) -> bool {
        self.idle_thread.load(Ordering::Acquire).is_some()
    }

    /// Whether it is being taken off line, or moved to another partition.
    #[inline]
    pub fn is_in_motion(&self) -> bool {
        self.obstacles.in_motion()
    }

    /// Whether it takes threads that may run elsewhere.
    #[inline]
    pub(crate) fn takes_unbound(&self) -> bool {
        self.is_online() && !self.is_in_motion()
    }

    /// Whether it runs threads.
    pub fn is_online(&self) -> bool {
        self.has(Presence::OnLine)
    }

    /// Whether it has been taken off line.
    pub(crate) fn is_offline(&self) -> bool {
        self.has(Presence::OffLine)
    }

    #[inline]
    fn has(&self, presence: Presence) -> bool {
        self.presence.load(Ordering::Relaxed) == presence as u8
    }

    /// It begins; or it goes off line or comes back, with all processors paused.
    pub(crate) fn set_presence(&self, presence: Presence) {
        self.presence.store(presence as u8, Ordering::Release);
    }

    /// The priority of the thread that it runs, at this moment.
    pub fn dispatch_priority(&self) -> Priority {
        self.dispatch_priority.load()
    }

    /// How many threads wait in its queue, at this moment.
    pub fn waiting(&self) -> u32 {
        self.queue.count()
    }

    /// What has happened on it.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether it handles a high-level interrupt. Its own question.
    #[inline]
    pub(crate) fn on_interrupt(&self) -> bool {
        self.on_interrupt.load(core::sync::atomic::Ordering::Relaxed) != 0
    }

    /// Runs the handler of a high-level interrupt: no dispatcher lock is taken meanwhile (rule D2).
    pub(crate) fn in_high_level_interrupt<R>(&self, handler: impl FnOnce() -> R) -> R {
        use core::sync::atomic::Ordering::Relaxed;
        self.on_interrupt.store(self.on_interrupt.load(Relaxed) + 1, Relaxed);
        let result = handler();
        self.on_interrupt.store(self.on_interrupt.load(Relaxed) - 1, Relaxed);
        result
    }
}
