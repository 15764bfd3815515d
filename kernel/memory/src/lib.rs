//! Frames and slabs: where kernel objects come from.
//!
//! Two layers, each of which keeps its shared part behind one spin lock and a private part per
//! processor in front of it, so that the common case takes no shared lock:
//!
//! | file | concept |
//! |---|---|
//! | [`frame`] | a frame's number and its descriptor |
//! | [`frames`] | the buddy allocator: blocks of 2^order frames |
//! | [`frame_pool`] | the buddy allocator behind its lock, single frames cached per processor |
//! | [`page_source`] | what a slab asks of whoever gives it pages |
//! | [`slab`] | objects of one type, made from pages |
//! | `magazine` | a chain of free objects, the unit in which slabs move them |
//! | [`slab_page`] | a page cut into objects |
//! | `per_cpu` | one value per processor, and who may touch it |
//!
//! # Rules
//!
//! 1. Running out is an error value ([`OutOfMemory`]), never a panic; freeing cannot fail.
//! 2. A wrong free is a bug of the caller's and ends in a panic that names the frame and its state.
//!    One that comes when the frame has been given out again cannot be told from the new owner's.
//! 3. Everything here may be called from interrupt handlers up to
//!    [`Pil::SPIN_MAX`](machine::Pil::SPIN_MAX), and nothing here sleeps or faults.
//!
//! The crate knows no hardware: it deals in frame numbers, and in pages that somebody else maps.

#![no_std]

#[cfg(test)]
extern crate std;

pub mod frame;
pub mod frame_pool;
pub mod frames;
mod magazine;
pub mod page_source;
mod per_cpu;
pub mod slab;
pub mod slab_page;

pub use frame::{Frame, FrameNumber, FrameState};
pub use frame_pool::{Class, FramePool};
pub use frames::{FrameAllocator, FrameCounts};
pub use page_source::{PAGE_SIZE, Page, PageSource};
pub use slab::{Slab, SlabBox};

use core::fmt;
use machine::System;
use machine::slot::{Layer, Slot};

/// There is not enough memory for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

impl fmt::Display for OutOfMemory {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("out of memory")
    }
}

impl core::error::Error for OutOfMemory {}

// SAFETY: the only slot of this layer for systems.
const SLOT: Slot<Memory> = unsafe { Slot::new(Layer::Memory) };

/// The memory of one system. The kernel makes it once, while the system starts.
pub struct Memory {
    /// All frames of the machine.
    pub frames: FramePool,
}

impl Memory {
    /// The memory whose frames `frames` knows.
    pub fn new(frames: FrameAllocator) -> Memory {
        Memory { frames: FramePool::new(frames) }
    }

    /// Makes this the memory of `system`; once per system.
    pub fn install(&'static self, system: &System) {
        system.slots().install(&SLOT, self);
    }

    /// The memory of the current system, which must have been installed.
    #[inline]
    pub fn current() -> &'static Memory {
        System::current().slots().get(&SLOT)
    }
}
