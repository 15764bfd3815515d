//! The dispatcher: threads, dispatcher locks, run queues, sleeping, binding, processors off and on line.

#![no_std]

#[cfg(test)]
extern crate std;

mod atomic_ref;
pub mod callout;
pub mod class;
pub mod condvar;
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
pub mod mutex;
pub mod owner;
pub mod partition;
mod pause;
pub mod preempt;
pub mod priority;
mod resched;
pub mod resources;
mod run_queue;
mod select;
pub mod semaphore;
pub mod sleep;
pub mod sleep_queue;
pub mod start;
pub mod stop;
mod swtch;
pub mod system;
pub mod thread;
mod thread_list;
pub mod thread_lock;
pub mod tick;
mod turnstile;

pub use callout::Callout;
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
pub use semaphore::Semaphore;
pub use sleep_queue::Woken;
pub use system::Dispatch;
pub use thread::{State, Thread};
