//! What user programs share: the way in, the system calls, printing, reporting, measuring.
//!
//! A program is a file in `src/bin` with `#![no_std]`, `#![no_main]`, a function
//! `main(arguments: Arguments) -> i32` and `userland::program!(main)`. There is no allocator.
//!
//! - [`mod@start`]: from the first instruction to `main`, and the end.
//! - [`arguments`]: the words that the program was started with.
//! - [`system`]: the system calls.
//! - [`mod@print`]: `print!`, `println!`, `eprintln!`.
//! - [`report`]: checks and values, for the harness.
//! - [`clock`]: the time-stamp counter, times.
//! - [`lwp`], [`signal`], [`child`]: LWPs, signals, children.
//! - [`files`]: calls about open files.
//! - [`paths`], [`folder`], [`stream`], [`lines`], [`room`], [`tool`]: names, what is in a folder,
//!   text read and written, room for it, what small tools share.
//! - [`job_control`], [`signal_names`], [`programs`]: what the shell needs besides.
//! - [`pattern`], [`random`]: memory that says what it should contain, and chance, for stress.
//! - [`bench`]: what the program `bench` measures.

#![no_std]

#[cfg(not(upcall))]
compile_error!(
    "user programs are built for Upcall: \
     cargo build -p userland --bins --target x86_64-unknown-linux-musl --profile checked"
);

pub mod arguments;
pub mod bench;
pub mod child;
pub mod clock;
pub mod files;
pub mod folder;
pub mod job_control;
pub mod lines;
pub mod lwp;
mod memory;
mod panic;
pub mod paths;
pub mod pattern;
pub mod print;
pub mod processor;
pub mod programs;
pub mod random;
pub mod replace;
pub mod report;
pub mod room;
pub mod signal;
pub mod signal_names;
pub mod start;
pub mod stream;
pub mod system;
pub mod text;
pub mod tool;

pub use arguments::Arguments;
