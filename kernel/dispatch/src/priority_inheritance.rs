//! Priority inheritance: who waits for a lock lends its priority to whoever holds it.
//!
//! A thread of high priority that waits for a lock which a thread of low priority holds would
//! otherwise wait for everything in between, too: that keeps the holder from its processor. So the
//! waiter *wills* its priority to the owner; if the owner waits for a lock itself, on to the owner
//! of that; and so on to the end of the chain, whatever each is doing ([`crate::change_priority`]).
//!
//! A thread's inherited priority is the highest that was willed to it through any of the turnstiles
//! on its list. When it releases a lock it *waives* what came through that lock's turnstile and
//! counts again from the others, so locks may be released in any order.
//!
//! What comes with it, as in Solaris: a lock held by readers has no owner, so nobody inherits; a
//! waiter whose priority is lowered while it waits does not take back what it has willed.
//!
//! # Two locks
//!
//! A step needs the waiter's turnstile chain and the owner's thread lock. The owner's may be *any*
//! dispatcher lock. All classes but one come after turnstile chains in the lock order, and are
//! simply taken. Another turnstile chain is tried; if that fails it is waited for if its address is
//! higher, and otherwise the walk backs out: it releases the first lock, waits until the other may
//! be free, and takes the step again. No livelock: of the chains that anybody wants, whoever holds
//! the one with the lowest address never backs out.
//!
//! # Cycles
//!
//! If the owners wait for each other in a circle, the walk meets a thread twice and panics. It
//! always does:
//!
//! - A walk goes to the end of the chain, even where no priority is left to raise. Each thread of
//!   the circle publishes that it sleeps before it walks, so the one that published last finds all
//!   the others asleep.
//! - Whoever comes to the circle from outside would go round for ever; so what is compared is
//!   not the beginning but a mark, which moves on after 1, 2, 4, ... steps (Brent's way to
//!   find a cycle).
//!
//! And it never does without reason. The walk locks the next thread before it unlocks the last.
//! A thread that sleeps for a lock goes on only when the owner releases that; the owner was
//! asleep when the walk went by, and so on: as long as the thread at which the walk stands
//! sleeps, everybody behind it does. After backing out this is not certain any longer, and the
//! mark is set anew.
//!
//! Solaris: `turnstile_pi_inherit`, `turnstile_pi_waive`, `turnstile_interlock`.

use crate::change_priority::change_priority;
use crate::disp_lock::LockClass;
use crate::priority::Priority;
use crate::run_queue::End;
use crate::thread::Thread;
use crate::thread_lock::{self, InTransit, ThreadGuard};
use crate::turnstile::{Turnstile, sleeps_in_turnstile};
use atomics::Ordering;
use core::fmt;
use core::ptr;
use machine::Atomic;

/// Wills the priority of a thread, which sleeps in a turnstile, along its chain.
pub(crate) fn will(mut waiter: ThreadGuard<'_>) {
    let atomic = waiter.atomic();
    let mut mark = Mark::new(waiter.thread());
    loop {
        let thread = waiter.thread();
        let turnstile = thread.donation.turnstile();
        let Some(owner) = turnstile.owner() else { return };
        if mark.is_met_again(owner) {
            panic!("{}", Deadlock(owner));
        }
        let priority = thread.dispatch_priority();
        let next = match lock_owner(waiter, owner) {
            Some(Both { behind, owner }) => {
                inherit(turnstile, &owner, priority);
                drop(behind);
                raise(owner, priority)
            }
            None => {
                mark = Mark::new(thread);
                thread_lock::lock_if_alive(thread, atomic)
            }
        };
        match next {
            Some(next) if sleeps_in_turnstile(&next) => waiter = next,
            _ => return,
        }
    }
}

/// The owner of a lock, locked, and who waits for the lock, if that takes another dispatcher lock.
struct Both<'a> {
    behind: Option<ThreadGuard<'a>>,
    owner: ThreadGuard<'a>,
}

/// Locks the owner of the lock that a locked thread waits for. `None` if the walk had to back out;
/// then nothing is locked. See the module.
fn lock_owner<'a>(waiter: ThreadGuard<'a>, owner: &'static Thread) -> Option<Both<'a>> {
    let ours = waiter.lock();
    loop {
        let Some(theirs) = owner.lock_pointer() else {
            panic!(
                "{owner:?} is over and still holds a lock, for which {:?} waits",
                waiter.thread()
            );
        };
        if ptr::eq(ours, theirs) {
            return Some(Both {
                behind: None,
                owner: ThreadGuard::of_queue(owner, waiter.into_held()),
            });
        }
        if let Some(owner) = thread_lock::try_lock(owner, waiter.atomic()) {
            return Some(Both { behind: Some(waiter), owner });
        }
        if theirs.class() == LockClass::Turnstile && ptr::from_ref(theirs) < ptr::from_ref(ours) {
            drop(waiter);
            thread_lock::wait(owner);
            return None;
        }
        machine::spin();
    }
}

/// The owner of the turnstile's lock inherits through it. The caller holds the chain's lock.
fn inherit(turnstile: &'static Turnstile, owner: &ThreadGuard<'_>, priority: Priority) {
    match turnstile.inheritor.load(Ordering::Relaxed) {
        None => list(turnstile, owner.thread(), priority),
        Some(inheritor) => {
            debug_assert!(ptr::eq(inheritor, owner.thread()), "a lock has one owner at a time");
            turnstile.willed.store(turnstile.willed.load().max(priority));
        }
    }
}

/// Puts a turnstile on the list of those from which a thread, which the caller
/// has locked, inherits.
fn list(turnstile: &'static Turnstile, heir: &'static Thread, priority: Priority) {
    let first = &heir.donation.inherits_from;
    turnstile.willed.store(priority);
    turnstile.next_inherited.store(first.load(Ordering::Relaxed), Ordering::Relaxed);
    first.store(Some(turnstile), Ordering::Relaxed);
    turnstile.inheritor.store(Some(heir), Ordering::Relaxed);
}

/// Lets a thread have at least this priority. Returns it, unless it was runnable: then it is
/// unlocked by now, and waits for nothing that would matter here.
fn raise(owner: ThreadGuard<'_>, priority: Priority) -> Option<ThreadGuard<'_>> {
    if priority <= owner.thread().inherited.load() {
        return Some(owner);
    }
    change_priority(owner, End::Front, |thread| thread.inherited.store(priority))
}

/// A thread that has just been taken out of this turnstile is the new owner of its lock, and
/// inherits from those who are left. The caller holds the chain's lock, which is the thread's.
pub(crate) fn will_to_new_owner(
    turnstile: &'static Turnstile,
    owner: &InTransit<'_>,
    priority: Priority,
) {
    let owner = owner.thread();
    list(turnstile, owner, priority);
    owner.inherited.store(owner.inherited.load().max(priority));
}

/// The turnstiles from which a thread inherits. The caller has locked the thread.
fn inherited_through(thread: &'static Thread) -> impl Iterator<Item = &'static Turnstile> {
    let next = |turnstile: &&'static Turnstile| turnstile.next_inherited.load(Ordering::Relaxed);
    core::iter::successors(thread.donation.inherits_from.load(Ordering::Relaxed), next)
}

/// The owner of the turnstile's lock, which is the running thread, gives up what it inherited
/// through it. The caller holds the chain's lock. The thread may be on its way to sleep, for
/// a condition variable.
pub(crate) fn waive(turnstile: &'static Turnstile, atomic: &Atomic) {
    let Some(heir) = turnstile.inheritor.load(Ordering::Relaxed) else { return };
    let guard = thread_lock::lock(heir, atomic);
    let next = turnstile.next_inherited.load(Ordering::Relaxed);
    let before = inherited_through(heir)
        .find(|before| before.next_inherited.is(turnstile, Ordering::Relaxed));
    before
        .map_or(&heir.donation.inherits_from, |before| &before.next_inherited)
        .store(next, Ordering::Relaxed);
    turnstile.inheritor.store(None, Ordering::Relaxed);
    turnstile.next_inherited.store(None, Ordering::Relaxed);
    turnstile.willed.store(Priority::NONE);
    let left = inherited_through(heir).map(|turnstile| turnstile.willed.load()).max();
    let left = left.unwrap_or(Priority::NONE);
    if left != heir.inherited.load() {
        drop(change_priority(guard, End::Front, |thread| thread.inherited.store(left)));
    }
}

/// The thread that a walk compares with: if it comes there again, it goes round. See the module.
struct Mark {
    thread: &'static Thread,
    steps: u32,
    /// After how many steps the mark moves on.
    stride: u32,
}

impl Mark {
    fn new(thread: &'static Thread) -> Mark {
        Mark { thread, steps: 0, stride: 1 }
    }

    /// The walk takes a step to `next`. Says whether that is the marked thread.
    fn is_met_again(&mut self, next: &'static Thread) -> bool {
        if ptr::eq(self.thread, next) {
            return true;
        }
        self.steps += 1;
        if self.steps == self.stride {
            *self = Mark { thread: next, steps: 0, stride: self.stride * 2 };
        }
        false
    }
}

/// A circle of threads each of which waits for the next, as a message: one of them. They sleep for
/// ever, so this reads without locks.
struct Deadlock(&'static Thread);

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "locks are waited for in a circle:")?;
        let mut thread = self.0;
        loop {
            let turnstile = thread.donation.turnstile();
            let Some(owner) = turnstile.owner() else { return Ok(()) };
            let (id, name, address) = (thread.id(), thread.name(), turnstile.address());
            write!(f, "\n  thread {id} ({name}) waits for the lock at {address:#x}, ")?;
            write!(f, "which thread {} ({}) holds", owner.id(), owner.name())?;
            if ptr::eq(owner, self.0) {
                return Ok(());
            }
            thread = owner;
        }
    }
}
