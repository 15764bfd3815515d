//! Atomics, fences and spin hints for every crate of the kernel: core's own, or a model checker's.
//!
//! Code that is to be model-checked takes its atomics from here and nowhere else. Three flavours,
//! chosen by feature, at most one at a time:
//!
//! - none: `core::sync::atomic`, in the kernel and in plain host tests;
//! - `loom`: every interleaving and every weak-memory outcome of a small test;
//! - `shuttle`: random schedules of larger tests. Shuttle treats every access as `SeqCst`.
//!
//! Two traps that follow from loom. Its atomics have no `const fn new`, so no atomic may stand in a
//! `const` or `static`. And it treats `SeqCst` accesses as `AcqRel`, so a store that must be seen
//! before a later load is written as `fence(SeqCst)` between the two, never as two `SeqCst`
//! accesses.

#![no_std]

#[cfg(all(feature = "loom", feature = "shuttle"))]
compile_error!("the features `loom` and `shuttle` exclude each other");

pub mod cell;

pub use core::sync::atomic::Ordering;

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod flavour {
    pub use core::hint::spin_loop;
    pub use core::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
        compiler_fence, fence,
    };
}

#[cfg(feature = "loom")]
mod flavour {
    pub use loom::hint::spin_loop;
    pub use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, fence,
    };

    /// Orders nothing between threads, so the model has nothing to do.
    pub fn compiler_fence(_: core::sync::atomic::Ordering) {}
}

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod flavour {
    pub use shuttle::hint::spin_loop;
    pub use shuttle::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, fence,
    };

    /// Orders nothing between threads, so the model has nothing to do.
    pub fn compiler_fence(_: core::sync::atomic::Ordering) {}
}

pub use flavour::*;
