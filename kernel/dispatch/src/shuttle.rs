//! The shuttle: handing the processor directly to a thread that waits for exactly that. Doors stand
//! on it: the client hands its processor to a server's thread and sleeps until the server hands one
//! back.
//!
//! No run queue is touched on the way, nobody is asked to choose anew, the processor
//! stays the same.
//!
//! ```text
//!   client                                     server
//!                                              pool.sleep(): asleep on the shuttle, in the pool
//!   pool.reserve() -> Reserved: set aside, *not* running, back in the pool if this is dropped
//!   ... prepares the arguments; may be preempted, may move, may sleep
//!   reserved.resume(None):
//!     own lock, shuttle lock
//!     the processor's choice is the server
//!     the client sleeps on the shuttle, in no pool
//!     the server is published as running here
//!     both locks released, switch  ----------> Arrival::HandedOver(the client, asleep)
//!                                              reserve_sleeper(client) -> Reserved
//!   Arrival::HandedOver  <------------------   reserved.resume(Some(&pool))
//! ```
//!
//! Everything between `raise` and the switch happens at `DISP_LEVEL`, so nobody preempts the thread
//! that has given its processor away but still stands on its stack.
//!
//! # What has gone wrong here
//!
//! Three bugs of a well-known kernel lived in these few lines, and `docs/history` tells of each:
//!
//! - the server was published as running when it was *reserved*, and the client could be preempted
//!   and move before it *resumed*; the server then ran with another processor's lock (5017148).
//!   Here a reserved thread is not running: only [`Reserved::resume`] publishes it, at a level at
//!   which the caller stays, and the result ([`crate::thread_lock::Committed`]) borrows that level;
//! - the repair moved the server's lock pointer without holding the server's lock (6294464). Here
//!   the shuttle lock, which is the lock of reserved threads, is held;
//! - the two stores that publish could be exchanged (4699850). Here there is one function
//!   that has them.
//!
//! Solaris: `shuttle_sleep`, `shuttle_resume`, `shuttle_swtch`, `door_get_server`.

#![cfg_attr(
    any(feature = "bug-5017148", feature = "bug-6294464"),
    allow(unused, reason = "the bugs replace parts of this")
)]

use crate::atomic_ref::AtomicRef;
use crate::cpu::{CpuDispatch, count};
use crate::disp_lock::{DispLock, Guarded, Held};
use crate::enqueue;
use crate::run_queue::End;
use crate::sleep::{about_to_sleep, slept};
use crate::sleep_queue::{self, Woken};
use crate::thread::{State, Thread};
use crate::thread_list::ThreadList;
use crate::thread_lock::{self, Committed, InTransit, ThreadGuard};
use crate::{Dispatch, class, resched, select, swtch};
use atomics::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
use core::ptr;
use machine::tracing::emit;
use machine::{Atomic, MayFault, Pil, pil};
use trace::{EventId, Kind};

/// A thread's part in hand-overs. Protected by the shuttle lock.
pub(crate) struct ShuttlePart {
    /// How often it has slept on the shuttle; tells one sleep from the next.
    sleeps: AtomicU64,
    /// The pool that it sleeps in, or was taken from; null if none.
    pool: AtomicPtr<ShuttlePool>,
    /// Who has handed it the processor; nobody, if something else has ended the sleep.
    from: AtomicRef<Thread>,
    from_sleep: AtomicU64,
    /// Somebody has interrupted it while it was set aside.
    interrupted: AtomicBool,
}

impl ShuttlePart {
    pub(crate) fn new() -> ShuttlePart {
        ShuttlePart {
            sleeps: AtomicU64::new(0),
            pool: AtomicPtr::new(ptr::null_mut()),
            from: AtomicRef::new(None),
            from_sleep: AtomicU64::new(0),
            interrupted: AtomicBool::new(false),
        }
    }

    /// A sleep begins, or the attempt: no word of an earlier one leads to it. Returns its number.
    fn begin_sleep(&self) -> u64 {
        let sleep = self.sleeps.load(Ordering::Relaxed) + 1;
        self.sleeps.store(sleep, Ordering::Relaxed);
        self.from.store(None, Ordering::Relaxed);
        sleep
    }

    fn pool(&self) -> Option<&ShuttlePool> {
        // SAFETY: null, or the pool in whose `sleep` or for whose sake in `resume` the thread
        // sleeps: its own stack, which stands still, keeps the borrow.
        unsafe { self.pool.load(Ordering::Relaxed).as_ref() }
    }
}

/// A thread in a certain sleep on the shuttle. Says nothing about whether that still lasts.
#[derive(Clone, Copy)]
pub struct Sleeper {
    thread: &'static Thread,
    sleep: u64,
}

impl Sleeper {
    /// The thread.
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }
}

/// How a sleep on the shuttle has ended.
pub enum Arrival {
    /// Somebody has handed over the processor, and slept when it did.
    HandedOver(Sleeper),
    /// A signal has come, or whatever else interrupts a sleep.
    Interrupted,
}

/// Threads that sleep on the shuttle and wait for anybody: a door's servers. The last to come is
/// the first to go, as its cache is the warmest.
pub struct ShuttlePool {
    threads: Guarded<ThreadList>,
    count: AtomicU32,
}

/// A thread that slept on the shuttle and has been set aside for a hand-over. It is not running,
/// and nobody else can have it. Dropping this lets it sleep on, where it slept before.
#[must_use = "the thread goes back to sleep when this is dropped"]
pub struct Reserved {
    thread: &'static Thread,
}

fn shuttle_lock(atomic: &Atomic) -> &'static DispLock {
    &Dispatch::of(atomic).shuttle_lock
}

impl Default for ShuttlePool {
    fn default() -> ShuttlePool {
        ShuttlePool::new()
    }
}

impl ShuttlePool {
    /// Nobody waits.
    pub fn new() -> ShuttlePool {
        ShuttlePool { threads: Guarded::new(ThreadList::EMPTY), count: AtomicU32::new(0) }
    }

    /// How many threads wait, at this moment.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    fn insert(&self, thread: &'static Thread, held: &mut Held<'_>) {
        // SAFETY: `held` is the shuttle lock, which protects all pools.
        unsafe { self.threads.access(held) }.push_front(thread);
        self.count.store(self.count() + 1, Ordering::Relaxed);
    }

    fn remove(&self, thread: &Thread, held: &mut Held<'_>) {
        // SAFETY: as above.
        unsafe { self.threads.access(held) }.remove(thread);
        self.count.store(self.count() - 1, Ordering::Relaxed);
    }

    /// Sleeps in the pool until somebody hands over a processor: `shuttle_swtch`.
    pub fn sleep(&self, may_fault: &mut MayFault) -> Arrival {
        about_to_sleep(Thread::running());
        let level = pil::raise(Pil::DISP, may_fault);
        let sleeps = {
            let atomic = level.atomic();
            let me = thread_lock::lock(Thread::current(atomic), atomic);
            let mut held = shuttle_lock(atomic).enter_high(atomic);
            me.thread().shuttle.begin_sleep();
            let sleeps = !me.thread().sleep.is_interrupted();
            if sleeps {
                put_to_sleep(me, Some(self), &mut held);
            }
            sleeps
        };
        if sleeps {
            swtch::swtch(level);
        } else {
            drop(level);
        }
        after_sleep()
    }

    /// Sets aside a thread that waits in the pool: `door_get_server`, but for what that
    /// did too early.
    pub fn reserve(&self, may_fault: &mut MayFault) -> Option<Reserved> {
        let mut guard = Dispatch::current().shuttle_lock.enter(may_fault);
        let held = guard.held();
        // SAFETY: `held` is the shuttle lock.
        let thread = unsafe { self.threads.access(held) }.first()?;
        Some(set_aside(thread, held))
        // Here the lock is released, and the caller perhaps preempted. That does no harm: the
        // thread is not running anywhere.
    }
}

/// Sets aside the thread of a sleep, if that sleep still lasts: how a server finds
/// its client again.
pub fn reserve_sleeper(sleeper: Sleeper, may_fault: &mut MayFault) -> Option<Reserved> {
    let mut guard = Dispatch::current().shuttle_lock.enter(may_fault);
    let thread = sleeper.thread;
    let asleep = thread.is_locked_by(guard.held().lock())
        && thread.state() == State::Sleep
        && thread.shuttle.sleeps.load(Ordering::Relaxed) == sleeper.sleep;
    asleep.then(|| set_aside(thread, guard.held()))
}

/// Takes a thread, which sleeps on the shuttle, out of its pool and sets it aside.
fn set_aside(thread: &'static Thread, held: &mut Held<'_>) -> Reserved {
    if let Some(pool) = thread.shuttle.pool() {
        pool.remove(thread, held);
    }
    let transit = InTransit::of_queue(thread, held);
    #[cfg(any(feature = "bug-5017148", feature = "bug-6294464"))]
    history::publish_early(transit);
    #[cfg(not(any(feature = "bug-5017148", feature = "bug-6294464")))]
    transit.into_reserved(held);
    Reserved { thread }
}

impl Reserved {
    /// The thread.
    pub fn thread(&self) -> &'static Thread {
        self.thread
    }

    /// Hands the processor over and sleeps: in `pool`, for anybody, or for a hand-over by who knows
    /// this sleep. `shuttle_resume`.
    ///
    /// A thread that must not run on this processor is made runnable instead, and the dispatcher
    /// decides who has this processor.
    pub fn resume(self, pool: Option<&ShuttlePool>, may_fault: &mut MayFault) -> Arrival {
        about_to_sleep(Thread::running());
        let level = pil::raise(Pil::DISP, may_fault);
        swtch::hand_over(level, |cpu, atomic| {
            let me = thread_lock::lock(cpu.thread(), atomic);
            let mut held = shuttle_lock(atomic).enter_high(atomic);
            let target = self.into_thread();
            target.shuttle.interrupted.store(false, Ordering::Relaxed);
            target.shuttle.from.store(Some(me.thread()), Ordering::Relaxed);
            let sleep = me.thread().shuttle.begin_sleep();
            target.shuttle.from_sleep.store(sleep, Ordering::Relaxed);
            #[cfg(any(feature = "bug-5017148", feature = "bug-6294464"))]
            return history::resume(target, cpu, atomic, || put_to_sleep(me, pool, &mut held));
            #[cfg(not(any(feature = "bug-5017148", feature = "bug-6294464")))]
            {
                let committed = hand_to(target, cpu, me, pool, &mut held);
                drop(held);
                committed.unwrap_or_else(|| select::select(cpu, atomic))
            }
        });
        after_sleep()
    }

    fn into_thread(self) -> &'static Thread {
        let thread = self.thread;
        core::mem::forget(self);
        thread
    }
}

/// The hand-over itself: the processor goes to the target, or to whom the dispatcher chooses. The
/// locks of both threads are held, and the caller's is given up here.
fn hand_to<'c>(
    target: &'static Thread,
    cpu: &'static CpuDispatch,
    me: ThreadGuard<'_>,
    pool: Option<&ShuttlePool>,
    held: &mut Held<'c>,
) -> Option<Committed<'c>> {
    let (atomic, transit) = (held.atomic(), InTransit::of_queue(target, held));
    if !may_run_here(target, cpu) {
        count(&cpu.counts.hand_overs_queued);
        sleep_or_go_on(me, pool, held);
        sleep_queue::wake_to_run(transit, Woken::ByEvent);
        return None;
    }
    let event = emit(Kind::Wake, target.id(), EventId::NONE);
    target.woken_by.store(event.to_bits(), Ordering::Relaxed);
    // At which end of a queue it would go in does not matter: it goes into none.
    let _ = class::wakes(target);
    // Before the caller's own state: whoever wants to ask this processor to choose anew from now
    // on, means the target.
    let priority = target.dispatch_priority();
    select::publish_choice(cpu, target, priority);
    sleep_or_go_on(me, pool, held);
    let committed = thread_lock::publish_on_processor(transit, cpu, atomic);
    count(&cpu.counts.hand_overs);
    // The target may be less important than what has been waiting behind the caller. The fence as
    // in `select::ratify`: who enqueues either sees the target's priority or is seen here.
    fence(Ordering::SeqCst);
    let waiting = select::best_waiting(cpu);
    if waiting > priority {
        resched::ask_to_choose(cpu, waiting, atomic);
    }
    Some(committed)
}

/// Whether a thread may run on a processor: it is not bound elsewhere, and of the same partition.
fn may_run_here(thread: &Thread, cpu: &CpuDispatch) -> bool {
    thread.bound_cpu().is_none_or(|bound| ptr::eq(bound, cpu))
        && ptr::eq(enqueue::partition_of(thread), cpu.partition())
        && cpu.is_online()
}

/// Puts the running thread to sleep, which hands its processor over; or back into a queue, if it
/// has been interrupted: the hand-over happens all the same, and the other finds nobody when it
/// looks for the sleeper.
fn sleep_or_go_on(me: ThreadGuard<'_>, pool: Option<&ShuttlePool>, held: &mut Held<'_>) {
    if !me.thread().sleep.is_interrupted() {
        return put_to_sleep(me, pool, held);
    }
    enqueue::enqueue(me.transition(), End::Back);
}

/// Puts the running thread to sleep on the shuttle. It still stands on its stack.
fn put_to_sleep(me: ThreadGuard<'_>, pool: Option<&ShuttlePool>, held: &mut Held<'_>) {
    let thread = me.thread();
    debug_assert!(
        thread.binding.nomigrate.load(Ordering::Relaxed) == 0,
        "{thread:?} sleeps while it is weakly bound: whoever can sleep can afford affinity"
    );
    let address = pool.map_or(ptr::null(), ptr::from_ref);
    thread.shuttle.pool.store(address.cast_mut(), Ordering::Relaxed);
    thread.sleep.set_channel(address.addr());
    emit(Kind::Block, address.addr() as u64, EventId::NONE);
    class::sleeps(&me);
    if let Some(pool) = pool {
        pool.insert(thread, held);
    }
    me.sleep(held);
}

/// Ends the sleep early of a thread whose lock is the shuttle lock. Says whether it slept. One that is set
/// aside does not sleep: it is woken if the hand-over comes to nothing, and otherwise finds
/// out by itself.
pub(crate) fn wake_early(mut guard: ThreadGuard<'_>) -> bool {
    let thread = guard.thread();
    if guard.state() == State::Reserved {
        thread.shuttle.interrupted.store(true, Ordering::Relaxed);
        return false;
    }
    if let Some(pool) = thread.shuttle.pool() {
        pool.remove(thread, guard.held());
    }
    sleep_queue::wake(guard.transition(), Woken::BySignal);
    true
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut guard = Dispatch::current().shuttle_lock.enter_anywhere();
        let (thread, held) = (self.thread, guard.held());
        #[cfg(any(feature = "bug-5017148", feature = "bug-6294464"))]
        history::take_back(thread, held);
        let transit = InTransit::of_queue(thread, held);
        if thread.shuttle.interrupted.swap(false, Ordering::Relaxed) {
            sleep_queue::wake(transit, Woken::BySignal);
        } else {
            transit.into_sleeping(held);
            if let Some(pool) = thread.shuttle.pool() {
                pool.insert(thread, held);
            }
        }
    }
}

/// The thread runs again: why.
fn after_sleep() -> Arrival {
    let thread = Thread::running();
    slept(thread);
    // It was written before the thread was made running or runnable, with the lock held that was
    // the thread's.
    match thread.shuttle.from.load(Ordering::Relaxed) {
        Some(from) => Arrival::HandedOver(Sleeper {
            thread: from,
            sleep: thread.shuttle.from_sleep.load(Ordering::Relaxed),
        }),
        None => Arrival::Interrupted,
    }
}

#[cfg(any(feature = "bug-5017148", feature = "bug-6294464"))]
#[path = "shuttle_history.rs"]
mod history;
