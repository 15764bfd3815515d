//! The thread library: threads of the program, many of them, over a few virtual processors of the kernel's.
//!
//! ```text
//!   a program      thread::spawn, park, join ... sync::Mutex ...
//!   ─────────────────────────────────────────────────────────────────────────────
//!   libsa          thread    sync        what a program uses
//!                  dispatch              what a virtual processor does next
//!                  switch   save         registers: from one thread to the next
//!                  upcall   pending      what the kernel tells
//!                  line     processor    a virtual processor's own
//!                  runtime  control      how it begins; control blocks
//!   libsa/scheduler                      run queues, stealing, idling: pure, tested on the host
//!   ─────────────────────────────────────────────────────────────────────────────
//!   the kernel     virtual processors, upcalls
//! ```
//!
//! | file | concept |
//! |---|---|
//! | [`runtime`] | the modes, how the library begins, what it shares with the kernel |
//! | [`thread`] | threads, under the names of `std::thread` |
//! | [`sync`] | mutexes and so on, under the names of `std::sync` |
//! | [`dispatch`] | what a virtual processor does next |
//! | [`switch`] | from one thread to the next |
//! | [`upcall`] | where the kernel starts the library, and what it does with the events |
//! | [`notice`] | the kernel wants processors back |
//! | [`pending`] | upcalls that have interrupted the library itself |
//! | [`save`] | contexts and save slots |
//! | [`line`], [`processor`] | what belongs to a virtual processor; critical sections |
//! | [`control`] | what belongs to a thread |
//! | [`timeout`] | waiting until a time |
//! | [`local`] | thread-local values |
//! | [`scope`] | threads that may borrow |
//! | [`heap`] | memory for `alloc` |
//! | [`withheld`] | what goes back to the kernel late: for its tests |
//!
//! # Rules
//!
//! 1. Whoever touches what belongs to the scheduler or to a virtual processor is in a critical section. An upcall that
//!    finds the library in one puts itself off, and goes on with what it has interrupted.
//! 2. A thread that blocks in a critical section gets its virtual processor back (`sa_unblockyield`), as others may wait
//!    for what it holds.
//! 3. A thread's context is its own until it enters the library again; who interrupts it before it has all its registers
//!    throws away what was saved ([`switch`]).
//! 4. A stack is left before it is given away: by a store that is the last thing done on it.

#![no_std]

extern crate alloc;

#[cfg(not(upcall))]
compile_error!("libsa is built for Upcall: it is part of programs");

pub mod control;
pub mod dispatch;
pub mod heap;
pub mod line;
pub mod local;
pub mod notice;
pub mod pending;
pub mod processor;
pub mod runtime;
pub mod save;
pub mod scope;
pub mod switch;
pub mod sync;
pub mod thread;
pub mod timeout;
pub mod upcall;
pub mod withheld;

/// Makes a function `fn(Arguments) -> i32` the program's first thread; what it returns is the program's status.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        fn begin_threads(arguments: userland::Arguments) -> i32 {
            $crate::runtime::run(arguments, $main)
        }
        userland::program!(begin_threads);
    };
}
