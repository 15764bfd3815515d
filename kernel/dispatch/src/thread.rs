//! A thread, as the dispatcher knows it.
//!
//! A thread is `&'static Thread`: its memory is a thread's for ever, and what was read from it is
//! never garbage, only perhaps out of date. When a thread is over its object is used again for
//! another; its number (`id`) tells the two apart.
//!
//! Who may touch what:
//!
//! | fields | protected by |
//! |---|---|
//! | state, lock pointer, queue, priorities, bindings | the thread lock ([`crate::thread_lock`]) |
//! | links, wait list, wait channel | the lock of the list that the thread is in |
//! | context, owner, pinned thread | the thread itself, or whoever switches to it |
//! | `on_cpu` | set by who switches to it, cleared by who was switched to instead |
//!
//! The fields are those of Solaris' `kthread_t` under whole names.

use crate::atomic_ref::AtomicRef;
use crate::class::ClassData;
use crate::cpu::CpuDispatch;
use crate::disp_lock::DispLock;
use crate::dispatch_queue::DispatchQueue;
use crate::interrupt_thread::InterruptPart;
use crate::kernel_thread::Life;
use crate::owner::ThreadOwner;
use crate::partition::Partition;
use crate::priority::{AtomicPriority, Priority};
use crate::shuttle::ShuttlePart;
use crate::sleep_queue::Sleep;
use crate::thread_list::Links;
use crate::turnstile::Donation;
use atomics::cell::SharedCell;
use atomics::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use core::fmt;
use machine::{Atomic, Context};

/// The states of a thread. For each, the lock that its lock pointer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// Not in use, or not yet begun: the transition lock. Of an interrupt thread, waiting for an
    /// interrupt: its processor's thread lock.
    Free,
    /// Asleep: a sleep queue's lock, a turnstile chain's, or the shuttle lock.
    Sleep,
    /// Waiting for a processor: its run queue's lock.
    Run,
    /// On a processor: that processor's thread lock.
    OnProcessor,
    /// Over: no lock.
    Zombie,
    /// Stopped: the stop lock.
    Stopped,
    /// Set aside for a hand-over: the shuttle lock.
    Reserved,
}

impl State {
    fn from_number(number: u8) -> State {
        match number {
            0 => State::Free,
            1 => State::Sleep,
            2 => State::Run,
            3 => State::OnProcessor,
            4 => State::Zombie,
            5 => State::Stopped,
            _ => State::Reserved,
        }
    }
}

/// Something that a thread is asked to do before it returns to user mode: bits of
/// [`Thread::asynchronous`].
pub mod asynchronous {
    /// Its processor has something better to run.
    pub const RUNRUN: u32 = 1 << 0;
    /// Its binding has changed.
    pub const CHANGE_BINDING: u32 = 1 << 1;
    /// A signal, or whatever else its owner has for it.
    pub const OWNER: u32 = 1 << 2;
    /// It is to stop ([`crate::stop`]). Changed under the thread lock.
    pub const STOP: u32 = 1 << 3;
}

/// The binding of a thread; see [`crate::binding`].
pub(crate) struct Binding {
    /// The processor that it is bound to strongly: by affinity, or by a user's request.
    pub(crate) strong: AtomicRef<CpuDispatch>,
    /// The processor that it is bound to weakly.
    pub(crate) weak: AtomicRef<CpuDispatch>,
    /// The processor that a user has asked for; inert while affinity is set.
    pub(crate) requested: AtomicRef<CpuDispatch>,
    /// How often affinity is set.
    pub(crate) affinity: AtomicU32,
    /// How often migration is off: above 0 by weak binding, below 0 (as `i32`) by preemption off.
    pub(crate) nomigrate: AtomicU32,
    /// Whether a user's request gives way when its processor goes off line.
    pub(crate) soft: AtomicBool,
}

impl Binding {
    fn new() -> Binding {
        Binding {
            strong: AtomicRef::new(None),
            weak: AtomicRef::new(None),
            requested: AtomicRef::new(None),
            affinity: AtomicU32::new(0),
            nomigrate: AtomicU32::new(0),
            soft: AtomicBool::new(false),
        }
    }
}

/// A thread. See the module.
pub struct Thread {
    /// Its number, given anew each time that the object is used.
    pub(crate) id: AtomicU64,
    state: AtomicU8,
    lock: AtomicRef<DispLock>,
    /// Its own priority, set by its class.
    pub(crate) priority: AtomicPriority,
    /// What it inherits from those who wait for it; [`Priority::NONE`] if nobody does.
    pub(crate) inherited: AtomicPriority,
    /// The processor that it runs on or ran on last.
    pub(crate) cpu: AtomicRef<CpuDispatch>,
    /// The queue that it waits in, or came from last.
    pub(crate) dispatch_queue: AtomicRef<DispatchQueue>,
    /// The partition of processors that it may run on.
    pub(crate) partition: AtomicRef<Partition>,
    pub(crate) binding: Binding,
    /// The next in the list of all threads.
    pub(crate) next_of_all: AtomicRef<Thread>,
    /// Some processor still stands on its stack.
    pub(crate) on_cpu: AtomicBool,
    pub(crate) links: SharedCell<Links>,
    /// How it sleeps.
    pub(crate) sleep: Sleep,
    /// Its part in hand-overs.
    pub(crate) shuttle: ShuttlePart,
    /// Its part in turnstiles.
    pub(crate) donation: Donation,
    /// What its scheduling class keeps.
    pub(crate) class: ClassData,
    /// Of an interrupt thread, what it has interrupted.
    pub(crate) interrupt: InterruptPart,
    /// How it began and how it ends.
    pub(crate) life: Life,
    pub(crate) context: Context,
    /// Things to do before it returns to user mode; see [`asynchronous`].
    pub asynchronous: AtomicU32,
    owner: SharedCell<Option<&'static dyn ThreadOwner>>,
    /// When it ran last, in ticks: how warm its processor's cache is.
    pub(crate) ran_at: AtomicU64,
    /// When it last became runnable after a sleep or a stop, in ticks; 0: not yet. Core's atomic in every flavour:
    /// written before it is put into its queue, read by who switches to it.
    pub(crate) runnable_at: core::sync::atomic::AtomicU64,
    /// The event that woke it, as the cause of its next dispatch.
    pub(crate) woken_by: AtomicU64,
    /// How often it gave up its processor by itself.
    pub(crate) voluntary: AtomicU64,
    /// How often its processor was taken away.
    pub(crate) involuntary: AtomicU64,
}

// SAFETY: each field is atomic, or touched only under the rules in the module's table.
unsafe impl Sync for Thread {}
// SAFETY: as above.
unsafe impl Send for Thread {}

impl Thread {
    /// A thread that is not in use.
    pub fn unused() -> Thread {
        Thread {
            id: AtomicU64::new(0),
            state: AtomicU8::new(State::Free as u8),
            lock: AtomicRef::new(None),
            priority: AtomicPriority::new(Priority::MIN),
            inherited: AtomicPriority::new(Priority::NONE),
            cpu: AtomicRef::new(None),
            dispatch_queue: AtomicRef::new(None),
            partition: AtomicRef::new(None),
            binding: Binding::new(),
            next_of_all: AtomicRef::new(None),
            on_cpu: AtomicBool::new(false),
            links: SharedCell::new(Links::NONE),
            sleep: Sleep::new(),
            shuttle: ShuttlePart::new(),
            donation: Donation::new(),
            class: ClassData::new(),
            interrupt: InterruptPart::new(),
            life: Life::new(),
            context: Context::unstarted(),
            asynchronous: AtomicU32::new(0),
            owner: SharedCell::new(None),
            ran_at: AtomicU64::new(0),
            runnable_at: core::sync::atomic::AtomicU64::new(0),
            woken_by: AtomicU64::new(0),
            voluntary: AtomicU64::new(0),
            involuntary: AtomicU64::new(0),
        }
    }

    /// The code that runs now, as a thread: to be given to [`crate::start`].
    pub fn of_running_code() -> Thread {
        Thread { context: Context::of_running(), ..Thread::unused() }
    }

    /// The running thread.
    #[inline]
    pub fn current(atomic: &Atomic) -> &'static Thread {
        CpuDispatch::current(atomic).thread()
    }

    /// The running thread, from code that may move between processors: the answer stays right.
    #[inline]
    pub fn running() -> &'static Thread {
        // SAFETY: null, or a `&'static Thread`: only `CpuDispatch::set_thread` sets it.
        let thread = unsafe { machine::Cpu::running().cast::<Thread>().as_ref() };
        match thread {
            Some(thread) => thread,
            None => no_thread_yet(),
        }
    }

    /// Its number: no other thread of the system ever has the same.
    pub fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    /// Its state at this moment: a hint, unless the caller holds its lock.
    #[inline]
    pub fn state(&self) -> State {
        State::from_number(self.state.load(Ordering::Relaxed))
    }

    /// The lock that its pointer leads to at this moment: a hint for whoever looks.
    #[inline]
    pub fn lock_pointer(&self) -> Option<&'static DispLock> {
        self.lock.load(Ordering::Acquire)
    }

    /// Whether its lock pointer leads here.
    #[inline]
    pub(crate) fn is_locked_by(&self, lock: &DispLock) -> bool {
        self.lock.is(lock, Ordering::Acquire)
    }

    /// Changes state and lock pointer, the pointer last: whoever takes the new lock sees
    /// the new state.
    ///
    /// For a thread that others know this is called by the guards of [`crate::thread_lock`] alone; elsewhere only
    /// for one that begins, is over, or is its processor's own.
    #[inline]
    pub(crate) fn publish(&self, state: State, lock: Option<&'static DispLock>) {
        if cfg!(feature = "bug-4699850") {
            // As two plain stores, which a compiler may exchange, had it: the new lock is visible
            // first, and it is free.
            self.lock.store(lock, Ordering::Relaxed);
            self.state.store(state as u8, Ordering::Relaxed);
            return;
        }
        self.state.store(state as u8, Ordering::Relaxed);
        self.lock.store(lock, Ordering::Release);
    }

    /// Its lock pointer alone: to the transition lock, by who holds its lock.
    #[inline]
    pub(crate) fn set_lock_pointer(&self, lock: Option<&'static DispLock>) {
        self.lock.store(lock, Ordering::Release);
    }

    /// The priority that counts: its own or what it inherits.
    #[inline]
    pub fn dispatch_priority(&self) -> Priority {
        self.priority.load().max(self.inherited.load())
    }

    /// Its own priority.
    pub fn own_priority(&self) -> Priority {
        self.priority.load()
    }

    /// What it inherits from those who wait for what it holds.
    pub fn inherited_priority(&self) -> Priority {
        self.inherited.load()
    }

    /// The processor whose queue it has to be in: weak binding goes before strong.
    #[inline]
    pub(crate) fn bound_cpu(&self) -> Option<&'static CpuDispatch> {
        let weak = self.binding.weak.load(Ordering::Relaxed);
        weak.or_else(|| self.binding.strong.load(Ordering::Relaxed))
    }

    /// The processor that it runs on or ran on last.
    pub(crate) fn cpu(&self) -> &'static CpuDispatch {
        match self.cpu.load(Ordering::Relaxed) {
            Some(cpu) => cpu,
            None => panic!("a thread that has begun has a processor"),
        }
    }

    /// The index of the processor that it runs on or ran on last: a hint.
    pub fn cpu_index(&self) -> Option<usize> {
        self.cpu.load(Ordering::Relaxed).map(CpuDispatch::index)
    }

    /// Whether it runs at this moment on the processor that it names. What an adaptive mutex asks
    /// about its owner.
    pub(crate) fn is_running(&self) -> bool {
        let cpu = self.cpu.load(Ordering::Relaxed);
        cpu.is_some_and(|cpu| cpu.is_running(self))
    }

    /// Its owner, if it has one. The thread itself asks, or who switches to or from it.
    pub(crate) fn owner(&self) -> Option<&'static dyn ThreadOwner> {
        // SAFETY: written before the thread begins; only the thread, or who switches from or to it,
        // reads it, one after the other.
        *unsafe { self.owner.access() }
    }

    /// Gives it an owner.
    ///
    /// # Safety
    ///
    /// The thread has not begun, or calls this itself.
    pub(crate) unsafe fn set_owner(&self, owner: Option<&'static dyn ThreadOwner>) {
        // SAFETY: the caller's promise.
        *unsafe { self.owner.access() } = owner;
    }

    /// Asks it to do something before it returns to user mode. Whoever wants it soon pokes its
    /// processor.
    pub fn ask(&self, what: u32) {
        self.asynchronous.fetch_or(what, Ordering::Release);
    }

    /// When it last became runnable after a sleep or a stop, in ticks of the clock. For its owner, when a processor
    /// comes to it.
    pub fn runnable_at(&self) -> u64 {
        self.runnable_at.load(core::sync::atomic::Ordering::Relaxed)
    }

    /// How often it has given up its processor by itself, and how often it was made to.
    pub fn switches(&self) -> (u64, u64) {
        (self.voluntary.load(Ordering::Relaxed), self.involuntary.load(Ordering::Relaxed))
    }
}

#[cold]
fn no_thread_yet() -> ! {
    panic!("the processor runs no thread yet");
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} ({:?})", self.id(), self.state())
    }
}
