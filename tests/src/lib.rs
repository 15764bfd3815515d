//! Boots the system in QEMU and checks what it does: the library behind `cargo test`'s `system` tests.
//!
//! - [`scenario`]: what a scenario is: a machine, what to boot on it, and what should come of it.
//! - [`suites`]: the scenarios themselves, as tables. New ones go there.
//! - [`checks`]: the kernel's own checks, many to a boot, each shown as a test of its own.
//! - [`classify`]: from what was seen to what went wrong, and the text for a person.
//! - [`perform`]: carrying a scenario out; [`damage`]: images with something wrong with them;
//!   [`foreign`]: programs of another system; [`slots`]: not starting more at once than the host can carry.
//! - [`flavours`]: the model checkers' builds of the kernel's libraries, as sub-processes.
//! - [`selection`]: which boots a filter on the command line asks for.
//!
//! Everything is built and booted through crate `boot`, as `cargo upcall` does it.

#![forbid(unsafe_code)]

pub mod checks;
pub mod classify;
pub mod damage;
pub mod flavours;
pub mod foreign;
pub mod perform;
pub mod scenario;
pub mod selection;
pub mod slots;
pub mod suites;
