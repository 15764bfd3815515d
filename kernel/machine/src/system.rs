//! One machine. Everything hangs off a [`System`], so there are no mutable statics: a test makes as
//! many systems as it likes, and the kernel makes one.
//!
//! A system is reached through the current processor ([`System::current`]). Processors are added
//! while it starts and never removed; taking one off line is the dispatcher's business.

use crate::hooks::Hooks;
use crate::slot::Slots;
use crate::{Cpu, backend};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// Most processors a system can have.
pub const CPU_MAX: usize = 64;

/// One machine: its processors and what the layers above have attached to it.
pub struct System {
    /// `CPU_MAX` places, filled from 0 up; see [`System::add_cpu`]. These are core's atomics in
    /// every flavour: they are written while the system starts, before there is anything to race.
    cpus: [AtomicPtr<Cpu>; CPU_MAX],
    cpu_count: AtomicUsize,
    hooks: &'static dyn Hooks,
    slots: Slots,
    /// What the backend keeps per system.
    pub backend: backend::SystemState,
}

impl System {
    /// A system without processors that calls `hooks` when something happens.
    pub fn new(hooks: &'static dyn Hooks, backend: backend::SystemState) -> System {
        System {
            cpus: [const { AtomicPtr::new(core::ptr::null_mut()) }; CPU_MAX],
            cpu_count: AtomicUsize::new(0),
            hooks,
            slots: Slots::new(),
            backend,
        }
    }

    /// The system that the calling code runs on.
    ///
    /// May be called anywhere: whichever processor the caller moves to, the system is the same.
    pub fn current() -> &'static System {
        backend::current_system()
    }

    /// Makes a processor known. Its index must be the number of processors known so far; only one
    /// processor may add others, while the system starts.
    pub fn add_cpu(&self, cpu: &'static Cpu) {
        let count = self.cpu_count.load(Ordering::Relaxed);
        assert!(cpu.index() == count && count < CPU_MAX, "processors are added in order");
        self.cpus[count].store(core::ptr::from_ref(cpu).cast_mut(), Ordering::Release);
        self.cpu_count.store(count + 1, Ordering::Release);
    }

    /// The processors known so far, by index.
    pub fn cpus(&self) -> impl Iterator<Item = &'static Cpu> + '_ {
        let count = self.cpu_count.load(Ordering::Acquire);
        self.cpus[..count].iter().map(|cpu| {
            // SAFETY: `add_cpu` stored a `&'static Cpu` before it counted it, and nothing
            // overwrites it.
            unsafe { &*cpu.load(Ordering::Acquire) }
        })
    }

    /// The processor with this index.
    pub fn cpu(&self, index: usize) -> Option<&'static Cpu> {
        self.cpus().nth(index)
    }

    /// How many processors are known.
    pub fn cpu_count(&self) -> usize {
        self.cpu_count.load(Ordering::Acquire)
    }

    /// What this system calls when something happens.
    pub fn hooks(&self) -> &'static dyn Hooks {
        self.hooks
    }

    /// The data that the layers above have attached.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }
}
