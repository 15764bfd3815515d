//! The host tool behind `cargo upcall`: everything that happens outside the machine.
//!
//! Reading order, which is also the order in which a run uses them:
//!
//! - [`cli`], `commands`: what the tool can be told, and what it then does.
//! - [`toolchain`], [`packages`], [`doctor`]: what a build and a run need, and getting what is missing.
//! - [`workspace`]: where things are, and building kernel, loader and programs.
//! - [`image`]: one tar archive out of kernel and programs.
//! - [`command_line`]: the text that the kernel is started with.
//! - [`qemu`], [`disks`]: the machine to emulate, as QEMU's arguments.
//! - [`run`], [`run_folder`], [`terminal`], [`orphan`]: one run from start to end, and its log.
//! - [`report_log`], [`outcome`], [`repeat`]: what the system reported, how its run ended, and how to
//!   have it once more.
//! - [`gdb`], [`symbols`]: looking inside while it runs, and afterwards.
//! - [`trace_log`], [`trace_marks`], [`trace_words`]: the kernel's trace, read back;
//!   [`trace_summary`], [`trace_chrome`], [`trace_page`]: and shown.
//! - [`mod@bench`], [`bench_table`], [`check`], [`maps`], [`mod@reference`]: what some of the commands do.
//!
//! The harness in `tests/` boots the system through this crate too, so what a test runs and what a
//! person runs is the same.

#![forbid(unsafe_code)]

pub mod bench;
pub mod bench_table;
pub mod check;
pub mod cli;
pub mod command_line;
mod commands;
pub mod disks;
pub mod doctor;
pub mod gdb;
pub mod image;
pub mod maps;
pub mod orphan;
pub mod outcome;
pub mod packages;
pub mod progress;
pub mod qemu;
pub mod reference;
pub mod repeat;
pub mod report_log;
pub mod run;
pub mod run_folder;
pub mod symbols;
pub mod terminal;
pub mod toolchain;
pub mod trace_chrome;
pub mod trace_log;
pub mod trace_marks;
pub mod trace_page;
pub mod trace_summary;
pub mod trace_words;
pub mod workspace;
