//! The dispatcher: threads, dispatcher locks, run queues, sleeping, binding, processors off and on line.

#![no_std]

#[cfg(test)]
extern crate std;

mod atomic_ref;
pub mod callout;
pub mod change_priority;
pub mod class;
pub mod cpu;
mod cpu_lock;
pub mod disp_lock;
pub mod dispatch_queue;
mod enqueue;
pub mod hooks;
pub mod idle;
pub mod interrupt_thread;
pub mod kernel_thread;
mod lock_order;
pub mod may_block;
pub mod owner;
pub mod partition;
pub mod mutex;
mod patience;
mod pause;
pub mod preempt;
pub mod priority;
mod priority_inheritance;
mod resched;
pub mod resources;
mod run_queue;
pub mod rwlock;
mod select;
mod sleep_queue;
pub mod start;
mod swtch;
pub mod system;
pub mod thread;
mod thread_list;
pub mod thread_lock;
pub mod turnstile;

pub use change_priority::set_priority;
pub use class::Class;
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
pub use system::Dispatch;
pub use thread::{State, Thread};
