//! Disks: virtio block devices, in pages.
//!
//! A transfer moves up to [`CLUSTER`] whole frames, wherever they lie, from or to pages of the disk that
//! follow one another. [`Disk::submit`] starts one and goes on; when it is over, its [`Completion`] is called on
//! the interrupt thread of the disks, which may block on a mutex. [`Disk::transfer`] sleeps until then.
//! After its start a disk allocates nothing, so memory can be made free by writing it to one.
//!
//! | file | concept |
//! |---|---|
//! | [`found`] | the disks that were found, by name |
//! | [`device`] | starting a device |
//! | [`requests`] | what a disk is busy with, and the queue to the device |
//! | [`complete`] | the end of a transfer |
//! | [`dma`] | memory that devices reach |
//! | [`door`] | a disk that is equally fast every time, where instructions are counted |
//! | [`watch`] | saying so when a transfer does not come back |
//! | [`injection`] | faults on purpose |
//!
//! # Rules
//!
//! 1. A completion is called exactly once, whatever becomes of the transfer; also if it never began.
//! 2. Until then the frames are the transfer's: while they are read into nobody touches them, while they are
//!    written out nobody writes them.
//! 3. The disks share one interrupt thread, on the first processor. A completion that blocks keeps the others
//!    waiting, so it must not wait for a transfer.
//! 4. Nobody spins for a device. A thread sleeps while all slots for requests are taken, and for nothing else.

mod complete;
mod device;
pub mod dma;
mod door;
mod found;
pub mod injection;
pub mod requests;
pub mod watch;

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use device::{Bell, Device};
use dispatch::interrupt_thread::InterruptContext;
use dispatch::{Callout, Semaphore};
use door::Door;
pub use found::{DISKS_MAX, Disks, Name, interrupt};
use injection::{Fault, Injection};
use machine::{MayFault, Pil, SpinLock, time};
use requests::{Request, Requests, SLOTS};

/// The level of the disks' interrupts; the line is the disk's number.
pub const LEVEL: Pil = Pil::new(5);
/// Most frames of a transfer.
pub const CLUSTER: usize = 16;
/// A disk counts in sectors of 512 bytes.
const SECTORS_PER_PAGE: u64 = 8;

/// The disk with the programs, in the form of a tar archive.
pub const ARCHIVE: &str = "archive";
/// The disk for pages that have no room in memory.
pub const SWAP: &str = "swap";

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// From the disk.
    Read,
    /// To the disk.
    Write,
}

/// The device has reported an error, or the transfer would have gone beyond the disk's end or have written
/// to one that cannot be written. Of the frames that were to be read, nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskError;

/// What is called when a transfer is over.
#[derive(Clone, Copy)]
pub struct Completion {
    /// The function. It is on the disks' interrupt thread and may block on a mutex.
    pub function:
        fn(argument: usize, outcome: Result<(), DiskError>, context: &mut InterruptContext),
    /// Its first argument.
    pub argument: usize,
}

/// What a disk has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Transfers from it, that are over.
    pub reads: u64,
    /// Transfers to it, that are over.
    pub writes: u64,
    /// Pages moved by either.
    pub pages: u64,
    /// Of the transfers, those that failed.
    pub errors: u64,
    /// Times that its interrupt was handled.
    pub interrupts: u64,
    /// Transfers that are not over.
    pub under_way: u64,
    /// Transfers that were late, and named in the log.
    pub late: u64,
}

#[derive(Default)]
struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
    pages: AtomicU64,
    errors: AtomicU64,
    interrupts: AtomicU64,
    late: AtomicU64,
}

/// Adds to a count that one thread at a time changes.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

/// A disk. See the module.
pub struct Disk {
    name: Name,
    line: u8,
    pages: u64,
    read_only: bool,
    bell: Bell,
    door: Option<Door>,
    requests: SpinLock<Requests, 13>,
    /// As many units as slots are free.
    free: Semaphore,
    injection: Injection,
    /// Looks for transfers that do not come back.
    watch: Callout,
    /// After how long a transfer is late, in nanoseconds.
    limit: AtomicU64,
    /// Ends the fixed time of a transfer, if there is a door.
    alarm: Callout,
    counts: Counts,
}

impl Disk {
    fn new(device: Device, line: u8) -> Disk {
        let Device { name, pages, read_only, transport, ring, bell, door, area } = device;
        Disk {
            name,
            line,
            pages,
            read_only,
            bell,
            door,
            requests: SpinLock::new(Requests::new(transport, ring, area)),
            free: Semaphore::new(SLOTS as u32),
            injection: Injection::new(),
            watch: Callout::new(),
            limit: AtomicU64::new(watch::LIMIT),
            alarm: Callout::new(),
            counts: Counts::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.name.text()
    }

    /// Its capacity, in pages.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Whether it can only be read.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Starts a transfer between `frames` (1 to [`CLUSTER`] physical addresses of whole frames) and the pages
    /// of the disk from `page` on. Sleeps only while all slots are taken. Rules 1 and 2 of the module hold.
    pub fn submit(
        &'static self,
        operation: Operation,
        page: u64,
        frames: &[u64],
        completion: Completion,
        may_fault: &mut MayFault,
    ) {
        assert!((1..=CLUSTER).contains(&frames.len()), "a transfer of {} frames", frames.len());
        debug_assert!(frames.iter().all(|frame| frame.is_multiple_of(dma::FRAME as u64)));
        self.free.p(may_fault);
        let end = page.saturating_add(frames.len() as u64);
        let allowed = end <= self.pages && !(self.read_only && operation == Operation::Write);
        let now = time::now();
        let mut request = Request::new(operation, page, frames, completion, now);
        if self.injection.fails(operation, page..end) {
            request.spoil();
        }
        let mut requests = self.requests.lock(may_fault);
        if !allowed {
            requests.decide(request, Err(DiskError));
        } else if requests.put(request) {
            // Within the lock, so that the device hears of the requests in the order in which it sees them,
            // and the door is shut before the next.
            self.bell.ring();
            if let Some(door) = &self.door {
                door.wait();
            }
        }
        let broken = requests.is_broken();
        let watch = !core::mem::replace(&mut requests.watched, true);
        drop(requests);
        if watch {
            self.set_watch(now);
        }
        // Who is told of nothing by the device is told by us.
        if self.door.is_some() || !allowed || broken {
            self.interrupt_again();
        }
    }

    /// Does a transfer, as [`Disk::submit`], and sleeps until it is over.
    pub fn transfer(
        &'static self,
        operation: Operation,
        page: u64,
        frames: &[u64],
        may_fault: &mut MayFault,
    ) -> Result<(), DiskError> {
        struct Waiting {
            over: Semaphore,
            failed: AtomicU64,
        }
        fn wake(argument: usize, outcome: Result<(), DiskError>, _: &mut InterruptContext) {
            // SAFETY: `transfer` passes the address of what is on its stack until this has woken it.
            let waiting = unsafe { &*core::ptr::with_exposed_provenance::<Waiting>(argument) };
            waiting.failed.store(u64::from(outcome.is_err()), Ordering::Relaxed);
            // The last that is done with it: who takes the unit does so under the lock that this holds.
            waiting.over.v();
        }
        let waiting = Waiting { over: Semaphore::new(0), failed: AtomicU64::new(0) };
        let argument = core::ptr::from_ref(&waiting).expose_provenance();
        self.submit(operation, page, frames, Completion { function: wake, argument }, may_fault);
        waiting.over.p(may_fault);
        if waiting.failed.load(Ordering::Relaxed) == 0 { Ok(()) } else { Err(DiskError) }
    }

    /// What it has done so far.
    pub fn statistics(&self) -> Statistics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Statistics {
            reads: get(&self.counts.reads),
            writes: get(&self.counts.writes),
            pages: get(&self.counts.pages),
            errors: get(&self.counts.errors),
            interrupts: get(&self.counts.interrupts),
            late: get(&self.counts.late),
            under_way: self.requests.lock_anywhere().count() as u64,
        }
    }

    /// Lets transfers fail from now on, or (`None`) no longer. For checks.
    pub fn inject(&self, fault: Option<Fault>) {
        self.injection.set_fault(fault);
    }

    /// Keeps back what the device has done, so that nobody hears of it: as if it hung. For checks.
    pub fn freeze(&self) {
        self.injection.set_frozen(true);
    }

    /// Ends [`Disk::freeze`]: who was kept waiting hears of it now.
    pub fn thaw(&'static self) {
        self.injection.set_frozen(false);
        self.interrupt_again();
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rights = if self.read_only { "read-only" } else { "writable" };
        let made = if self.door.is_some() { ", equally fast every time" } else { "" };
        write!(f, "disk {}: {} KiB, {rights}{made}", self.name(), self.pages * 4)
    }
}
