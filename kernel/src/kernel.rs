//! The kernel's own data: one [`Kernel`] per system, one [`PerCpu`] per processor, reached through
//! the machine's slots. There are no mutable statics.

use crate::checks;
use crate::console::Console;
use crate::disk::Disks;
use crate::files::Files;
use crate::files::terminal::Line;
use crate::kernel_space::KernelSpace;
use crate::lwp::Lwp;
use crate::lwp::user_time::UserTime;
use crate::name_space::Content;
use crate::observe::Observations;
use crate::options::Options;
use crate::process::Process;
use crate::process::table::Table;
use crate::signal::OfProcess;
use crate::system_call::missing::Missing;
use crate::trap_trace::TrapTrace;
use crate::upcalls::Activations;
use crate::upcalls::allocator::Processors;
use crate::virtual_memory::Reserves;
use crate::virtual_memory::archive::{Archive, NoArchive};
use crate::virtual_memory::stores::Stores;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use dispatch::{DispLock, Mutex, Thread};
use linked_list_allocator::Heap;
use machine::slot::{Layer, Slot};
use machine::x86_64::descriptors::{EntryStacks, InterruptTable};
use machine::{Atomic, Cpu, SpinLock, System, time};
use memory::Slab;
use names::Tree;
use spin::Once;

/// What the kernel keeps per system.
pub struct Kernel {
    /// The system that it is the kernel of.
    pub system: &'static System,
    /// The boot options.
    pub options: Options,
    /// The kernel's own ELF file, for its symbols.
    pub image: &'static [u8],
    /// The time-stamp counter at the kernel's first instruction.
    pub start: u64,
    /// The top-level page table that the kernel itself runs on.
    pub root: u64,
    /// The interrupt descriptor table.
    pub interrupts: InterruptTable,
    /// The console.
    pub console: SpinLock<Console, 13>,
    /// The terminal on it.
    pub terminal: Line,
    /// Held while a line is sent on the report channel.
    pub report_lock: SpinLock<(), 13>,
    /// The heap.
    pub heap: SpinLock<Heap, 13>,
    /// The kernel's half of the address space.
    pub space: SpinLock<KernelSpace, 13>,
    /// Where threads come from; they stay.
    pub threads: Slab<Thread>,
    /// Where processes come from.
    pub process_objects: Slab<Process>,
    /// Where LWPs come from.
    pub lwp_objects: Slab<Lwp>,
    /// Where processes' activations come from.
    pub activation_objects: Slab<Activations>,
    /// Which of them has how many processors.
    pub activation_processors: Processors,
    /// Where processes' tables of signals come from.
    pub signal_objects: Slab<OfProcess>,
    /// Which processes there are.
    pub processes_table: Table,
    /// Who observes whom.
    pub observations: Observations,
    /// The programs of the archive, or why there are none.
    pub archive: Once<Result<Archive, NoArchive>>,
    /// Where their files' descriptions come from.
    pub archive_files: Slab<vm::store::File>,
    /// What is open.
    pub files: Files,
    /// Calls that programs have missed.
    pub missing: Missing,
    /// What paths lead to.
    pub names: Once<Mutex<Tree<Content>>>,
    /// What must be left free for whom.
    pub reserves: Once<Reserves>,
    /// Where pages are kept.
    pub stores: Stores,
    /// The disks.
    pub disks: Disks,
    /// The process that Ctrl-C ends; it lives while it stands here. At the dispatcher's level, as its sleep is
    /// interrupted with the lock held.
    pub foreground: SpinLock<Option<&'static Process>, 11>,
    /// What the benchmarks, and a panic on purpose, take and release.
    pub bench_locks: [DispLock; 2],
    /// What the checks share between processors.
    pub shared: checks::Shared,
    /// Processors that have arrived.
    pub processors: AtomicUsize,
}

/// What the kernel keeps per processor; only the processor itself writes.
pub struct PerCpu {
    /// Calls with a number that no call has.
    pub bad_calls: AtomicU64,
    /// Entries by ways that are refused.
    pub refused_entries: AtomicU64,
    /// Returns from a system call by `iretq`.
    pub iretq_returns: AtomicU64,
    /// Its last traps.
    pub traps: TrapTrace,
    /// The timer's interrupts.
    pub timer_interrupts: AtomicU64,
    /// Time in user mode.
    pub user_time: UserTime,
    /// Calls of the preemption hook.
    pub preemptions: AtomicU64,
    /// The stacks that its traps enter on, once they are made.
    pub entry_stacks: Once<EntryStacks>,
}

// SAFETY: the only slot of this layer for systems.
const KERNEL: Slot<Kernel> = unsafe { Slot::new(Layer::Kernel) };
// SAFETY: the only slot of this layer for processors.
const PER_CPU: Slot<PerCpu> = unsafe { Slot::new(Layer::Kernel) };

impl Kernel {
    /// Makes this the system's kernel. Once.
    pub fn install(&'static self) {
        self.system.slots().install(&KERNEL, self);
    }

    /// The kernel that the caller runs in.
    #[inline]
    pub fn current() -> &'static Kernel {
        System::current().slots().get(&KERNEL)
    }

    /// The kernel that the caller runs in, if it is that far; for the panic path.
    pub fn find() -> Option<&'static Kernel> {
        machine::x86_64::private::is_adopted()
            .then(|| System::current().slots().find(&KERNEL))
            .flatten()
    }

    /// Nanoseconds since the kernel's first instruction; 0 until the clock is calibrated.
    pub fn uptime_nanoseconds(&self) -> u64 {
        // A processor's counter may lag by a little.
        let ticks = time::now().saturating_sub(self.start);
        self.system.backend.clock.frequency().map_or(0, |frequency| frequency.nanoseconds(ticks))
    }

    /// Waits, spinning, at least this long.
    pub fn spin_nanoseconds(&self, nanoseconds: u64) {
        let frequency = self.system.backend.clock.frequency().expect("the clock is calibrated");
        let start = time::now();
        let ticks = frequency.ticks(nanoseconds);
        // A thread may move to a processor whose counter lags by a little.
        while time::now().saturating_sub(start) < ticks {
            core::hint::spin_loop();
        }
    }

    /// A count over all processors.
    pub fn sum(&self, count: impl Fn(&PerCpu) -> &AtomicU64) -> u64 {
        self.system.cpus().map(|cpu| count(PerCpu::of(cpu)).load(Ordering::Relaxed)).sum()
    }
}

impl PerCpu {
    /// All zero.
    pub const fn new() -> PerCpu {
        PerCpu {
            bad_calls: AtomicU64::new(0),
            refused_entries: AtomicU64::new(0),
            iretq_returns: AtomicU64::new(0),
            traps: TrapTrace::new(),
            timer_interrupts: AtomicU64::new(0),
            user_time: UserTime::new(),
            preemptions: AtomicU64::new(0),
            entry_stacks: Once::new(),
        }
    }

    /// Makes this the processor's. Once.
    pub fn install(&'static self, cpu: &Cpu) {
        cpu.slots().install(&PER_CPU, self);
    }

    /// A processor's.
    #[inline]
    pub fn of(cpu: &Cpu) -> &'static PerCpu {
        cpu.slots().get(&PER_CPU)
    }

    /// A processor's, if it has got it; for the trap and the panic path.
    pub fn find(cpu: &Cpu) -> Option<&'static PerCpu> {
        cpu.slots().find(&PER_CPU)
    }

    /// The current processor's.
    #[inline]
    pub fn current(atomic: &Atomic) -> &'static PerCpu {
        PerCpu::of(Cpu::current(atomic))
    }
}

/// Adds 1 to a count of the current processor's own: nobody else writes it, so no locked
/// instruction is needed.
#[inline]
pub fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
