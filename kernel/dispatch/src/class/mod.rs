//! Scheduling classes: what decides a thread's priority, and how long its turn is.
//!
//! The dispatcher knows priorities only. Which priority a thread has is decided by its class, at
//! five occasions: it enters the class, a clock tick finds it running, it is preempted, it goes to
//! sleep, it is woken. Each class is one implementation of [`SchedulingClass`]; what it keeps in a
//! thread is one [`ClassData`] for all, so that a thread can change its class.
//!
//! | class | priorities | turn |
//! |---|---|---|
//! | [`time_sharing`] | 0 to 59, moving | by a table, the longer the lower |
//! | [`system`] | 60 to 99, fixed | without end |
//! | [`real_time`] | 100 to 159, fixed | its own, or without end |
//! | interrupt ([`system`] too) | 160 to 169, fixed | without end |
//!
//! A turn is counted in clock ticks ([`crate::tick`]): with the tick turned off every turn is
//! without end. A thread that is preempted before its turn is over goes to the front of its queue,
//! after it to the back.
//!
//! Everything in [`ClassData`] is protected by the thread lock.
//!
//! Solaris: `classfuncs_t`, `CL_TICK`, `CL_PREEMPT`, `CL_SLEEP`, `CL_WAKEUP`, `sclass[]`.

pub mod parameters;
mod real_time;
mod system;
pub mod time_sharing;

use crate::priority::Priority;
use crate::run_queue::End;
use crate::thread::Thread;
use crate::thread_lock::ThreadGuard;
use atomics::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
pub use parameters::{OutOfRange, Parameters, set};

/// The classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Shares of time, decaying with use and boosted after sleep.
    TimeSharing,
    /// The kernel's own threads: fixed priority, no quantum.
    System,
    /// Fixed priority, above the kernel's own threads.
    RealTime,
    /// Interrupt threads.
    Interrupt,
}

/// A turn without end.
pub const INFINITE: u32 = u32::MAX;

/// What a tick means for the thread that it found running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    GoesOn,
    /// Its turn is over: it gives way to its equals, if there are any. Its priority may have
    /// changed.
    TurnOver,
}

/// The rules of a class. Each is called with the thread locked, or known to nobody else.
pub(crate) trait SchedulingClass: Sync {
    /// The lowest and the highest priority of its threads.
    fn range(&self) -> (Priority, Priority);

    /// A thread enters the class, with a priority in its range.
    fn enter(&self, thread: &Thread, priority: Priority);

    /// A clock tick found the thread running.
    fn tick(&self, thread: &Thread) -> Verdict;

    /// The thread is preempted: at which end of its queue it goes in.
    fn preempted(&self, thread: &Thread) -> End;

    /// The thread goes to sleep.
    fn sleeps(&self, thread: &Thread);

    /// The thread is woken, and in no queue: at which end of one it goes in.
    fn wakes(&self, thread: &Thread) -> End;

    /// Whether the thread, which waits for a processor, has waited too long: then it is to be taken
    /// out of its queue, `lift`ed, and put back.
    fn starves(&self, thread: &Thread, now: u64, second: u64) -> bool;

    /// The thread has waited too long, and is in no queue.
    fn lift(&self, thread: &Thread);
}

impl Class {
    /// Its rules.
    #[inline]
    pub(crate) fn rules(self) -> &'static dyn SchedulingClass {
        match self {
            Class::TimeSharing => &time_sharing::TimeSharing,
            Class::System => &system::SYSTEM,
            Class::RealTime => &real_time::RealTime,
            Class::Interrupt => &system::INTERRUPT,
        }
    }

    fn from_number(number: u8) -> Class {
        match number {
            0 => Class::TimeSharing,
            1 => Class::System,
            2 => Class::RealTime,
            _ => Class::Interrupt,
        }
    }

    /// The lowest and the highest priority that its threads have.
    pub fn range(self) -> (Priority, Priority) {
        self.rules().range()
    }
}

/// What its class keeps in a thread.
pub(crate) struct ClassData {
    class: AtomicU8,
    /// Time sharing: the row of the table, before the user's wish.
    level: AtomicU8,
    /// Time sharing: the user's wish, as the bits of an `i8`.
    user_priority: AtomicU8,
    /// How many ticks a turn has, and how many are left of this one.
    quantum: AtomicU32,
    left: AtomicU32,
    /// Its turn is over, and it has not given way yet.
    gives_way: AtomicBool,
    /// Time sharing: it is expected in the kernel, and goes first until it is there.
    is_expected: AtomicBool,
    /// When its turn began, in ticks of the clock.
    began: AtomicU64,
    /// How many clock ticks found it running.
    ticks: AtomicU64,
}

impl ClassData {
    pub(crate) fn new() -> ClassData {
        ClassData {
            class: AtomicU8::new(Class::System as u8),
            level: AtomicU8::new(0),
            user_priority: AtomicU8::new(0),
            quantum: AtomicU32::new(INFINITE),
            left: AtomicU32::new(INFINITE),
            gives_way: AtomicBool::new(false),
            is_expected: AtomicBool::new(false),
            began: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
        }
    }

    /// A turn of so many ticks begins.
    fn begin_turn(&self, quantum: u32, now: u64) {
        self.quantum.store(quantum, Ordering::Relaxed);
        self.left.store(quantum, Ordering::Relaxed);
        self.began.store(now, Ordering::Relaxed);
    }

    /// A tick of the turn is over. Says whether it was the last.
    fn use_tick(&self) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        if left == INFINITE {
            return false;
        }
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        left <= 1
    }

    /// Where a preempted thread goes in.
    fn end(&self) -> End {
        let gives_way = self.gives_way.load(Ordering::Relaxed);
        self.gives_way.store(false, Ordering::Relaxed);
        if gives_way { End::Back } else { End::Front }
    }
}

impl Thread {
    /// Its class.
    pub fn class(&self) -> Class {
        Class::from_number(self.class.class.load(Ordering::Relaxed))
    }

    /// How many clock ticks found it running.
    pub fn ticks(&self) -> u64 {
        self.class.ticks.load(Ordering::Relaxed)
    }
}

fn rules(thread: &Thread) -> &'static dyn SchedulingClass {
    thread.class().rules()
}

/// A thread that nobody else knows enters a class. A priority outside of the class' range is an
/// error in the kernel; what a user asks for goes through [`parameters`].
pub(crate) fn enter(thread: &Thread, class: Class, priority: Priority) {
    let (lowest, highest) = class.range();
    assert!(
        lowest <= priority && priority <= highest,
        "no thread of class {class:?} has the priority {priority:?}"
    );
    thread.class.user_priority.store(0, Ordering::Relaxed);
    thread.class.ticks.store(0, Ordering::Relaxed);
    change(thread, class, priority);
}

/// A thread, which is locked and in no queue, goes from one class to another.
fn change(thread: &Thread, class: Class, priority: Priority) {
    thread.class.class.store(class as u8, Ordering::Relaxed);
    thread.class.gives_way.store(false, Ordering::Relaxed);
    thread.class.is_expected.store(false, Ordering::Relaxed);
    class.rules().enter(thread, priority);
}

/// A clock tick found the thread, which is locked, running.
pub(crate) fn tick(guard: &ThreadGuard<'_>) -> Verdict {
    let thread = guard.thread();
    let ticks = &thread.class.ticks;
    ticks.store(ticks.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    let verdict = rules(thread).tick(thread);
    if verdict == Verdict::TurnOver {
        thread.class.gives_way.store(true, Ordering::Relaxed);
    }
    verdict
}

/// The turn of the running thread, locked, is over, and nobody wants it: the next one begins.
pub(crate) fn gives_way_to_nobody(guard: &ThreadGuard<'_>) {
    guard.thread().class.gives_way.store(false, Ordering::Relaxed);
}

/// The running thread, locked, is preempted: at which end of its queue it goes in.
pub(crate) fn preempted(guard: &ThreadGuard<'_>) -> End {
    rules(guard.thread()).preempted(guard.thread())
}

/// The running thread, locked, goes to sleep.
pub(crate) fn sleeps(guard: &ThreadGuard<'_>) {
    rules(guard.thread()).sleeps(guard.thread());
}

/// A thread that slept is made runnable: at which end of its queue it goes in. The caller holds its
/// lock, and the thread is in no queue.
pub(crate) fn wakes(thread: &Thread) -> End {
    rules(thread).wakes(thread)
}

/// Whether a thread, which waits in a queue that is locked, has waited too long.
pub(crate) fn starves(thread: &Thread, now: u64, second: u64) -> bool {
    rules(thread).starves(thread, now, second)
}

/// Lifts a thread that has waited too long. It is locked and in no queue.
pub(crate) fn lift(thread: &Thread) {
    rules(thread).lift(thread);
}
