//! Disks as stores of pages.

use crate::disk::{self, Completion, Disk, DiskError, Operation};
use crate::kernel::Kernel;
use dispatch::interrupt_thread::InterruptContext;
use machine::MayFault;
use vm::store::{Answer, DeviceError, Direction, Store};

/// A disk.
pub struct DiskStore(pub &'static Disk);

impl Store for DiskStore {
    fn pages(&self) -> u64 {
        self.0.pages()
    }

    fn submit(
        &self,
        direction: Direction,
        page: u64,
        frames: &[u64],
        answer: Answer,
        may_fault: &mut MayFault,
    ) {
        fn over(argument: usize, outcome: Result<(), DiskError>, _: &mut InterruptContext) {
            // SAFETY: the number that `submit` got, and a completion is called once.
            let answer = unsafe { Answer::from_number(argument) };
            answer.done(outcome.map_err(|DiskError| DeviceError));
        }
        let operation = match direction {
            Direction::Read => Operation::Read,
            Direction::Write => Operation::Write,
        };
        let completion = Completion { function: over, argument: answer.into_number() };
        self.0.submit(operation, page, frames, completion, may_fault);
    }
}

/// The disk for swapping, if there is one.
pub fn swap(kernel: &'static Kernel) -> Option<&'static DiskStore> {
    let disk = kernel.disks.find(disk::SWAP).filter(|disk| !disk.is_read_only())?;
    Some(kernel.stores.swap.call_once(|| DiskStore(disk)))
}

/// The disk with the programs, if there is one.
pub fn archive(kernel: &'static Kernel) -> Option<&'static DiskStore> {
    let disk = kernel.disks.find(disk::ARCHIVE)?;
    Some(kernel.stores.archive.call_once(|| DiskStore(disk)))
}

/// The stores of a system.
pub struct Stores {
    swap: spin::Once<DiskStore>,
    archive: spin::Once<DiskStore>,
}

impl Stores {
    /// None yet.
    pub const fn new() -> Stores {
        Stores { swap: spin::Once::new(), archive: spin::Once::new() }
    }
}
