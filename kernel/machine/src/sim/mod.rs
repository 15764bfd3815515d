//! The simulated machine: the backend on the host, for tests.
//!
//! A kernel thread is a thread of the host, of loom or of shuttle, whichever flavour is compiled. A
//! processor is a baton: a thread holds at most one, and [`switch()`](crate::switch()) passes it on.
//! Interrupts are wires that anybody may raise and that the thread which holds the processor looks
//! at in certain places. Time is a number that tests move.
//!
//! | file | concept |
//! |---|---|
//! | [`flavour`] | host, loom or shuttle: the parts that differ |
//! | [`baton`] | which processor a thread holds; contexts, and handing a processor over |
//! | [`wires`] | interrupts that have not been taken yet, per processor |
//! | [`interrupt`](mod@interrupt) | taking them: the interrupt flag, interrupt points, halting |
//! | [`clock`] | virtual time and timers |
//! | [`physical`] | physical memory, word by word |
//! | `pmap` | what a processor knows of its address space: the root, the translation cache |
//! | [`user`] | accesses of user mode |
//! | [`run`](mod@run) | making a machine for a test and taking it down |
//! | [`model`](mod@model) | running a test many times, in the manner of the flavour |
//!
//! What the kernel's own code does is not simulated: masking, holding back and replaying interrupts,
//! preemption, pokes, locks are the portable files of this crate.
//!
//! # What it shows and what it does not
//!
//! An interrupt comes at *interrupt points* only: just before the level is raised, preemption or the
//! interrupt flag turned off, and just after the reverse; in spin loops ([`crate::spin`]), before
//! and after a switch, while halted, and where a test says [`interrupt_point`]. Code between two
//! points is atomic with respect to interrupts on its own processor, though not with respect to
//! other processors.

pub mod baton;
pub mod clock;
pub mod flavour;
pub mod interrupt;
pub mod model;
pub mod physical;
pub(crate) mod pmap;
pub mod run;
pub mod user;
pub(crate) mod vectors;
pub mod wires;

use crate::{Cpu, System};
use core::sync::atomic::Ordering;

pub(crate) use crate::hooks::deliver;
pub use baton::{Context, Stack, current_cpu, current_system, switch};
pub use clock::{advance, now, set_timer, stop_timer};
pub(crate) use interrupt::send;
pub use interrupt::{
    halt_unless, hold, interrupt, interrupt_point, interrupts_are_on, without_interrupts,
};
pub use model::{model, model_with_few_preemptions, once};
pub use run::{Machine, Quiet, run};

/// What the simulation keeps per processor.
pub struct CpuState {
    pub(crate) wires: wires::Wires,
    pub(crate) interrupts: interrupt::Interrupts,
    pub(crate) timer: clock::Timer,
    pub(crate) translations: pmap::Translations,
    /// See [`vectors`].
    put_away: core::sync::atomic::AtomicU64,
}

impl CpuState {
    /// Of a processor that nobody holds: no interrupts, no timer.
    #[expect(clippy::new_without_default, reason = "made with its processor only")]
    pub fn new() -> CpuState {
        CpuState {
            wires: wires::Wires::new(),
            interrupts: interrupt::Interrupts::new(),
            timer: clock::Timer::new(),
            translations: pmap::Translations::new(),
            put_away: core::sync::atomic::AtomicU64::new(0),
        }
    }
}

/// What the simulation keeps per system.
pub struct SystemState {
    pub(crate) clock: clock::Clock,
    pub(crate) threads: run::Threads,
    pub(crate) memory: physical::Memory,
}

impl SystemState {
    /// Of a system at time 0.
    #[expect(clippy::new_without_default, reason = "made with its system only")]
    pub fn new() -> SystemState {
        SystemState {
            clock: clock::Clock::new(),
            threads: run::Threads::new(),
            memory: physical::Memory::new(),
        }
    }
}

/// The index of the current processor.
pub(crate) fn current_index() -> usize {
    current_cpu().index
}

/// What runs on the current processor.
pub(crate) fn running() -> *mut () {
    current_cpu().running.load(core::sync::atomic::Ordering::Relaxed)
}

/// The current processor's interrupt level.
pub(crate) fn pil() -> u8 {
    current_cpu().pil.get()
}

/// Sets the current processor's interrupt level. Before raising and after lowering it is an interrupt
/// point.
pub(crate) fn set_pil(level: u8) {
    if level > pil() {
        interrupt_point();
    }
    // Only now: the thread may have been preempted, and moved here.
    let cpu = current_cpu();
    let lowered = level < cpu.pil.get();
    cpu.pil.set(level);
    if lowered {
        interrupt_point();
    }
}

/// The levels that the current processor holds something back at.
pub(crate) fn pending_levels() -> u32 {
    current_cpu().pending.levels.get()
}

/// The groups of events that are on, on the current processor.
pub(crate) fn trace_groups() -> u32 {
    current_cpu().tracing.groups.load(core::sync::atomic::Ordering::Relaxed)
}

/// Sets bits among the pending levels.
pub(crate) fn set_pending(bits: u32) {
    let levels = &current_cpu().pending.levels;
    levels.set(levels.get() | bits);
}

/// Clears bits among the pending levels.
pub(crate) fn clear_pending(bits: u32) {
    let levels = &current_cpu().pending.levels;
    levels.set(levels.get() & !bits);
}

/// Changes how often preemption is off on the current processor. Before turning it off and after
/// turning it on is an interrupt point.
pub(crate) fn add_preempt_off(difference: i32) {
    if difference > 0 && preempt_off() == 0 {
        interrupt_point();
    }
    // As in `set_pil`.
    let cpu = current_cpu();
    let Some(count) = cpu.preempt_off.get().checked_add_signed(difference) else {
        panic!("preemption is turned on more often than off");
    };
    cpu.preempt_off.set(count);
    if count == 0 {
        interrupt_point();
    }
}

/// How often preemption is off on the current processor.
pub(crate) fn preempt_off() -> u32 {
    current_cpu().preempt_off.get()
}

/// Keeps the compiler from moving memory accesses across.
pub(crate) fn compiler_barrier() {
    core::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// Stacks of the host are populated.
pub(crate) fn probe_stack() {}

/// The processor of a system with this index, which must exist.
fn cpu_of(system: &System, index: usize) -> &'static Cpu {
    match system.cpu(index) {
        Some(cpu) => cpu,
        None => panic!("the machine has {} processors, not {index}", system.cpu_count()),
    }
}
