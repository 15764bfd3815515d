//! Turnstiles: where threads sleep that wait for a mutex or a readers-writer lock.
//!
//! A lock is one word. The queue of those who wait for it would make it large, and hardly any lock
//! has waiters at a given moment: there are at most as many queues in use as there are threads
//! asleep. So each thread brings a queue along, its *turnstile*:
//!
//! - the first to sleep for a lock gives its turnstile, which goes into the table under the lock's
//!   address;
//! - each further one puts its own aside, as a *spare* of the one in use;
//! - each that is woken takes a spare along, and the last to be woken takes the one in use. So
//!   every thread that is not asleep has exactly one, though perhaps another than before.
//!
//! The table consists of chains, each behind a dispatcher lock; the address of a lock's word says
//! which. A sleeping thread's lock pointer leads to its chain.
//!
//! # The word
//!
//! All locks that use turnstiles keep their owner in their word in the same manner ([`owner_of`]):
//! so priority inheritance ([`crate::priority_inheritance`]) knows nothing of the kinds of locks.
//!
//! | bits | meaning |
//! |---|---|
//! | [`WAITERS`] | somebody sleeps for the lock |
//! | [`WRITER_WAITS`] | among them somebody who wants to write |
//! | [`READERS`] | held by readers: the rest is their number, and the lock has no owner |
//! | the others | the owner, or the number of readers; all 0: nobody |
//!
//! Invariant, whenever the chain's lock is free: `WAITERS` is set if and only if the lock has a
//! turnstile in the table; and while it is set, the owner changes only under the chain's lock.
//!
//! Who may touch what: everything belongs to the chain's lock, except `willed` and
//! `next_inherited`, which belong to the inheritor's thread lock. `inheritor` changes with
//! both locks held.
//!
//! Solaris: `turnstile_t`, `turnstile_block`, `turnstile_wakeup`.

use crate::atomic_ref::AtomicRef;
use crate::disp_lock::{DispLock, Guarded, Held, LockClass};
use crate::priority::{AtomicPriority, Priority};
use crate::priority_inheritance as inheritance;
use crate::sleep_queue::{self, Woken};
use crate::thread::{State, Thread};
use crate::thread_list::ThreadList;
use crate::thread_lock::{self, InTransit, ThreadGuard};
use crate::weak_binding::assert_may_sleep;
use crate::{Dispatch, class};
use atomics::{AtomicPtr, AtomicUsize, Ordering};
use core::ptr;
use machine::Atomic;
use machine::tracing::emit;
use trace::{EventId, Kind};

/// Somebody sleeps for the lock.
pub(crate) const WAITERS: usize = 1 << 0;
/// Somebody who sleeps for the lock wants to write.
pub(crate) const WRITER_WAITS: usize = 1 << 1;
/// The lock is held by readers.
pub(crate) const READERS: usize = 1 << 2;
const FLAGS: usize = WAITERS | WRITER_WAITS | READERS;

const _: () =
    assert!(align_of::<Thread>() > FLAGS, "the address of a thread leaves room for flags");

/// The one thread that holds the lock with this word, if it is one.
#[inline]
pub(crate) fn owner_of(word: usize) -> Option<&'static Thread> {
    if word & READERS != 0 {
        return None;
    }
    let owner = ptr::with_exposed_provenance::<Thread>(word & !FLAGS);
    // SAFETY: null, or what `mark_of` made of a thread; threads live for ever.
    unsafe { owner.as_ref() }
}

/// The word of a lock that this thread holds.
#[inline]
pub(crate) fn mark_of(thread: &'static Thread) -> usize {
    ptr::from_ref(thread).expose_provenance()
}

/// How many chains the table has. Model checkers pay for each; few make collisions likely.
/// Loom has one: it repeats a run step by step, and addresses differ from run to run.
const CHAINS: usize = if cfg!(feature = "loom") {
    1
} else if cfg!(feature = "shuttle") {
    2
} else {
    128
};

/// In which of a turnstile's two queues a thread sleeps. Who waits for a mutex is a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    Readers = 0,
    Writers = 1,
}

/// A queue of threads that wait for a lock. See the module.
pub(crate) struct Turnstile {
    /// The next in the chain, or among the spares.
    next: AtomicRef<Turnstile>,
    /// The first of the spares: one fewer than threads sleep here.
    spares: AtomicRef<Turnstile>,
    /// The word of the lock for which it is used.
    word: AtomicPtr<AtomicUsize>,
    queues: [Guarded<ThreadList>; 2],
    /// The owner of the lock, once somebody has willed it a priority.
    pub(crate) inheritor: AtomicRef<Thread>,
    /// The highest priority that was willed.
    pub(crate) willed: AtomicPriority,
    /// The next turnstile from which the inheritor inherits.
    pub(crate) next_inherited: AtomicRef<Turnstile>,
}

impl Turnstile {
    fn new() -> Turnstile {
        Turnstile {
            next: AtomicRef::new(None),
            spares: AtomicRef::new(None),
            word: AtomicPtr::new(ptr::null_mut()),
            queues: core::array::from_fn(|_| Guarded::new(ThreadList::EMPTY)),
            inheritor: AtomicRef::new(None),
            willed: AtomicPriority::new(Priority::NONE),
            next_inherited: AtomicRef::new(None),
        }
    }

    /// The address of the lock for which it is used, or 0.
    pub(crate) fn address(&self) -> usize {
        self.word.load(Ordering::Relaxed).addr()
    }

    /// The owner of the lock for which it is used. The caller holds the chain's lock, or knows by
    /// other means that those who sleep here go on sleeping.
    pub(crate) fn owner(&self) -> Option<&'static Thread> {
        let word = self.word.load(Ordering::Relaxed);
        // SAFETY: null, or the word of a lock that somebody sleeps for, who has a reference to it.
        let word = unsafe { word.as_ref() }?;
        owner_of(word.load(Ordering::Relaxed))
    }
}

/// A thread's part in turnstiles.
pub(crate) struct Donation {
    /// The turnstile that it has; while it waits for a lock, the one that it sleeps in. `None` is
    /// the one that it was born with.
    current: AtomicRef<Turnstile>,
    first: Turnstile,
    /// The first of the turnstiles from which it inherits. Protected by the thread lock.
    pub(crate) inherits_from: AtomicRef<Turnstile>,
}

impl Donation {
    pub(crate) fn new() -> Donation {
        Donation {
            current: AtomicRef::new(None),
            first: Turnstile::new(),
            inherits_from: AtomicRef::new(None),
        }
    }

    /// The turnstile that the thread has, or sleeps in.
    pub(crate) fn turnstile(&'static self) -> &'static Turnstile {
        self.current.load(Ordering::Relaxed).unwrap_or(&self.first)
    }
}

/// Whether a locked thread sleeps in a turnstile.
pub(crate) fn sleeps_in_turnstile(guard: &ThreadGuard<'_>) -> bool {
    guard.state() == State::Sleep && guard.lock().class() == LockClass::Turnstile
}

/// All turnstile chains of a system.
pub(crate) struct TurnstileTable {
    chains: [Chain; CHAINS],
}

struct Chain {
    lock: DispLock,
    first: AtomicRef<Turnstile>,
}

impl TurnstileTable {
    pub(crate) fn new() -> TurnstileTable {
        TurnstileTable {
            chains: core::array::from_fn(|_| Chain {
                lock: DispLock::new(LockClass::Turnstile),
                first: AtomicRef::new(None),
            }),
        }
    }

    /// The number of the chain of an address.
    #[cfg_attr(feature = "loom", allow(clippy::modulo_one, reason = "loom has one lock for all"))]
    fn number(address: usize) -> usize {
        // As the addresses of locks differ in the bits above the lowest few.
        let mixed = (address as u64 >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 40) as usize % CHAINS
    }
}

/// The chain of one lock, locked.
pub(crate) struct LockedChain<'a> {
    chain: &'static Chain,
    word: *const AtomicUsize,
    held: Held<'a>,
}

impl<'a> LockedChain<'a> {
    /// Locks the chain of the lock with this word.
    pub(crate) fn of(word: &AtomicUsize, atomic: &'a Atomic) -> LockedChain<'a> {
        let table = &Dispatch::of(atomic).turnstiles;
        let word = ptr::from_ref(word);
        let chain = &table.chains[TurnstileTable::number(word.addr())];
        LockedChain { chain, word, held: chain.lock.enter_high(atomic) }
    }

    /// The turnstiles of the chain.
    fn turnstiles(&self) -> impl Iterator<Item = &'static Turnstile> {
        let next = |turnstile: &&'static Turnstile| turnstile.next.load(Ordering::Relaxed);
        core::iter::successors(self.chain.first.load(Ordering::Relaxed), next)
    }

    /// The turnstile of the lock, if somebody sleeps for it.
    fn turnstile(&self) -> Option<&'static Turnstile> {
        self.turnstiles().find(|turnstile| turnstile.address() == self.word.addr())
    }

    /// The running thread brings its turnstile: for use, or as a spare of the one in use.
    fn bring(&mut self, thread: &'static Thread) -> &'static Turnstile {
        let own = thread.donation.turnstile();
        let Some(used) = self.turnstile() else {
            own.word.store(self.word.cast_mut(), Ordering::Relaxed);
            own.next.store(self.chain.first.load(Ordering::Relaxed), Ordering::Relaxed);
            self.chain.first.store(Some(own), Ordering::Relaxed);
            return own;
        };
        own.next.store(used.spares.load(Ordering::Relaxed), Ordering::Relaxed);
        used.spares.store(Some(own), Ordering::Relaxed);
        thread.donation.current.store(Some(used), Ordering::Relaxed);
        used
    }

    /// A thread that leaves the turnstile takes one along: a spare, or as the last one this itself.
    fn take_along(&mut self, thread: &'static Thread, used: &'static Turnstile) {
        if let Some(spare) = used.spares.load(Ordering::Relaxed) {
            used.spares.store(spare.next.load(Ordering::Relaxed), Ordering::Relaxed);
            spare.next.store(None, Ordering::Relaxed);
            thread.donation.current.store(Some(spare), Ordering::Relaxed);
            return;
        }
        debug_assert!(used.inheritor.load(Ordering::Relaxed).is_none(), "somebody still inherits");
        let next = used.next.load(Ordering::Relaxed);
        let before = self.turnstiles().find(|before| before.next.is(used, Ordering::Relaxed));
        before.map_or(&self.chain.first, |before| &before.next).store(next, Ordering::Relaxed);
        used.next.store(None, Ordering::Relaxed);
        used.word.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Puts the running thread to sleep for the lock and wills its priority to whoever is in its
    /// way. It still runs, and calls `swtch` next; it may be woken and chosen elsewhere before. The
    /// caller has set [`WAITERS`], under this lock. Solaris: `turnstile_block`.
    pub(crate) fn sleep(mut self, queue: Queue) {
        let atomic = self.held.atomic();
        let guard = thread_lock::lock(Thread::current(atomic), atomic);
        let thread = guard.thread();
        assert_may_sleep(thread);
        let turnstile = self.bring(thread);
        let threads = &turnstile.queues[queue as usize];
        thread.sleep.fall_asleep(self.word.addr(), threads);
        emit(Kind::Block, self.word.addr() as u64, EventId::NONE);
        class::sleeps(&guard);
        // SAFETY: the chain's lock is held, and the turnstile is in this chain.
        unsafe { threads.access(&mut self.held) }.insert_by_priority(thread);
        guard.sleep(&self.held);
        inheritance::will(ThreadGuard::of_queue(thread, self.held));
    }

    /// The first of those with the highest priority who sleep in a queue.
    pub(crate) fn first(&mut self, queue: Queue) -> Option<&'static Thread> {
        let turnstile = self.turnstile()?;
        // SAFETY: the chain's lock is held, and the turnstile is in this chain.
        unsafe { turnstile.queues[queue as usize].access(&mut self.held) }.first()
    }

    /// How many threads of at least this priority sleep in a queue.
    pub(crate) fn count(&mut self, queue: Queue, at_least: Priority) -> usize {
        let Some(turnstile) = self.turnstile() else { return 0 };
        // SAFETY: the chain's lock is held, and the turnstile is in this chain.
        let threads = unsafe { turnstile.queues[queue as usize].access(&mut self.held) };
        threads.iter().take_while(|thread| thread.dispatch_priority() >= at_least).count()
    }

    /// The owner, who calls this, gives up what it inherited on account of this lock.
    pub(crate) fn waive(&mut self) {
        if let Some(turnstile) = self.turnstile() {
            inheritance::waive(turnstile, self.held.atomic());
        }
    }

    /// Takes the first thread out of a queue.
    pub(crate) fn take_first(&mut self, queue: Queue) -> Option<InTransit<'a>> {
        let turnstile = self.turnstile()?;
        // SAFETY: the chain's lock is held, and the turnstile is in this chain.
        let thread =
            unsafe { turnstile.queues[queue as usize].access(&mut self.held) }.pop_front()?;
        self.take_along(thread, turnstile);
        Some(InTransit::of_queue(thread, &self.held))
    }

    /// A thread that was taken out owns the lock from now on: those who still sleep will it their
    /// priorities.
    pub(crate) fn will_to(&mut self, owner: &InTransit<'_>) {
        let Some(turnstile) = self.turnstile() else { return };
        let best = [self.first(Queue::Readers), self.first(Queue::Writers)];
        let best = best.into_iter().flatten().map(Thread::dispatch_priority).max();
        inheritance::will_to_new_owner(turnstile, owner, best.unwrap_or(Priority::NONE));
    }

    /// Wakes everybody who sleeps for the lock; they will try again.
    pub(crate) fn wake_all(&mut self) {
        for queue in [Queue::Writers, Queue::Readers] {
            while let Some(transit) = self.take_first(queue) {
                wake(transit);
            }
        }
    }
}

/// Makes a thread runnable that was taken out.
pub(crate) fn wake(transit: InTransit<'_>) {
    sleep_queue::wake_to_run(transit, Woken::ByEvent);
}

/// The number of the chain to which the lock at this address belongs: for whoever looks at a
/// sleeping thread, and for tests.
pub fn chain_of<T>(lock: &T) -> usize {
    TurnstileTable::number(ptr::from_ref(lock).addr())
}

/// How many turnstiles are in use at this moment: how many locks have somebody asleep. For the
/// watchdog, and for tests.
pub fn in_use() -> usize {
    let level = machine::pil::raise_anywhere(machine::Pil::DISP);
    let chains = &Dispatch::of(level.atomic()).turnstiles.chains;
    let count = |chain: &'static Chain| {
        let held = chain.lock.enter_high(level.atomic());
        let chain = LockedChain { chain, word: ptr::null(), held };
        chain.turnstiles().count()
    };
    chains.iter().map(count).sum()
}

impl Thread {
    /// The turnstile that it has or sleeps in, as a number to be compared: no two threads that are
    /// awake ever have the same.
    pub fn turnstile_number(&'static self) -> usize {
        ptr::from_ref(self.donation.turnstile()).addr()
    }
}
