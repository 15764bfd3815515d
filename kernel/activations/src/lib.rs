//! Scheduler activations: the protocol between the kernel and a program's thread library, as a state machine.
//!
//! A program has *virtual processors*. On each at most one *activation* runs at a time: an LWP that executes the
//! program's threads one after the other, as the library decides. Whatever the library has to know to decide well, the
//! kernel tells it by an *upcall*: it starts the library at a fixed address, on an *upcall stack*, with a list of events.
//!
//! ```text
//!                 blocks                          wakes, comes to the border of user mode
//!     On(vp) ───────────────► Blocked ─────────────────────────┬───────────────► Queued ──┐
//!       ▲ ▲      (BLOCKED, on a cached activation)             │ its stack        ▲       │
//!       │ │                      │                             ▼ is not back      │ is    │ told: UNBLOCKED
//!       │ │ `sa_unblockyield`    └── `sa_unblockyield` ──┐    Held ───────────────┘       │ (context in a slot)
//!       │ └──────────────────────────────────────────────┴─────┘                          │
//!       │                                                                                 │
//!       │ started: it blocks on the virtual processor, which idles, is new or granted     ▼
//!       └────────────────────────────────────────────────────────────────────────────── Cached
//!       │                                                                                 ▲
//!       └── its processor is taken away ──► Preempted ── told: PREEMPTED ─────────────────┘
//! ```
//!
//! | file | concept |
//! |---|---|
//! | [`numbers`] | what things are called: activations, virtual processors, stacks, slots |
//! | [`protocol`] | the state, how it begins, what it counts |
//! | [`block`] | an activation sleeps, wakes, and comes to the border of user mode |
//! | [`deliver`] | who hears of an event, and the upcall that tells it |
//! | [`yielding`] | `sa_yield` and `sa_unblockyield` |
//! | [`processors`] | virtual processors come, and begin; activations end |
//! | [`allocator`] | which process has how many processors |
//! | [`granting`] | what that asks of a process, and does to it |
//! | [`faults`] | the page faults that raise no upcall |
//! | [`lent`] | upcall stacks and save slots: lent to the program, and given back by a store |
//! | [`audit`] | the invariants |
//!
//! # Rules
//!
//! 1. No virtual processor idles while there is an event that could be told on it.
//! 2. Each block is told by one BLOCKED and ended by one UNBLOCKED, in this order. UNBLOCKED is held back until the
//!    stack of its BLOCKED is back.
//! 3. A thread's context is in one place at a time: an activation, a slot, or the program's own memory. What was put
//!    into a slot stays there until the program gives the slot back.
//! 4. To block cannot fail: nothing is allocated. If a stack or an activation is missing, the virtual processor sleeps
//!    together with its thread (it is *stalled*), that is counted, and nothing is lost.
//! 5. A page fault on an upcall stack, in the library's scheduler, or the same once more stalls the virtual processor.
//! 6. A thread that holds locks of the library is put back by `sa_unblockyield`: no UNBLOCKED follows.
//! 7. Whoever makes an event deliverable is told whom to start or to poke.
//! 8. A virtual processor that has something to do and no processor wants one ([`Protocol::is_short`]); whoever is in the
//!    library keeps its virtual processor.
//!
//! The machine knows no hardware, no time and no memory but what it is made with. The kernel calls it with one lock held
//! and does what it returns; what it reads of the program's memory it reads through [`lent::Returns`].
//!
//! T. Anderson, B. Bershad, E. Lazowska, H. Levy, *Scheduler Activations*, 1992; the names of calls and upcalls are those
//! of NetBSD's implementation (N. Williams, 2002), the rules against its defects are listed above.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod allocator;
pub mod audit;
pub mod block;
pub mod deliver;
pub mod faults;
pub mod granting;
pub mod lent;
mod list;
pub mod numbers;
pub mod processors;
pub mod protocol;
pub mod yielding;

pub use block::{AtBorder, Block, Cause};
pub use deliver::{Event, Nudge, Posted, Upcall};
pub use faults::Fault;
pub use lent::Returns;
pub use numbers::{Activation, BlockNumber, Slot, Stack, VirtualProcessor};
pub use protocol::{Counts, Limits, OutOfMemory, Protocol, UpcallNumber};
pub use yielding::{Refused, Unblock, Yield};
