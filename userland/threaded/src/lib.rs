//! What programs of many threads share.
//!
//! - [`again`]: a program starts itself again, with another library mode, and hears what comes of it.
//! - [`present`]: whether every virtual processor is still there.
//! - [`random`]: numbers that are the same in every run.

#![no_std]

pub mod again;
pub mod present;
pub mod random;
