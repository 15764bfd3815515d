//! Programs: address spaces, and threads that read and write there.

use super::Tables;
use super::dispatcher::{spawn, system};
use dispatch::kernel_thread::{Attributes, JoinHandle};
use dispatch::{Thread, ThreadOwner};
use machine::pmap::Rights;
use machine::sim::user;
use machine::{Atomic, MayFault};
use std::sync::Arc;
use vm::entry::Inheritance;
use vm::map::{MapError, Place, Request};
use vm::{FaultError, ObjectRef, PAGE_SIZE, Space};

/// Where the tests' programs have their memory.
pub const BASE: u64 = 0x40_0000;

/// A program: an address space that goes with the last who has it.
#[derive(Clone)]
pub struct Program(Arc<Inner>);

struct Inner {
    space: Option<Space>,
}

/// The address of a page of the tests' memory.
pub fn page(number: u64) -> u64 {
    BASE + number * PAGE_SIZE
}

/// Reading and writing.
pub fn read_write() -> Rights {
    Rights::READ | Rights::WRITE
}

/// A request for anonymous memory.
pub fn anonymous(first: u64, pages: u64) -> Request {
    Request {
        address: page(first),
        length: pages * PAGE_SIZE,
        place: Place::Fixed,
        rights: read_write(),
        rights_max: Rights::READ | Rights::WRITE | Rights::EXECUTE,
        inheritance: Inheritance::Copy,
        shared: false,
        stacks: None,
    }
}

impl Program {
    /// With nothing mapped.
    pub fn new() -> Program {
        Program::of(Space::new(&Tables).expect("there are frames"))
    }

    fn of(space: Space) -> Program {
        Program(Arc::new(Inner { space: Some(space) }))
    }

    /// Its address space.
    pub fn space(&self) -> &Space {
        self.0.space.as_ref().expect("it lives")
    }

    /// Maps anonymous memory from a page on.
    pub fn map(&self, first: u64, pages: u64, may_fault: &mut MayFault) {
        self.space().insert(&anonymous(first, pages), None, may_fault).expect("it can be mapped");
    }

    /// Unmaps pages.
    pub fn unmap(&self, first: u64, pages: u64, may_fault: &mut MayFault) {
        self.space()
            .remove(page(first)..page(first + pages), may_fault)
            .expect("it can be unmapped");
    }

    /// Says what a child gets of pages.
    pub fn inherit(
        &self,
        first: u64,
        pages: u64,
        inheritance: Inheritance,
        may_fault: &mut MayFault,
    ) {
        let range = page(first)..page(first + pages);
        self.space().inherit(range, inheritance, may_fault).expect("it is mapped");
    }

    /// A child.
    pub fn fork(&self, may_fault: &mut MayFault) -> Program {
        Program::of(self.space().fork(&Tables, may_fault).expect("there is memory"))
    }

    /// Ends it; nobody runs in it.
    pub fn exit(self, may_fault: &mut MayFault) {
        self.space().clear(may_fault);
    }

    /// Runs `body` in a thread of the program.
    pub fn run(
        &self,
        attributes: Attributes,
        body: impl FnOnce(&User, &mut MayFault) + Send + 'static,
    ) -> Running {
        // SAFETY: `Running` has its share of the program until the thread is over, and must be joined.
        let owner: &'static Inner = unsafe { &*Arc::as_ptr(&self.0) };
        let user = User { program: self.clone() };
        let attributes = Attributes { owner: Some(owner), ..attributes };
        let handle = spawn(attributes, move |may_fault| body(&user, may_fault));
        Running { handle, program: self.clone() }
    }

    /// The same, to its end.
    pub fn act(
        &self,
        body: impl FnOnce(&User, &mut MayFault) + Send + 'static,
        may_fault: &mut MayFault,
    ) {
        self.run(system(60), body).join(may_fault);
    }
}

/// A thread that runs in a program, and its share of the program.
#[must_use = "it has to be joined"]
pub struct Running {
    handle: JoinHandle,
    program: Program,
}

impl Running {
    /// Waits until it is over.
    pub fn join(self, may_fault: &mut MayFault) {
        self.handle.join(may_fault);
        drop(self.program);
    }
}

/// A thread that runs in a program.
pub struct User {
    program: Program,
}

impl ThreadOwner for Inner {
    fn enters_processor(&self, _: &'static Thread, atomic: &Atomic) {
        self.space.as_ref().expect("it lives").pmap().activate(atomic);
    }

    fn leaves_processor(&self, _: &'static Thread, atomic: &Atomic) {
        self.space.as_ref().expect("it lives").pmap().deactivate(atomic);
    }
}

impl User {
    /// The program that it runs in.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Tries an access until it works, or cannot.
    fn access<R>(
        &self,
        address: u64,
        rights: Rights,
        may_fault: &mut MayFault,
        act: impl Fn() -> Result<R, user::Fault>,
    ) -> Result<R, FaultError> {
        loop {
            match act() {
                Ok(result) => return Ok(result),
                Err(_) => vm::fault(self.program.space(), address, rights, may_fault)?,
            }
        }
    }

    /// Reads the first word of a page.
    pub fn read(&self, number: u64, may_fault: &mut MayFault) -> Result<u64, FaultError> {
        let address = page(number);
        self.access(address, Rights::READ, may_fault, || user::load(address))
    }

    /// Writes it.
    pub fn write(
        &self,
        number: u64,
        value: u64,
        may_fault: &mut MayFault,
    ) -> Result<(), FaultError> {
        let address = page(number);
        self.access(address, read_write(), may_fault, || user::store(address, value))
    }

    /// Adds to it.
    pub fn add(
        &self,
        number: u64,
        value: u64,
        may_fault: &mut MayFault,
    ) -> Result<u64, FaultError> {
        let address = page(number);
        self.access(address, read_write(), may_fault, || user::fetch_add(address, value))
    }
}
