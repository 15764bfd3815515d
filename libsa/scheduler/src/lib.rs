//! The scheduler of libsa: which thread runs on which virtual processor.
//!
//! ```text
//!                spawn                       next, steal
//!   (none) ─────────────► in a run queue ─────────────────► runs on a virtual processor
//!                           ▲    ▲   ▲                       │    │       │
//!                           │    │   └───── yields ──────────┘    │       │ blocks in the kernel
//!                           │    │                                │       ▼
//!                  unpark,  │    └──── UNBLOCKED, PREEMPTED ──────┼── in the kernel
//!                  wake     │                                     │
//!                           └──── waits: parked, or in the queue ◄┘
//!                                 of a lock
//! ```
//!
//! | file | concept |
//! |---|---|
//! | [`thread`] | what the scheduler knows of a thread: where it is linked, whether it stands on its stack, its token |
//! | [`spin`] | the lock of everything here |
//! | [`list`] | threads in a row |
//! | [`queue`] | the run queue of a virtual processor |
//! | [`idle`] | virtual processors with nothing to do, and who wakes them |
//! | [`wait`] | threads that wait for something |
//! | [`timers`] | deadlines of threads that wait |
//! | [`schedule`] | what a virtual processor does next |
//!
//! # Rules
//!
//! 1. A thread is in one list at most. Who takes it out decides what becomes of it.
//! 2. A thread may be taken out of a list before it has left its stack: whoever goes on with it waits for that first
//!    ([`thread::Thread::wait_until_off_its_stack`]).
//! 3. No virtual processor idles while a thread is in a run queue: who puts one there looks for an idle virtual
//!    processor afterwards, and who idles looks into all queues afterwards ([`idle`]).
//! 4. Whoever holds a lock of the scheduler is in a critical section of the library: a virtual processor that is
//!    interrupted there goes on there first, so that nobody waits for a thread that does not run.
//!
//! All of it works on indices and atomics: it knows no stacks, no registers and no kernel, and runs under loom and
//! shuttle on the host. Threads stay in one table; a link is the number of a thread.
//!
//! The shape (a queue for each processor, taking half of another one's, no more than one searching processor more than
//! there is work for) is that of R. Blumofe and C. Leiserson, *Scheduling Multithreaded Computations by Work Stealing*,
//! 1999, as Go and Tokio have refined it.

#![no_std]
#![forbid(unsafe_code)]

/// A function that is `const` unless a checker's atomics forbid it.
macro_rules! const_where_possible {
    ($(#[$attribute:meta])* pub fn $name:ident() -> $type:ty $body:block) => {
        #[cfg(not(any(feature = "loom", feature = "shuttle")))]
        $(#[$attribute])*
        pub const fn $name() -> $type $body
        #[cfg(any(feature = "loom", feature = "shuttle"))]
        $(#[$attribute])*
        pub fn $name() -> $type $body
    };
}

pub mod idle;
pub mod list;
pub mod queue;
pub mod schedule;
pub mod spin;
pub mod thread;
pub mod timers;
pub mod wait;

pub use queue::{Place, RunQueue};
pub use schedule::{Scheduler, Table};
pub use thread::{Thread, ThreadId};
