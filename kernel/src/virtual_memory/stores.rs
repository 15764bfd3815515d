//! Disks and the ramdisk as stores of pages.

use crate::disk::{self, Completion, Disk, DiskError, Operation};
use crate::kernel::Kernel;
use dispatch::interrupt_thread::InterruptContext;
use machine::x86_64::paging;
use machine::{MayFault, System};
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

/// The ramdisk, whose pages are copied.
pub struct RamdiskStore(pub &'static [u8]);

impl Store for RamdiskStore {
    fn pages(&self) -> u64 {
        self.0.len() as u64 / vm::PAGE_SIZE
    }

    fn submit(
        &self,
        direction: Direction,
        page: u64,
        frames: &[u64],
        answer: Answer,
        _: &mut MayFault,
    ) {
        answer.done(self.transfer(direction, page, frames));
    }
}

impl RamdiskStore {
    fn transfer(&self, direction: Direction, page: u64, frames: &[u64]) -> Result<(), DeviceError> {
        if direction == Direction::Write {
            return Err(DeviceError);
        }
        for (page, frame) in (page..).zip(frames) {
            let start = (page * vm::PAGE_SIZE) as usize;
            let bytes = self.0.get(start..start + vm::PAGE_SIZE as usize).ok_or(DeviceError)?;
            let place = paging::physical::<u8>(System::current(), *frame);
            // SAFETY: the frame is the transfer's, and all physical memory is mapped.
            unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        }
        Ok(())
    }
}

/// The disk for swapping, if there is one.
pub fn swap(kernel: &'static Kernel) -> Option<&'static DiskStore> {
    let disk = kernel.disks.find(disk::SWAP).filter(|disk| !disk.is_read_only())?;
    Some(kernel.stores.swap.call_once(|| DiskStore(disk)))
}

/// Where the archive is: on its disk, or in the ramdisk.
pub fn archive(kernel: &'static Kernel) -> &'static dyn Store {
    match kernel.disks.find(disk::ARCHIVE) {
        Some(disk) => kernel.stores.archive.call_once(|| DiskStore(disk)),
        None => kernel.stores.ramdisk.call_once(|| RamdiskStore(kernel.ramdisk)),
    }
}

/// The stores of a system.
pub struct Stores {
    swap: spin::Once<DiskStore>,
    archive: spin::Once<DiskStore>,
    ramdisk: spin::Once<RamdiskStore>,
}

impl Stores {
    /// None yet.
    pub const fn new() -> Stores {
        Stores { swap: spin::Once::new(), archive: spin::Once::new(), ramdisk: spin::Once::new() }
    }
}
