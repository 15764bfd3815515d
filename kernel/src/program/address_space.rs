//! A program's address space: its half of the page tables, and the frames behind it.

use crate::kernel::Kernel;
use crate::kernel_space::{TableFrames, free_frame, zeroed_frame};
use crate::program::CannotRun;
use machine::System;
use machine::x86_64::paging::{self, Flags, MapError, Tables};
use machine::x86_64::user_copy::USER_END;

/// An address space. Dropping it gives every frame back; it must not be in use then.
pub struct AddressSpace {
    root: u64,
    system: &'static System,
}

impl AddressSpace {
    /// An empty one.
    pub fn new(kernel: &Kernel) -> Result<AddressSpace, CannotRun> {
        let root = zeroed_frame().map_err(|_| CannotRun::OutOfMemory)?;
        // SAFETY: a fresh frame of our own.
        unsafe { paging::share_upper_half(kernel.system, root) };
        Ok(AddressSpace { root, system: kernel.system })
    }

    /// The physical address of its top-level table.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Adds a page of zeros with these rights and gives its bytes to `fill`.
    pub fn add_page(
        &mut self,
        address: u64,
        flags: Flags,
        fill: impl FnOnce(&mut [u8; 4096]),
    ) -> Result<(), CannotRun> {
        assert!(address < USER_END, "a program's page lies in its own half");
        let frame = zeroed_frame().map_err(|_| CannotRun::OutOfMemory)?;
        let bytes = paging::physical::<[u8; 4096]>(self.system, frame);
        // SAFETY: a fresh frame, which nobody else knows yet.
        fill(unsafe { &mut *bytes });
        // SAFETY: nobody runs in this address space while it is being made.
        let mut tables = unsafe { Tables::at(self.system, self.root) };
        let flags = flags | Flags::USER_ACCESSIBLE;
        // SAFETY: the page is the program's, and the frame becomes its.
        unsafe { tables.map(address, frame, flags, &mut TableFrames) }.map_err(|error| {
            free_frame(frame);
            match error {
                MapError::OutOfMemory => CannotRun::OutOfMemory,
                MapError::InUse => CannotRun::Unsuitable("two segments share a page"),
            }
        })
    }
}

impl Drop for AddressSpace {
    fn drop(&mut self) {
        assert_ne!(paging::current_root(), self.root, "an address space in use is dropped");
        // SAFETY: nobody uses it any more.
        unsafe { paging::tear_down(self.system, self.root, &mut free_frame) };
        free_frame(self.root);
    }
}
