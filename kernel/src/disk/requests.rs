//! What a disk is busy with: a fixed number of requests, and the queue through which the device hears of
//! them. All of it is behind the disk's spin lock; nothing here allocates or waits.
//!
//! A request is a header, up to [`CLUSTER`] frames that need not be neighbours, and a byte for the outcome.
//! Each is a descriptor of the queue, and there are only as many requests as surely find descriptors.
//!
//! ```text
//! free ──put──► at the device ──collect──► decided ──take_decided──► free
//!   └────────────decide (refused, or failed on purpose)──▲
//! ```
//!
//! The device is not trusted: if it gives back what it was not given, it is reset, and whatever it had fails.

use super::dma;
use super::{CLUSTER, Completion, DiskError, Operation, SECTORS_PER_PAGE};
use core::sync::atomic::{Ordering, fence};
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::pci::PciTransport;
use virtio_drivers::transport::{DeviceStatus, Transport};

/// Descriptors of the queue.
pub const QUEUE_SIZE: usize = 256;
/// Requests at a time: each takes up to two descriptors more than frames.
pub const SLOTS: usize = QUEUE_SIZE / (CLUSTER + 2);

/// The queue.
pub type Ring = VirtQueue<dma::Dma, QUEUE_SIZE>;

const SECTOR_BYTES: u64 = 512;

/// What the device is told to do.
const READ: u32 = 0;
const WRITE: u32 = 1;
/// The outcome of a request that went well; and one that no device gives.
const GOOD: u8 = 0;
const NO_OUTCOME: u8 = u8::MAX;

/// Of a frame: the header of each request, and behind it the outcome.
const HEADER_BYTES: usize = 16;
const PART_BYTES: usize = 32;
const _: () = assert!(SLOTS * PART_BYTES <= dma::FRAME);

/// A transfer.
#[derive(Clone, Copy)]
pub struct Request {
    /// Its direction.
    pub operation: Operation,
    /// Its first page.
    pub page: u64,
    /// Where that is, as the device is told.
    sector: u64,
    frames: [u64; CLUSTER],
    count: usize,
    /// Who is told when it is over.
    pub completion: Completion,
    /// When it was made, in ticks of the clock.
    pub since: u64,
}

impl Request {
    /// Of up to [`CLUSTER`] frames.
    pub fn new(
        operation: Operation,
        page: u64,
        frames: &[u64],
        completion: Completion,
        since: u64,
    ) -> Request {
        let mut all = [0; CLUSTER];
        all[..frames.len()].copy_from_slice(frames);
        let sector = page.wrapping_mul(SECTORS_PER_PAGE);
        Request { operation, page, sector, frames: all, count: frames.len(), completion, since }
    }

    /// Makes the device refuse it: asks for what no disk has.
    pub fn spoil(&mut self) {
        self.sector = u64::MAX / SECTOR_BYTES;
    }

    /// How many pages it transfers.
    pub fn count(&self) -> u64 {
        self.count as u64
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// The descriptor at the head of its chain.
    AtDevice(u16),
    Decided(Result<(), DiskError>),
}

#[derive(Clone, Copy)]
struct Slot {
    state: State,
    request: Option<Request>,
    /// It has been said that it does not come back.
    reported: bool,
}

/// The requests of a disk. See the module.
pub struct Requests {
    ring: Ring,
    transport: PciTransport,
    /// The frame with headers and outcomes.
    area: u64,
    slots: [Slot; SLOTS],
    /// The device has been caught lying; it is not asked again.
    broken: bool,
    /// The watch is set.
    pub watched: bool,
    /// The end of the fixed time of a request is being waited for.
    pub awaited: bool,
}

impl Requests {
    /// None, of a device that is ready. What else there is of the device is the caller's.
    pub fn new(transport: PciTransport, ring: Ring, area: u64) -> Requests {
        let free = Slot { state: State::Free, request: None, reported: false };
        Requests {
            ring,
            transport,
            area,
            slots: [free; SLOTS],
            broken: false,
            watched: false,
            awaited: false,
        }
    }

    fn take_slot(&mut self, request: Request, state: State) -> usize {
        let free = self.slots.iter().position(|slot| slot.state == State::Free);
        let index = free.expect("who has a unit of the semaphore finds a slot");
        self.slots[index] = Slot { state, request: Some(request), reported: false };
        index
    }

    /// Takes a request whose outcome is known. Needs a free slot.
    pub fn decide(&mut self, request: Request, outcome: Result<(), DiskError>) {
        self.take_slot(request, State::Decided(outcome));
    }

    /// Hands a request to the device; says whether the device has to be told. Needs a free slot. The frames
    /// are the request's until it is over: of a read nobody touches them, of a write nobody writes them.
    pub fn put(&mut self, request: Request) -> bool {
        if self.broken {
            self.decide(request, Err(DiskError));
            return false;
        }
        let index = self.take_slot(request, State::Free);
        let parts = Parts::new(self.area, index);
        parts.prepare(&request);
        let ring = &mut self.ring;
        // SAFETY: the parts are this slot's until the request is over, and the frames the request's.
        let added = parts.lend(&request, |inputs, outputs| unsafe { ring.add(inputs, outputs) });
        self.slots[index].state = match added {
            Ok(head) => State::AtDevice(head),
            Err(_) => State::Decided(Err(DiskError)),
        };
        // What the device says about being told is looked at after it can see the request. The queue's
        // own store does not promise that.
        fence(Ordering::SeqCst);
        added.is_ok() && self.ring.should_notify()
    }

    /// Notes what the device has done. From then on it may interrupt again.
    pub fn collect(&mut self) {
        if self.broken {
            return;
        }
        self.ring.set_dev_notify(false);
        loop {
            while let Some(head) = self.ring.peek_used() {
                if !self.collect_one(head) {
                    self.give_up();
                    return;
                }
            }
            self.ring.set_dev_notify(true);
            // What comes from here on makes an interrupt; what came before has made none, so there has to be
            // another look, and not before the device can see that it may.
            fence(Ordering::SeqCst);
            if !self.ring.can_pop() {
                return;
            }
            self.ring.set_dev_notify(false);
        }
    }

    /// Notes that the request with this head is done; says whether there is one.
    fn collect_one(&mut self, head: u16) -> bool {
        let with_head = |slot: &Slot| slot.state == State::AtDevice(head);
        let Some(index) = self.slots.iter().position(with_head) else { return false };
        let Some(request) = self.slots[index].request else { return false };
        let parts = Parts::new(self.area, index);
        let ring = &mut self.ring;
        let popped = parts.lend(&request, |inputs, outputs| {
            // SAFETY: the same parts and frames as in `put`.
            unsafe { ring.pop_used(head, inputs, outputs) }
        });
        let good = popped.is_ok() && parts.outcome() == GOOD;
        self.slots[index].state = State::Decided(if good { Ok(()) } else { Err(DiskError) });
        true
    }

    /// The device does what it must not: it is stopped, and what it had fails.
    fn give_up(&mut self) {
        self.broken = true;
        self.transport.set_status(DeviceStatus::empty());
        for slot in &mut self.slots {
            if matches!(slot.state, State::AtDevice(_)) {
                slot.state = State::Decided(Err(DiskError));
            }
        }
    }

    /// Whether the device was stopped because it did what it must not.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Takes out a request that is over and was made by `until`, and frees its slot: the oldest.
    pub fn take_decided(&mut self, until: u64) -> Option<(Request, Result<(), DiskError>)> {
        let decided = self.slots.iter_mut().filter_map(|slot| match (slot.state, slot.request) {
            (State::Decided(outcome), Some(request)) => Some((request, outcome, slot)),
            _ => None,
        });
        let (request, outcome, slot) = decided.min_by_key(|(request, ..)| request.since)?;
        if request.since > until {
            return None;
        }
        slot.state = State::Free;
        slot.request = None;
        Some((request, outcome))
    }

    /// When the oldest request that is over was made.
    pub fn oldest_decided(&self) -> Option<u64> {
        let decided = self.slots.iter().filter(|slot| matches!(slot.state, State::Decided(_)));
        decided.filter_map(|slot| Some(slot.request?.since)).min()
    }

    /// A request that was made by `until`, has not been reported, and is now.
    pub fn report_one(&mut self, until: u64) -> Option<Request> {
        let late = |slot: &&mut Slot| {
            !slot.reported && slot.request.is_some_and(|request| request.since <= until)
        };
        let slot = self.slots.iter_mut().find(late)?;
        slot.reported = true;
        slot.request
    }

    /// When the oldest of the requests that have not been reported was made.
    pub fn oldest_unreported(&self) -> Option<u64> {
        let unreported = self.slots.iter().filter(|slot| !slot.reported);
        unreported.filter_map(|slot| Some(slot.request?.since)).min()
    }

    /// How many requests are not over.
    pub fn count(&self) -> usize {
        self.slots.iter().filter(|slot| slot.request.is_some()).count()
    }
}

/// A slot's parts of the frame for headers and outcomes.
struct Parts(*mut u8);

impl Parts {
    fn new(area: u64, index: usize) -> Parts {
        Parts(dma::pointer(area + (index * PART_BYTES) as u64))
    }

    fn status(&self) -> *mut u8 {
        self.0.wrapping_add(HEADER_BYTES)
    }

    /// Writes the header.
    fn prepare(&self, request: &Request) {
        let code = match request.operation {
            Operation::Read => READ,
            Operation::Write => WRITE,
        };
        // SAFETY: the slot's part of the frame, which the device does not know yet.
        unsafe { self.0.cast::<[u32; 2]>().write([code, 0]) };
        // SAFETY: as above.
        unsafe { self.0.cast::<u64>().wrapping_add(1).write(request.sector) };
        // SAFETY: as above.
        unsafe { self.status().write(NO_OUTCOME) };
    }

    /// What the device said, when the request is over.
    fn outcome(&self) -> u8 {
        // SAFETY: the slot's part of the frame.
        unsafe { self.status().read_volatile() }
    }

    /// Shows the request as the queue wants it: what the device reads, and what it writes.
    fn lend<R>(
        &self,
        request: &Request,
        act: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
    ) -> R {
        let frames = &request.frames[..request.count];
        // SAFETY: the slot's part of the frame; written before the device knew it, and only then.
        let header = unsafe { core::slice::from_raw_parts(self.0, HEADER_BYTES) };
        // SAFETY: as above; only the device writes it while the request is on.
        let status = unsafe { core::slice::from_raw_parts_mut(self.status(), 1) };
        match request.operation {
            Operation::Read => {
                let mut outputs: [&mut [u8]; CLUSTER + 1] = core::array::from_fn(|_| &mut [][..]);
                for (place, &frame) in outputs.iter_mut().zip(frames) {
                    let bytes = dma::pointer(frame);
                    // SAFETY: the frame is the request's, and nobody else touches it.
                    *place = unsafe { core::slice::from_raw_parts_mut(bytes, dma::FRAME) };
                }
                outputs[request.count] = status;
                act(&[header], &mut outputs[..request.count + 1])
            }
            Operation::Write => {
                let mut inputs: [&[u8]; CLUSTER + 1] = [&[]; CLUSTER + 1];
                inputs[0] = header;
                for (place, &frame) in inputs[1..].iter_mut().zip(frames) {
                    let bytes = dma::pointer(frame);
                    // SAFETY: the frame is the request's, and nobody writes it.
                    *place = unsafe { core::slice::from_raw_parts(bytes, dma::FRAME) };
                }
                act(&inputs[..request.count + 1], &mut [status])
            }
        }
    }
}
