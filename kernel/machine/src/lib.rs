//! The machine, as everything above it sees it: processors, interrupt levels, context switch, time.
//!
//! # One interface, two machines
//!
//! `dispatch`, `vm` and `activations` know no hardware. They call this crate, whose backend is
//! chosen by the compilation target: [`backend`] is `x86_64` in the kernel and `sim` on the host,
//! where a kernel thread is a host, loom or shuttle thread and a processor is a baton that
//! [`switch()`] passes on. The code above compiles unchanged for both, so what runs in the kernel is
//! what the tests and the model checkers run.
//!
//! # Where things are
//!
//! | file | concept |
//! |---|---|
//! | [`system`] | one machine; everything hangs off it, so there are no mutable statics |
//! | [`cpu`] | one processor and its own data |
//! | [`slot`] | how the layers above hang their data off a system or a processor |
//! | [`pil`] | interrupt levels, masked lazily; the replay of what was held back |
//! | [`preempt`] | kernel preemption: off, on, wanted |
//! | [`capability`] | `MayFault` and `Atomic`: who may fault and sleep, who must not |
//! | [`spin_lock`] | the lock that everything else stands on |
//! | [`switch`](mod@switch) | leaving one context for another |
//! | [`poke`] | making another processor look |
//! | [`pmap`] | the physical map: page tables as a cache of what an address map says |
//! | `page_table` | what an entry says, and where it is |
//! | [`shoot_down`] | making other processors forget translations |
//! | [`content`] | reading frames, and emptying parts of them |
//! | [`vector_unit`] | copying and emptying whole frames |
//! | [`idle`] | halting without losing a wake-up |
//! | [`time`] | ticks, nanoseconds, the one-shot timer |
//! | [`tracing`] | saying what happens, for the timeline |
//! | [`hooks`] | what the machine calls upwards |
//!
//! # Rules
//!
//! 1. Whoever touches the current processor's data holds an [`Atomic`], or uses one of the few
//!    operations that are a single instruction and may move between processors harmlessly.
//! 2. Whoever may sleep or fault holds a `&mut` [`MayFault`]. A critical section borrows it, so that
//!    nothing inside the section can have it.
//! 3. Every spin loop contains [`spin`], or [`atomics::spin_loop`] where interrupts do not matter:
//!    without it two processors hang under `-icount`, and the model checkers never end.

#![no_std]

#[cfg(not(target_os = "none"))]
extern crate std;

pub mod capability;
pub mod content;
pub mod cpu;
pub mod hooks;
pub mod idle;
mod page_table;
pub mod pil;
pub mod pmap;
pub mod poke;
pub mod preempt;
pub mod shoot_down;
pub mod slot;
pub mod spin_lock;
pub mod switch;
pub mod system;
pub mod time;
pub mod tracing;
pub mod vector_unit;

#[cfg(not(target_os = "none"))]
pub mod sim;
#[cfg(not(target_os = "none"))]
pub use sim as backend;

#[cfg(target_os = "none")]
pub mod x86_64;
#[cfg(target_os = "none")]
pub use x86_64 as backend;

pub use capability::{Atomic, MayFault};
pub use cpu::Cpu;
pub use hooks::Hooks;
pub use pil::Pil;
pub use pmap::Pmap;
pub use spin_lock::SpinLock;
pub use switch::{Context, switch};
pub use system::System;

/// Whether a test is failing, and what it has is dropped as it was left: then what must hold when something goes
/// need not hold. Never in the kernel, where nothing is dropped after a panic.
pub fn is_unwinding() -> bool {
    backend::pmap::is_unwinding()
}

/// One turn of a spin loop. A processor that spins takes the interrupts that its level lets through;
/// the simulated machine needs to be told where. It answers shoot-downs even with interrupts off.
#[inline]
pub fn spin() {
    atomics::spin_loop();
    #[cfg(not(target_os = "none"))]
    backend::interrupt_point();
    shoot_down::answer();
}
