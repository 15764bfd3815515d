//! The real machine: x86-64 processors with local APICs, as QEMU's q35 and today's PCs have them.
//!
//! | file | concept |
//! |---|---|
//! | [`features`] | what the processor can do, and turning it on |
//! | [`private`] | a processor's own data, one instruction each through `gs` |
//! | [`descriptors`] | GDT, TSS, IDT, and the stacks that traps enter on |
//! | [`frame`] | the one trap frame, made by every entry |
//! | [`entry`] | the entry stubs and the way back |
//! | [`trap`] | what happens on the entry stack, and moving off it |
//! | [`stack`] | kernel stacks: guard page, holes, the reserve that fills them |
//! | [`mod@switch`] | the context switch |
//! | [`user_copy`] | copying from and to user memory, surviving a fault at any byte |
//! | [`user_state`] | the registers of user mode that no frame holds |
//! | [`paging`] | page tables |
//! | `pmap` | the machine's side of an address space: tables, roots, the translation cache |
//! | [`local_apic`], [`io_apic`], [`legacy_pic`] | interrupt controllers |
//! | [`firmware`] | processors and interrupt routing, from the ACPI tables |
//! | [`clock`] | the time-stamp counter, its calibration, the one-shot timer |
//! | [`start`] | starting the other processors |
//! | [`breakpoint`] | a breakpoint and single steps, for checks |
//! | [`debug_exit`] | leaving QEMU |
//!
//! **How traps enter.** Every vector enters on an IST stack, interrupts off, because a kernel stack
//! may have holes: an interrupt delivered onto an absent page would be lost. Nothing that may sleep
//! runs there; what may is first moved to the thread's own stack ([`trap`]).

pub mod breakpoint;
pub mod clock;
pub mod debug_exit;
pub mod descriptors;
pub mod entry;
pub mod features;
pub mod firmware;
pub mod frame;
pub mod io_apic;
pub mod legacy_pic;
pub mod local_apic;
pub mod offsets;
pub mod paging;
pub(crate) mod pmap;
pub mod private;
pub mod stack;
pub mod start;
pub mod state;
pub mod switch;
pub mod trap;
pub mod user_copy;
pub mod user_state;
pub(crate) mod vectors;

pub(crate) use clock::{now, set_timer, stop_timer};
pub(crate) use private::{
    add_preempt_off, clear_pending, compiler_barrier, current_cpu, current_index, current_system,
    halt_unless, interrupts_are_on, pending_levels, pil, preempt_off, running, set_pending,
    set_pil, trace_groups, without_interrupts,
};
pub use stack::Stack;
pub(crate) use stack::probe as probe_stack;
pub use state::{CpuState, SystemState};
pub use switch::Context;
pub(crate) use switch::switch;
pub(crate) use trap::{deliver, hold, send};
