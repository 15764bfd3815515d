//! The dispatcher of one system: what its processors share.

use crate::all_threads::AllThreads;
use crate::atomic_ref::AtomicRef;
use crate::cpu::CpuDispatch;
use crate::disp_lock::{DispLock, LockClass};
use crate::kernel_thread::ThreadCache;
use crate::partition::Partition;
use crate::resources::Resources;
use crate::sleep_queue::SleepQueues;
use crate::turnstile::TurnstileTable;
use atomics::{AtomicBool, AtomicU64, Ordering};
use machine::slot::{Layer, Slot};
use machine::{Atomic, Cpu, System};

/// How many processors there can be. Model checkers pay for each.
pub(crate) const CPUS: usize = if cfg!(feature = "loom") { 3 } else { machine::system::CPU_MAX };

/// How many partitions there can be.
pub const PARTITIONS: usize = if cfg!(feature = "loom") { 2 } else { 16 };

// SAFETY: the only slot of this layer for systems.
const SLOT: Slot<Dispatch> = unsafe { Slot::new(Layer::Dispatch) };

/// The dispatcher of one system. The kernel makes it once, a test as often as it likes.
pub struct Dispatch {
    pub(crate) resources: &'static dyn Resources,
    cpus: [AtomicRef<CpuDispatch>; CPUS],
    transition_lock: DispLock,
    pub(crate) stop_lock: DispLock,
    pub(crate) shuttle_lock: DispLock,
    pub(crate) partitions: [Partition; PARTITIONS],
    pub(crate) sleep_queues: SleepQueues,
    pub(crate) turnstiles: TurnstileTable,
    pub(crate) threads: ThreadCache,
    pub(crate) all_threads: AllThreads,
    panicking: AtomicBool,
    pub(crate) hot_plug: crate::cpu_lock::CpuLock,
    /// Ticks of the clock between two clock ticks; 0 for none ([`crate::tick`]).
    pub(crate) tick_interval: core::sync::atomic::AtomicU64,
    next_thread_id: AtomicU64,
    /// How long a processor waits for a dispatcher lock before it concludes that it waits for ever,
    /// in ticks; 0: it never does. Core's atomic in every flavour.
    watchdog_limit: core::sync::atomic::AtomicU64,
    /// How long bindings may take to end when a processor goes off line, in ticks; 0: as long as a few turns
    /// of other threads. Core's atomic in every flavour.
    drain: core::sync::atomic::AtomicU64,
}

impl Dispatch {
    /// A dispatcher without processors.
    pub fn new(resources: &'static dyn Resources) -> Dispatch {
        Dispatch {
            resources,
            cpus: core::array::from_fn(|_| AtomicRef::new(None)),
            transition_lock: DispLock::held_for_ever(),
            stop_lock: DispLock::new(LockClass::Stop),
            shuttle_lock: DispLock::new(LockClass::Shuttle),
            partitions: core::array::from_fn(|number| Partition::new(number as u8)),
            sleep_queues: SleepQueues::new(),
            turnstiles: TurnstileTable::new(),
            threads: ThreadCache::new(),
            all_threads: AllThreads::new(),
            panicking: AtomicBool::new(false),
            hot_plug: crate::cpu_lock::CpuLock::new(),
            tick_interval: core::sync::atomic::AtomicU64::new(0),
            next_thread_id: AtomicU64::new(1),
            watchdog_limit: core::sync::atomic::AtomicU64::new(0),
            drain: core::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Makes this the dispatcher of a system. Once.
    pub fn install(&'static self, system: &System) {
        system.slots().install(&SLOT, self);
    }

    /// The dispatcher of the current system.
    #[inline]
    pub fn current() -> &'static Dispatch {
        System::current().slots().get(&SLOT)
    }

    /// The dispatcher of the current system, if there is one; for the panic path.
    pub fn find() -> Option<&'static Dispatch> {
        System::current().slots().find(&SLOT)
    }

    /// The dispatcher of the current system, the short way.
    #[inline]
    pub(crate) fn of(atomic: &Atomic) -> &'static Dispatch {
        Cpu::current(atomic).system().slots().get(&SLOT)
    }

    /// Makes a processor known to the dispatcher. It runs nothing until it is started
    /// ([`crate::start`]).
    pub fn add_cpu(&'static self, cpu: &'static CpuDispatch) {
        cpu.install();
        cpu.partition.store(Some(&self.partitions[0]), Ordering::Release);
        self.cpus[cpu.index()].store(Some(cpu), Ordering::Release);
    }

    /// A processor, by index.
    #[inline]
    pub fn cpu(&self, index: usize) -> Option<&'static CpuDispatch> {
        self.cpus.get(index)?.load(Ordering::Acquire)
    }

    /// Every processor.
    pub fn cpus(&self) -> impl Iterator<Item = &'static CpuDispatch> {
        self.cpus.iter().filter_map(|cpu| cpu.load(Ordering::Acquire))
    }

    /// The lock of threads between two states; never free.
    #[inline]
    pub(crate) fn transition_lock(&'static self) -> &'static DispLock {
        &self.transition_lock
    }

    /// How long a processor waits for a dispatcher lock before it concludes that it waits for ever,
    /// in ticks; 0: it never does.
    pub(crate) fn watchdog_limit(&self) -> u64 {
        self.watchdog_limit.load(Ordering::Relaxed)
    }

    /// Sets the limit of the watchdog ([`crate::watchdog`]).
    pub fn set_watchdog_limit(&self, ticks: u64) {
        self.watchdog_limit.store(ticks, Ordering::Relaxed);
    }

    /// How long bindings may take to end when a processor goes off line; see [`Dispatch::set_drain`].
    pub(crate) fn drain(&self) -> u64 {
        self.drain.load(Ordering::Relaxed)
    }

    /// Sets how long bindings may take to end when a processor goes off line, in ticks, before the answer is
    /// that threads are bound to it. 0, as at the beginning: as long as others take a few turns.
    pub fn set_drain(&self, ticks: u64) {
        self.drain.store(ticks, Ordering::Relaxed);
    }

    /// A number for a thread.
    pub(crate) fn take_thread_id(&self) -> u64 {
        self.next_thread_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The system panics: what is inconsistent from now on is no news.
    pub fn note_panic(&self) {
        self.panicking.store(true, Ordering::Relaxed);
    }

    /// Whether the system panics.
    pub(crate) fn is_panicking(&self) -> bool {
        self.panicking.load(Ordering::Relaxed)
    }
}
