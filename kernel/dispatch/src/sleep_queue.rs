//! Sleeping: hashed dispatcher locks, and queues of waiting threads in order of priority.
//!
//! What threads wait for (a condition variable, a semaphore, the end of a thread) holds a
//! [`WaitQueue`]. The lock of a wait queue is not in it but in a table, chosen by the queue's
//! address: a sleeping thread's lock pointer leads there, and whoever follows it must find a lock
//! even if what the thread waited for is gone by then.
//!
//! Two wait queues may share a lock. That is harmless, and it is half of bug 5017148.
//!
//! # One sleep, one end
//!
//! A sleep ends in one of three ways ([`Woken`]): by the event, by its time, by an interruption.
//! Each takes the thread out of its queue under the queue's lock, so exactly one of them happens,
//! and the thread learns which. An event that comes after one of the others finds the *next*
//! waiter: nothing is swallowed.
//!
//! # Interrupting a sleep
//!
//! [`interrupt`] leaves a flag in the thread, under the thread lock; an interruptible sleep looks
//! at the flag under the same lock, on its way to sleep. So the interruption finds either a thread
//! that sleeps, and wakes it, or one that will look. The flag stays until the thread takes it back
//! itself ([`take_interrupt`]): until then each of its interruptible sleeps is over before it has
//! begun.
//!
//! Solaris: `sleepq_head`, `SQHASH`, `t_wchan`, `setrun`, `t_sig_check`.

use crate::disp_lock::{DispLock, Guarded, Held, LockClass};
use crate::enqueue::set_runnable;
use crate::run_queue::End;
use crate::thread::{State, Thread};
use crate::thread_list::ThreadList;
use crate::thread_lock::{InTransit, ThreadGuard};
use crate::weak_binding::assert_may_sleep;
use crate::{Dispatch, class};
use crate::{shuttle, stop, thread_lock};
use atomics::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use core::ptr;
use machine::tracing::emit;
use machine::{Atomic, Pil, pil, poke};
use trace::{EventId, Kind};

/// How many locks the table has. Model checkers pay for each; few make collisions likely.
/// Loom has one: it repeats a run step by step, and addresses differ from run to run.
const BUCKETS: usize = if cfg!(feature = "loom") {
    1
} else if cfg!(feature = "shuttle") {
    2
} else {
    512
};

/// The locks of all wait queues of a system.
pub(crate) struct SleepQueues {
    locks: [DispLock; BUCKETS],
}

impl SleepQueues {
    pub(crate) fn new() -> SleepQueues {
        SleepQueues { locks: core::array::from_fn(|_| DispLock::new(LockClass::Sleep)) }
    }

    /// The number of the bucket of an address.
    #[cfg_attr(feature = "loom", allow(clippy::modulo_one, reason = "loom has one lock for all"))]
    pub(crate) fn bucket(address: usize) -> usize {
        // As the addresses of objects differ in the bits above the lowest few.
        let mixed = (address as u64 >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as usize % BUCKETS
    }

    /// The lock of what lies at this address.
    #[inline]
    pub(crate) fn lock(&'static self, address: usize) -> &'static DispLock {
        &self.locks[SleepQueues::bucket(address)]
    }
}

/// Why a sleep has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Woken {
    /// It has not.
    NotYet,
    /// What was waited for has come.
    ByEvent,
    /// The time is up.
    ByTime,
    /// A signal has come, or whatever else interrupts a sleep.
    BySignal,
}

/// How a thread sleeps; part of the thread. Protected by the thread lock.
pub(crate) struct Sleep {
    /// The address of what it waits for, or 0.
    channel: AtomicUsize,
    /// The list that it is in.
    list: AtomicPtr<Guarded<ThreadList>>,
    /// Beside it, the count of waiters that others read without the lock.
    count: AtomicPtr<AtomicU32>,
    woken: AtomicU8,
    /// What may end this sleep beside the event.
    interruptible: AtomicBool,
    timed: AtomicBool,
    /// Somebody has interrupted the thread, and it has not taken note yet.
    interrupted: AtomicBool,
}

/// What may end a sleep beside the event that is waited for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner {
    pub(crate) interruptible: bool,
    pub(crate) timed: bool,
}

impl Sleep {
    pub(crate) fn new() -> Sleep {
        Sleep {
            channel: AtomicUsize::new(0),
            list: AtomicPtr::new(ptr::null_mut()),
            count: AtomicPtr::new(ptr::null_mut()),
            woken: AtomicU8::new(Woken::NotYet as u8),
            interruptible: AtomicBool::new(false),
            timed: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
        }
    }

    /// What it waits for: an address to be compared, for the watchdog.
    pub(crate) fn channel(&self) -> usize {
        self.channel.load(Ordering::Relaxed)
    }

    pub(crate) fn set_channel(&self, channel: usize) {
        self.channel.store(channel, Ordering::Relaxed);
    }

    /// Why the last sleep has ended. The thread itself asks, when it runs again.
    pub(crate) fn woken(&self) -> Woken {
        match self.woken.load(Ordering::Relaxed) {
            0 => Woken::NotYet,
            1 => Woken::ByEvent,
            2 => Woken::ByTime,
            _ => Woken::BySignal,
        }
    }

    pub(crate) fn set_woken(&self, woken: Woken) {
        self.woken.store(woken as u8, Ordering::Relaxed);
    }

    /// The thread is about to sleep in a turnstile's list, for the lock at this address.
    pub(crate) fn fall_asleep(&self, channel: usize, list: &Guarded<ThreadList>) {
        self.set_channel(channel);
        self.list.store(ptr::from_ref(list).cast_mut(), Ordering::Relaxed);
        self.set_woken(Woken::NotYet);
    }

    /// Whether somebody has interrupted it. Asked under the thread lock.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Whether a sleep in this manner is over before it begins. Asked under the thread lock.
    pub(crate) fn is_forestalled(&self, manner: Manner) -> bool {
        manner.interruptible && self.is_interrupted()
    }

    /// The object is used for another thread.
    pub(crate) fn begin_anew(&self) {
        self.interrupted.store(false, Ordering::Relaxed);
    }
}

/// Threads that wait for something. See the module.
pub(crate) struct WaitQueue {
    threads: Guarded<ThreadList>,
    /// How many there are: exact under the lock, a hint without.
    count: AtomicU32,
}

impl WaitQueue {
    pub(crate) fn new() -> WaitQueue {
        WaitQueue { threads: Guarded::new(ThreadList::EMPTY), count: AtomicU32::new(0) }
    }

    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// The lock that protects it.
    #[inline]
    pub(crate) fn lock(&self, atomic: &Atomic) -> &'static DispLock {
        Dispatch::of(atomic).sleep_queues.lock(self.address())
    }

    /// How many threads wait: a hint without the lock.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Puts the running thread to sleep, which is locked by `guard`. It still runs until it calls
    /// `swtch`, and may be woken and chosen elsewhere before. `held` is this queue's lock.
    pub(crate) fn put_to_sleep(&self, guard: ThreadGuard<'_>, held: &mut Held<'_>) {
        self.put_to_sleep_as(guard, held, Manner::default());
    }

    /// The same, for a sleep that something else may end too.
    pub(crate) fn put_to_sleep_as(
        &self,
        guard: ThreadGuard<'_>,
        held: &mut Held<'_>,
        manner: Manner,
    ) {
        let thread = guard.thread();
        // Before anything has changed: `ThreadGuard::sleep` would be too late.
        assert_may_sleep(thread);
        let sleep = &thread.sleep;
        sleep.set_channel(self.address());
        sleep.list.store(ptr::from_ref(&self.threads).cast_mut(), Ordering::Relaxed);
        sleep.count.store(ptr::from_ref(&self.count).cast_mut(), Ordering::Relaxed);
        sleep.set_woken(Woken::NotYet);
        sleep.interruptible.store(manner.interruptible, Ordering::Relaxed);
        sleep.timed.store(manner.timed, Ordering::Relaxed);
        emit(Kind::Block, self.address() as u64, EventId::NONE);
        class::sleeps(&guard);
        // SAFETY: `held` is the lock of this queue.
        unsafe { self.threads.access(held) }.insert_by_priority(thread);
        self.count.store(self.count() + 1, Ordering::Relaxed);
        guard.sleep(held);
    }

    /// Wakes the first of those with the highest priority. Returns it.
    pub(crate) fn wake_one(&self, held: &mut Held<'_>) -> Option<&'static Thread> {
        // SAFETY: `held` is the lock of this queue, for which every caller took it.
        let thread = unsafe { self.threads.access(held) }.pop_front()?;
        self.count.store(self.count() - 1, Ordering::Relaxed);
        wake(InTransit::of_queue(thread, held), Woken::ByEvent);
        Some(thread)
    }

    /// Wakes all. Returns how many there were.
    pub(crate) fn wake_all(&self, held: &mut Held<'_>) -> u32 {
        let mut woken = 0;
        while self.wake_one(held).is_some() {
            woken += 1;
        }
        woken
    }
}

/// Makes a thread runnable that has been taken from its queue; or stops it, if somebody has asked
/// for that while it slept.
pub(crate) fn wake(transit: InTransit<'_>, why: Woken) {
    if stop::is_asked(transit.thread()) {
        note_wake(transit.thread(), why);
        stop::instead_of_waking(transit);
    } else {
        wake_to_run(transit, why);
    }
}

/// Makes a thread runnable even if somebody has asked it to stop: one that has been given a lock, or a
/// processor, stops when it has no more need of that.
pub(crate) fn wake_to_run(transit: InTransit<'_>, why: Woken) {
    let end = note_wake(transit.thread(), why);
    set_runnable(transit, end);
}

fn note_wake(thread: &Thread, why: Woken) -> End {
    thread.sleep.set_woken(why);
    thread.sleep.set_channel(0);
    class::wakes(thread)
}

/// Takes a thread, which sleeps in a wait queue and is locked by `guard`, out of its queue:
/// `unsleep`. The queue's lock, which is the thread's, stays held.
fn take_out(guard: &mut ThreadGuard<'_>) {
    let thread = guard.thread();
    let list = thread.sleep.list.load(Ordering::Relaxed);
    let count = thread.sleep.count.load(Ordering::Relaxed);
    // SAFETY: the thread sleeps there, and its lock, which is the queue's, is held: what it waits
    // for cannot go away before the thread has been taken out.
    let list = unsafe { &*list };
    // SAFETY: as above.
    let count = unsafe { &*count };
    // SAFETY: the guard holds the lock of the queue that the thread sleeps in.
    unsafe { list.access(guard.held()) }.remove(thread);
    count.store(count.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
}

/// Ends the sleep of a thread in a wait queue early. Says whether it did: a thread that sleeps for
/// a lock or on a door does not count, nor does a sleep that this may not end.
pub(crate) fn wake_early(mut guard: ThreadGuard<'_>, why: Woken) -> bool {
    let thread = guard.thread();
    if guard.state() != State::Sleep || guard.held().lock().class() != LockClass::Sleep {
        return false;
    }
    let sleep = &thread.sleep;
    let may = match why {
        Woken::BySignal => sleep.interruptible.load(Ordering::Relaxed),
        Woken::ByTime => sleep.timed.load(Ordering::Relaxed),
        Woken::ByEvent | Woken::NotYet => false,
    };
    if !may {
        return false;
    }
    take_out(&mut guard);
    wake(guard.transition(), why);
    true
}

/// Pokes the processor on which a thread runs, if it runs on another one: it is to see what it has been asked to do
/// ([`Thread::ask`]) before it goes on in user mode.
pub fn hurry(thread: &'static Thread) {
    let level = pil::raise_anywhere(Pil::DISP);
    let Some(guard) = thread_lock::lock_if_alive(thread, level.atomic()) else { return };
    if let Some(cpu) = guard.processor()
        && !cpu.is_here(level.atomic())
    {
        poke::poke(cpu.cpu());
    }
}

/// Interrupts a thread: its interruptible sleep ends, in a wait queue or on the shuttle; the one that it is
/// in, or else the next. If it runs on another processor, that one is poked: what the thread has been asked to do is
/// done before it returns to user mode. Says whether it was in a sleep that ends. See the module.
pub fn interrupt(thread: &'static Thread) -> bool {
    let level = pil::raise_anywhere(Pil::DISP);
    let Some(guard) = thread_lock::lock_if_alive(thread, level.atomic()) else { return false };
    thread.sleep.interrupted.store(true, Ordering::Relaxed);
    if let Some(cpu) = guard.processor()
        && !cpu.is_here(level.atomic())
    {
        // It may be in user mode, where it would not look.
        poke::poke(cpu.cpu());
    }
    match guard.lock().class() {
        LockClass::Shuttle => shuttle::wake_early(guard),
        _ => wake_early(guard, Woken::BySignal),
    }
}

/// Whether somebody has interrupted the running thread: for who works for long without sleeping. The interruption
/// stays: the next interruptible sleep does not begin.
pub fn is_interrupted() -> bool {
    Thread::running().sleep.interrupted.load(Ordering::Relaxed)
}

/// Whether somebody has interrupted the running thread. Takes the interruption back: the next sleep
/// is an ordinary one.
pub fn take_interrupt() -> bool {
    let level = pil::raise_anywhere(Pil::DISP);
    let thread = Thread::current(level.atomic());
    let _locked = thread_lock::lock(thread, level.atomic());
    let interrupted = &thread.sleep.interrupted;
    let was = interrupted.load(Ordering::Relaxed);
    interrupted.store(false, Ordering::Relaxed);
    was
}

/// Changes the priority of a thread that sleeps in a wait queue or a turnstile: it takes its new
/// place among the waiters.
pub(crate) fn requeue(guard: &mut ThreadGuard<'_>, change: impl FnOnce(&Thread)) {
    let thread = guard.thread();
    let list = thread.sleep.list.load(Ordering::Relaxed);
    // SAFETY: as in `take_out`.
    let list = unsafe { &*list };
    // SAFETY: the guard holds the lock of the queue that the thread sleeps in.
    let mut list = unsafe { list.access(guard.held()) };
    list.remove(thread);
    change(thread);
    list.insert_by_priority(thread);
}
