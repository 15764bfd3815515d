//! What the kernel agrees on with those outside it: call numbers, errors, structures. No code.
//!
//! - [`calls`]: the one table of system calls, from which the kernel's dispatch, the stubs of user
//!   programs, the names in traces and `docs/syscalls.md` are made.
//! - [`signature`]: names and classes of the calls' arguments, and how calls are written.
//! - [`statistics`]: what processes and LWPs are described with.
//! - [`errno`]: error values, with Linux's numbers.
//! - [`boot`]: what the loader hands to the kernel beyond `bootloader_api::BootInfo`.
//! - [`observe`]: how one process observes another.
//! - [`ending`]: how the machine ends a run, as seen from outside.
//! - [`activations`]: what a thread library shares with the kernel.
//! - [`files`], [`terminals`], [`statistics`]: structures and numbers of the calls about them.
//!
//! Whoever changes a number here changes a contract: old programs, traces and test logs read it.

#![no_std]
#![forbid(unsafe_code)]

pub mod activations;
pub mod boot;
pub mod calls;
pub mod ending;
pub mod errno;
pub mod files;
pub mod folders;
pub mod observe;
pub mod signals;
pub mod signature;
pub mod statistics;
pub mod terminals;
