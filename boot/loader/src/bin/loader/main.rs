//! The loader's hands: everything that touches the machine. What it does is decided in the library
//! of the same name.
//!
//! In the order of a start:
//!
//! 1. [`entry`]: from the firmware, in 32-bit mode, to `boot` below, in 64-bit mode with the first
//!    4 GiB mapped at their own addresses;
//! 2. [`start_info`]: what the firmware left in memory;
//! 3. [`address_space`]: the kernel's page tables, filled by [`kernel_image`] and [`handover`];
//! 4. [`handover`]: boot information, and the jump.
//!
//! [`console`] is for failures only: a start that succeeds prints nothing.
//!
//! Built for the host, where a whole workspace may be built, it only says what it is for.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod address_space;
#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod entry;
#[cfg(target_os = "none")]
mod handover;
#[cfg(target_os = "none")]
mod image;
#[cfg(target_os = "none")]
mod kernel_image;
#[cfg(target_os = "none")]
mod start_info;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("the loader runs on the bare machine: build it with --target x86_64-unknown-none");
}
