//! The dispatcher: which thread runs on which processor, and how threads wait for each other.
//!
//! It knows threads, processors, priorities and the locks between them. It does not know what a
//! thread executes, what a processor is made of, or what a program or an address space is. From
//! below it takes the crate `machine`: interrupt levels, switching contexts, halting, pokes, time.
//! From above it is given memory for threads and stacks ([`Resources`]), and a thread's owner hears
//! what becomes of the thread ([`ThreadOwner`]). So the same code runs in the kernel, under plain
//! tests on the host, and under the model checkers loom and shuttle.
//!
//! `docs/the-dispatcher.md` walks a wake-up and a preemption through these files. In what order to
//! read: `thread.rs`, `disp_lock.rs`, `thread_lock.rs`, then `run_queue.rs` to `idle.rs`, then what
//! is wanted.
//!
//! | file | concept |
//! |---|---|
//! | **threads and their locks** | |
//! | `thread.rs` | a thread, its states; who may touch which field |
//! | `disp_lock.rs` | dispatcher locks: the five calls |
//! | `lock_order.rs` | the order in which they are taken, checked |
//! | `thread_lock.rs` | the lock of a thread, and the changes of its state as values |
//! | `thread_list.rs`, `all_threads.rs`, `atomic_ref.rs` | lists; a changing reference |
//! | `kernel_thread.rs`, `resources.rs` | making a thread, its end, who waits for that; memory |
//! | `owner.rs`, `thread_snapshot.rs`, `thread_name.rs` | what the layer above hears; a thread's image; its name |
//! | **the choice** | |
//! | `priority.rs`, `class/` | one scale of priorities, and the classes that share it |
//! | `change_priority.rs`, `tick.rs` | a priority changes; the clock tick, turns |
//! | `run_queue.rs`, `dispatch_queue.rs` | a queue; a queue behind its lock |
//! | `enqueue.rs` | making a thread runnable: which queue |
//! | `resched.rs` | telling processors of it: wishes and pokes |
//! | `select.rs` | choosing the next thread, and looking again |
//! | `swtch.rs` | leaving one thread for another |
//! | `preempt.rs` | taking the processor away |
//! | `idle.rs` | nothing to do: halting without losing a wake-up |
//! | `cpu.rs`, `partition.rs`, `system.rs` | a processor, a set of them, what all share |
//! | `start.rs`, `hooks.rs` | a processor begins; what the machine calls |
//! | `interrupt_thread.rs` | interrupts as threads: pinning and unpinning |
//! | **waiting** | |
//! | `sleep_queue.rs`, `sleep.rs`, `callout/` | queues of sleepers; sleeping for a time; timers |
//! | `condvar.rs`, `semaphore.rs` | condition variables and semaphores |
//! | `wait_channel.rs` | sleeping for a change of something atomic |
//! | `turnstile.rs`, `priority_inheritance.rs` | queues for locks; whoever is in the way inherits |
//! | `mutex.rs`, `rwlock.rs`, `patience.rs` | mutexes, readers-writer locks; spin or sleep |
//! | `may_block.rs` | who may wait at all |
//! | `shuttle.rs` | handing the processor to one thread, which waits for that |
//! | `stop.rs` | stopping a thread from outside |
//! | **where a thread may run** | |
//! | `binding.rs`, `weak_binding.rs` | strong and weak binding |
//! | `processor_set.rs` | sets of processors |
//! | `hot_plug.rs`, `in_motion.rs`, `pause.rs`, `cpu_lock.rs` | off line, on line, and all at once |
//! | **looking on** | |
//! | `watchdog.rs`, `measure.rs` | who waits for whom for ever; parts to be measured |
//! | `shuttle_history.rs` | bugs as they once were, with the `bug-…` features |
//!
//! # Rules
//!
//! 1. *Levels.* Everything that changes who runs happens at `DISP_LEVEL`. A thread that runs at
//!    that level stays on its processor and is not preempted. What runs above it touches nothing
//!    here but wishes (`RUNRUN`, `kprunrun`).
//! 2. *D1*: a dispatcher lock is taken at `DISP_LEVEL`, not above.
//! 3. *D2*: the handler of a high-level interrupt takes no dispatcher lock.
//! 4. *D3*: dispatcher locks are taken in the order of their classes; one's own processor's lock at
//!    any place in it.
//! 5. *D4*: no dispatcher lock is held across a switch. The transition lock, which nobody takes or
//!    releases, does not count.
//! 6. *D5*: nobody gives up the processor in a critical section: with preemption off, or at a level above
//!    `LOCK_LEVEL`.
//! 7. *B1*: nobody sleeps while it is weakly bound.
//! 8. A thread's lock is the lock of whatever holds the thread. Its lock pointer leads there; who
//!    has taken the lock looks at the pointer again. Whoever unlocks releases what it *took*.
//! 9. A thread's links belong to the lock of the list that it is in, so it is in one at most.
//! 10. A thread that others know is made running by one function, `publish_on_processor`: state,
//!     then lock pointer, with release order. What that returns borrows the level, and the switch
//!     accepts nothing else. (An idle thread, and an interrupt thread that pins, are in no queue,
//!     and only their own processor makes them run.)
//! 11. A running thread's lock is that of its own processor. Every switch asserts it.
//! 12. Nobody stands on a stack on which another processor still stands: `on_cpu`.
//! 13. No wake-up is lost: who makes a thread runnable queues it, *fence*, looks at the processor;
//!     the processor says what it does, *fence*, looks at the queues. The halted bit is cleared
//!     before the poke.
//! 14. A thread, a processor and a queue live for ever. A pointer to one is never wrong, only what
//!     was read through it may be old.
//! 15. Nothing here allocates.
//!
//! Rules 2 to 7 and 11 are checked in debug builds, and the message names the rule.
//!
//! # Sources
//!
//! The model is the dispatcher of Solaris and illumos; each file names its counterparts there. No
//! line is copied. Interrupts as threads: Kleiman and Eykholt, *Interrupts as Threads*, 1995. The
//! bugs in `docs/history` are from the public histories of those systems. The clock's queue is a
//! pairing heap (Fredman, Sedgewick, Sleator and Tarjan, 1986), and cycles of owners are found in
//! Brent's manner.

#![no_std]
#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the comments are for readers of the code: `cargo doc --document-private-items`"
)]

// Under its own name too, for the file that its unit tests share with those in `tests/`.
#[cfg(test)]
extern crate self as dispatch;
#[cfg(test)]
extern crate std;

mod all_threads;
mod atomic_ref;
pub mod binding;
pub mod callout;
pub mod change_priority;
pub mod class;
pub mod condvar;
pub mod cpu;
pub mod cpu_lock;
pub mod disp_lock;
pub mod dispatch_queue;
mod enqueue;
pub mod hooks;
pub mod hot_plug;
pub mod idle;
pub mod idle_time;
mod in_motion;
pub mod interrupt_thread;
pub mod kernel_thread;
mod lock_order;
pub mod may_block;
pub mod measure;
pub mod mutex;
pub mod owner;
pub mod partition;
mod patience;
mod pause;
pub mod preempt;
pub mod priority;
mod priority_inheritance;
pub mod processor_set;
mod resched;
pub mod resources;
mod run_queue;
pub mod rwlock;
mod select;
pub mod semaphore;
pub mod shuttle;
pub mod sleep;
pub mod sleep_queue;
pub mod start;
pub mod stop;
mod swtch;
pub mod system;
#[cfg(test)]
mod test_machine;
pub mod thread;
mod thread_list;
pub mod thread_lock;
pub mod thread_name;
pub mod thread_snapshot;
pub mod tick;
pub mod turnstile;
pub mod wait_channel;
pub mod watchdog;
pub mod weak_binding;

pub use callout::Callout;
pub use change_priority::set_priority;
pub use class::Class;
pub use condvar::Condvar;
pub use cpu::CpuDispatch;
pub use disp_lock::DispLock;
pub use dispatch_queue::DispatchQueue;
pub use idle::idle_loop;
pub use may_block::MayBlock;
pub use mutex::{Mutex, MutexGuard};
pub use owner::ThreadOwner;
pub use partition::Partition;
pub use priority::Priority;
pub use resources::Resources;
pub use rwlock::{RwLock, RwReadGuard, RwWriteGuard};
pub use semaphore::Semaphore;
pub use sleep_queue::Woken;
pub use system::Dispatch;
pub use thread::{State, Thread};
pub use wait_channel::WaitChannel;
