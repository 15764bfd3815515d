//! Address spaces of the checks' own, and threads of the kernel that read and write in them as a program does: their
//! accesses fault, and what virtual memory makes of the fault is theirs to judge. So a check decides who does what, and
//! when.
//!
//! Such a thread is no process: the kernel's handler finds none and lets the copy fail, and the thread then calls the
//! fault itself, as the handler would.

use crate::checks::{Outcome, Wrong};
use crate::kernel_space::TableFrames;
use dispatch::kernel_thread::Attributes;
use dispatch::{Thread, ThreadOwner};
use machine::pmap::Rights;
use machine::x86_64::user_copy::{self, BadAddress};
use machine::{Atomic, MayFault};
use vm::entry::Inheritance;
use vm::map::{Place, Request};
use vm::{FaultError, PAGE_SIZE, Space};

/// Where its memory begins.
const BASE: u64 = 0x4000_0000;

/// An address space, to be ended by [`Program::end`].
pub struct Program {
    space: Space,
}

/// Threads that run in a program.
#[derive(Clone, Copy)]
pub struct Inside(&'static Program);

impl Inside {
    /// The attributes of one.
    pub fn thread(self) -> Attributes {
        self.with(Attributes::system("check"))
    }

    /// The same with these attributes.
    pub fn with(self, attributes: Attributes) -> Attributes {
        Attributes { owner: Some(self.0), ..attributes }
    }
}

/// The address of a page.
pub fn address(page: u64) -> u64 {
    BASE + page * PAGE_SIZE
}

fn no_memory<E>(_: E) -> Wrong {
    Wrong::new(format_args!("no memory for an address space"))
}

impl Program {
    /// With so many pages of anonymous memory, which a child gets a copy of.
    pub fn new(pages: u64, may_fault: &mut MayFault) -> Result<Program, Wrong> {
        let program = Program { space: Space::new(&TableFrames).map_err(no_memory)? };
        let rights = Rights::READ | Rights::WRITE;
        let request = Request {
            address: BASE,
            length: pages * PAGE_SIZE,
            place: Place::Fixed,
            rights,
            rights_max: rights,
            inheritance: Inheritance::Copy,
            shared: false,
            stacks: None,
        };
        match program.space.insert(&request, None, may_fault) {
            Ok(_) => Ok(program),
            Err(error) => {
                program.end(may_fault);
                Err(no_memory(error))
            }
        }
    }

    /// A child.
    pub fn fork(&self, may_fault: &mut MayFault) -> Result<Program, Wrong> {
        let space = self.space.fork(&TableFrames, may_fault).map_err(no_memory)?;
        Ok(Program { space })
    }

    /// What a child gets of the first pages.
    pub fn inherit(
        &self,
        pages: u64,
        inheritance: Inheritance,
        may_fault: &mut MayFault,
    ) -> Outcome {
        let changed = self.space.inherit(address(0)..address(pages), inheritance, may_fault);
        changed.map_err(|error| Wrong::new(format_args!("inheritance: {error}")))
    }

    /// Unmaps everything, while others may still know the program.
    pub fn clear(&self, may_fault: &mut MayFault) {
        self.space.clear(may_fault);
    }

    /// Unmaps everything. Nobody runs in it.
    pub fn end(self, may_fault: &mut MayFault) {
        self.space.clear(may_fault);
    }

    /// For threads that run in it.
    ///
    /// # Safety
    ///
    /// They are over before the program is ended.
    pub unsafe fn inside(&self) -> Inside {
        // SAFETY: the caller's promise: it lives as long as anybody looks at it.
        Inside(unsafe { &*core::ptr::from_ref(self) })
    }

    /// Whether a page is in swap space and nowhere else.
    pub fn is_swapped(&self, page: u64, may_fault: &mut MayFault) -> bool {
        let map = self.space.map().read(may_fault);
        let Some(entry) = map.entries().find(address(page)) else { return false };
        let place = entry.place_of(address(page));
        let Some(object) = &entry.object else { return false };
        object.count_pages(place..place + 1, may_fault) == (0, 1)
    }

    /// Reads a page's first word. The running thread is one of the program's.
    pub fn read(&self, page: u64, may_fault: &mut MayFault) -> Result<u64, FaultError> {
        let mut word = [0; 8];
        self.access(page, Rights::READ, may_fault, |may_fault| {
            user_copy::copy_in(&mut word, address(page), may_fault)
        })?;
        Ok(u64::from_le_bytes(word))
    }

    /// Writes it. The running thread is one of the program's.
    pub fn write(&self, page: u64, word: u64, may_fault: &mut MayFault) -> Result<(), FaultError> {
        self.access(page, Rights::READ | Rights::WRITE, may_fault, |may_fault| {
            user_copy::copy_out(address(page), &word.to_le_bytes(), may_fault)
        })
    }

    /// Makes a page writable, as a write would, and leaves what is in it.
    pub fn touch(&self, page: u64, may_fault: &mut MayFault) -> Result<(), FaultError> {
        vm::fault(&self.space, address(page), Rights::READ | Rights::WRITE, may_fault)
    }

    fn access(
        &self,
        page: u64,
        rights: Rights,
        may_fault: &mut MayFault,
        mut act: impl FnMut(&mut MayFault) -> Result<(), BadAddress>,
    ) -> Result<(), FaultError> {
        while act(may_fault).is_err() {
            vm::fault(&self.space, address(page), rights, may_fault)?;
        }
        Ok(())
    }
}

impl ThreadOwner for Program {
    fn enters_processor(&self, _: &'static Thread, atomic: &Atomic) {
        self.space.pmap().activate(atomic);
    }

    fn leaves_processor(&self, _: &'static Thread, atomic: &Atomic) {
        self.space.pmap().deactivate(atomic);
    }
}
