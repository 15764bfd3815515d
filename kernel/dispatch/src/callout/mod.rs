//! Callouts: functions that a processor calls when their time has come.
//!
//! Each processor has a queue of its own ([`heap`]), and its one-shot timer is set to the earliest
//! deadline in it. A [`Callout`] is its owner's: a field of something that lives for ever, or
//! pinned on a stack. It is armed as often as one likes.
//!
//! # What a handler may do
//!
//! It runs at the clock's level on the processor in whose queue the callout was, straight from the
//! timer's interrupt or in an interrupt thread; what it gets is an [`Atomic`], so it cannot block.
//! It holds no lock of this module: it may arm and cancel callouts, its own too, and wake threads.
//! One handler runs at a time per processor, and one that is running cannot be made to wait by
//! anything on its own processor. That is why waiting for a handler is a short spin.
//!
//! # Which queue
//!
//! A callout's `home` is the processor in whose queue it is, or was last (the first processor's, if
//! it never was in one). The home's lock protects the callout. Who wants it looks up the home,
//! takes its lock and looks again, as with a thread lock. Arming moves the home to the processor
//! that arms; but while its handler runs the home stays, so that a callout has to be looked for in
//! one place only. So the timer of *another* processor may have to be set: that one is told by a
//! poke.
//!
//! The lock is at `DISP_LEVEL`: nothing here is for handlers of higher levels. It may be taken with
//! dispatcher locks held, and none is taken while it is held.
//!
//! Solaris: `callout_table_t`, `timeout`, `untimeout`.

mod heap;

use crate::Dispatch;
use crate::atomic_ref::AtomicRef;
use crate::cpu::{CpuDispatch, count};
use atomics::cell::SharedCell;
use atomics::{AtomicBool, Ordering};
use core::marker::PhantomPinned;
use core::pin::Pin;
use core::ptr::NonNull;
use heap::{Heap, Node};
use machine::spin_lock::SpinGuard;
use machine::{Atomic, Pil, SpinLock, pil, poke, time};

const LEVEL: u8 = Pil::DISP.number();

/// What is called. See the module for what it may do.
pub type Handler = fn(argument: usize, atomic: &Atomic);

/// A function that is called at a time. See the module.
///
/// Dropping it cancels it and waits until its handler is done.
pub struct Callout {
    home: AtomicRef<CpuDispatch>,
    node: SharedCell<Node>,
    call: SharedCell<Call>,
    _pinned: PhantomPinned,
}

/// What is called, and whether it is going to be. Protected by the home's lock, like the node.
#[derive(Clone, Copy)]
struct Call {
    pending: bool,
    handler: Handler,
    argument: usize,
}

// SAFETY: the cells are the home's lock's holder's.
unsafe impl Sync for Callout {}
// SAFETY: as above; and what is pinned does not move while it is armed.
unsafe impl Send for Callout {}

/// The callouts of a processor.
pub(crate) struct CalloutQueue {
    inner: SpinLock<Inner, LEVEL>,
    /// Another processor has changed the earliest deadline, and the timer has to be set.
    stale: AtomicBool,
}

struct Inner {
    heap: Heap,
    /// The deadline that the timer is set to; `u64::MAX` if to none.
    programmed: u64,
    /// The callout whose handler runs.
    running: Option<NonNull<Callout>>,
}

// SAFETY: of the running callout only the address is looked at; about the heap see there.
unsafe impl Send for Inner {}

type Locked<'a> = SpinGuard<'a, Inner, LEVEL>;

impl CalloutQueue {
    pub(crate) fn new() -> CalloutQueue {
        let inner = Inner { heap: Heap::EMPTY, programmed: u64::MAX, running: None };
        CalloutQueue { inner: SpinLock::new(inner), stale: AtomicBool::new(false) }
    }

    /// Sets the timer of the current processor, whose queue is locked, if the earliest deadline is
    /// before what it is set to.
    fn program(&self, inner: &mut Inner, atomic: &Atomic) {
        if let Some(deadline) = inner.heap.earliest()
            && deadline < inner.programmed
        {
            inner.programmed = deadline;
            time::set_timer(atomic, deadline);
        }
    }

    /// Another processor has poked this one; perhaps about the timer.
    #[inline]
    pub(crate) fn poked(&self, atomic: &Atomic) {
        if self.stale.load(Ordering::Acquire) {
            self.stale.store(false, Ordering::Relaxed);
            let mut inner = self.inner.lock_within(atomic);
            if inner.heap.earliest().is_none() {
                inner.programmed = u64::MAX;
                time::stop_timer(atomic);
            }
            self.program(&mut inner, atomic);
        }
    }
}

/// Sets the current processor's timer anew, whatever it is set to: for who has used it for something else, beside the
/// callouts (checks of the timer itself).
pub fn set_timer_anew(atomic: &Atomic) {
    let queue = &CpuDispatch::current(atomic).callouts;
    let mut inner = queue.inner.lock_within(atomic);
    inner.programmed = u64::MAX;
    if inner.heap.earliest().is_none() {
        time::stop_timer(atomic);
    }
    queue.program(&mut inner, atomic);
}

/// A processor's timer has run out: calls what is due. At the clock's level, on that processor.
pub(crate) fn run_due(cpu: &'static CpuDispatch, atomic: &Atomic) {
    let queue = &cpu.callouts;
    let mut inner = queue.inner.lock_within(atomic);
    debug_assert!(inner.running.is_none(), "one handler at a time");
    inner.programmed = u64::MAX;
    // What a handler arms waits for the next interrupt, so that this ends.
    let (now, before) = (time::now(), inner.heap.inserted());
    while let Some(callout) = inner.heap.take_due(now, before) {
        inner.running = Some(callout);
        // SAFETY: it was in the heap until now; whoever frees it waits until it no longer runs.
        let call = unsafe { callout.as_ref() }.change(&mut inner, |call| {
            call.pending = false;
            *call
        });
        drop(inner);
        count(&cpu.counts.callouts);
        (call.handler)(call.argument, atomic);
        inner = queue.inner.lock_within(atomic);
        inner.running = None;
    }
    queue.program(&mut inner, atomic);
}

impl Callout {
    /// A callout that is not armed.
    #[expect(clippy::new_without_default, reason = "a default callout would be an odd thing")]
    pub fn new() -> Callout {
        fn nothing(_: usize, _: &Atomic) {}
        Callout {
            home: AtomicRef::new(None),
            node: SharedCell::new(Node::new()),
            call: SharedCell::new(Call { pending: false, handler: nothing, argument: 0 }),
            _pinned: PhantomPinned,
        }
    }

    fn change<R>(&self, _home: &mut Inner, act: impl FnOnce(&mut Call) -> R) -> R {
        // SAFETY: the home's lock is held, and lent out once.
        let mut call = unsafe { self.call.access() };
        act(&mut call)
    }

    /// Locks the queue of its home.
    fn lock_home<'a>(&self, atomic: &'a Atomic) -> (&'static CpuDispatch, Locked<'a>) {
        loop {
            let home = self.home.load(Ordering::Acquire);
            let Some(cpu) = home.or_else(|| Dispatch::of(atomic).cpus().next()) else {
                panic!("there is no processor");
            };
            let inner = cpu.callouts.inner.lock_within(atomic);
            let again = self.home.load(Ordering::Acquire);
            if again.map(CpuDispatch::index) == home.map(CpuDispatch::index) {
                return (cpu, inner);
            }
        }
    }

    /// Takes it out of the home's queue, if it is there. The timer stays as it is: an interrupt too
    /// many costs less than setting it.
    fn withdraw(&self, inner: &mut Inner) -> bool {
        let was_pending = self.change(inner, |call| core::mem::replace(&mut call.pending, false));
        if was_pending {
            inner.heap.remove(NonNull::from(self));
        }
        was_pending
    }

    fn is_running(&self, inner: &Inner) -> bool {
        inner.running == Some(NonNull::from(self))
    }

    /// Lets `handler(argument)` be called at `deadline`, in ticks of the clock; at once if that is
    /// past. Takes the place of what was armed before, and says whether that was still to come.
    pub fn arm(self: Pin<&Self>, deadline: u64, handler: Handler, argument: usize) -> bool {
        let level = pil::raise_anywhere(Pil::DISP);
        let atomic = level.atomic();
        let here = CpuDispatch::current(atomic);
        let mut was_pending = false;
        loop {
            let (home, mut inner) = self.lock_home(atomic);
            was_pending |= self.withdraw(&mut inner);
            let stays = self.is_running(&inner) || home.is_here(atomic);
            if !stays {
                // It is in no queue now, so nothing but the pointer has to move. Whoever comes in
                // between finds it not armed.
                self.home.store(Some(here), Ordering::Release);
                continue;
            }
            self.home.store(Some(home), Ordering::Release);
            self.change(&mut inner, |call| *call = Call { pending: true, handler, argument });
            inner.heap.insert(NonNull::from(self.get_ref()), deadline);
            if home.is_here(atomic) {
                home.callouts.program(&mut inner, atomic);
            } else {
                drop(inner);
                tell(home);
            }
            return was_pending;
        }
    }

    /// Cancels it. Says whether it was still to come; if not, its handler may be running at this
    /// moment.
    pub fn cancel(&self) -> bool {
        let level = pil::raise_anywhere(Pil::DISP);
        let (_, mut inner) = self.lock_home(level.atomic());
        self.withdraw(&mut inner)
    }

    /// Cancels it and waits until its handler, if that runs, is done: then nothing of it is left.
    /// Says whether it was still to come. Not for its own handler, which would wait for itself, nor
    /// for who holds a lock that the handler wants.
    pub fn cancel_and_wait(&self) -> bool {
        let mut was_pending = false;
        loop {
            let level = pil::raise_anywhere(Pil::DISP);
            let (home, mut inner) = self.lock_home(level.atomic());
            // Also the next time: the handler may have armed it again.
            was_pending |= self.withdraw(&mut inner);
            if !self.is_running(&inner) {
                return was_pending;
            }
            assert!(
                !home.is_here(level.atomic()),
                "a callout's handler waits for its own end: cancel_and_wait is not for handlers"
            );
            drop(inner);
            drop(level);
            machine::spin();
        }
    }

    /// Whether it is still to come, at this moment.
    pub fn is_pending(&self) -> bool {
        let level = pil::raise_anywhere(Pil::DISP);
        let (_, mut inner) = self.lock_home(level.atomic());
        self.change(&mut inner, |call| call.pending)
    }
}

impl Drop for Callout {
    fn drop(&mut self) {
        // Without a home it was never armed.
        if self.home.load(Ordering::Relaxed).is_some() {
            self.cancel_and_wait();
        }
    }
}

/// Has another processor set its timer.
fn tell(cpu: &CpuDispatch) {
    cpu.callouts.stale.store(true, Ordering::Release);
    poke::poke(cpu.cpu());
}

/// Moves all callouts of `from` to `to`: for a processor that goes off line, which runs no threads
/// any longer and so arms none. Waits for a handler that runs there.
pub fn migrate_callouts(from: &'static CpuDispatch, to: &'static CpuDispatch) {
    debug_assert!(!core::ptr::eq(from, to), "callouts move to another processor");
    crate::tick::stop(from);
    loop {
        let level = pil::raise_anywhere(Pil::DISP);
        let atomic = level.atomic();
        // Two of these locks are taken in the order of the processors.
        let (mut source, mut target) = if from.index() < to.index() {
            let source = from.callouts.inner.lock_within(atomic);
            (source, to.callouts.inner.lock_within(atomic))
        } else {
            let target = to.callouts.inner.lock_within(atomic);
            (from.callouts.inner.lock_within(atomic), target)
        };
        if source.running.is_none() {
            move_all(&mut source, &mut target, to);
            drop(source);
            drop(target);
            // The one has a timer to set, the other to stop.
            tell(to);
            tell(from);
            return;
        }
        assert!(!from.is_here(atomic), "a handler moves the callouts of its own processor");
        drop(source);
        drop(target);
        drop(level);
        machine::spin();
    }
}

fn move_all(source: &mut Inner, target: &mut Inner, to: &'static CpuDispatch) {
    while let Some(callout) = source.heap.take_earliest() {
        // SAFETY: it was in the heap until now, and nobody gets at it while both locks are held.
        let moved = unsafe { callout.as_ref() };
        moved.home.store(Some(to), Ordering::Release);
        // SAFETY: as above: the locks of the old home and of the new are held.
        let deadline = unsafe { moved.node.access() }.key.0;
        target.heap.insert(callout, deadline);
    }
}

/// How many callouts are to come on a processor, at this moment.
pub fn pending_callouts(cpu: &'static CpuDispatch) -> usize {
    cpu.callouts.inner.lock_anywhere().heap.count()
}
