//! Starting a virtio block device: finding its registers, agreeing on features, giving it a queue and a vector,
//! asking for its name.
//!
//! `virtio-drivers` has the transport and the queue. Two things it does not do are done here: the numbers
//! of the messages by which the device interrupts go into its common registers, and the
//! place to which the driver writes when there is work is kept, so that a request costs one access to a
//! register and not three.
//!
//! Virtual I/O Device specification 1.2, sections 3.1.1 (the order of starting), 4.1 (PCI), 5.2 (block).

use super::dma::{self, Dma};
use super::door::Door;
use super::requests::Ring;
use super::{LEVEL, Name};
use crate::pci::msix::{Msix, NoMessages};
use crate::pci::{Blocks, NoAddress, Pci};
use core::fmt;
use core::sync::atomic::{Ordering, fence};
use machine::time;
use machine::x86_64::trap::vector;
use memory::OutOfMemory;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::pci::bus::{DeviceFunction, PCI_CAP_ID_VNDR};
use virtio_drivers::transport::pci::{PciTransport, VirtioPciError};
use virtio_drivers::transport::{DeviceStatus, Transport};

/// The kinds of places for registers that are of interest here.
pub const COMMON: u8 = 1;
const NOTIFY: u8 = 2;

/// Among the common registers.
const QUEUE_SELECT: u64 = 22;
const QUEUE_VECTOR: u64 = 26;
const QUEUE_NOTIFY_OFFSET: u64 = 30;

/// Features: the disk cannot be written; the device follows version 1 of the specification.
const READ_ONLY: u64 = 1 << 5;
const VERSION_1: u64 = 1 << 32;

/// The one queue, and the message that says that something in it is done.
const QUEUE: u16 = 0;
const MESSAGE: u16 = 0;

/// Asks for the name; 20 bytes.
const GET_NAME: u32 = 8;
/// The length of a name.
pub const NAME_BYTES: usize = 20;
/// How long the device may take to say its name, in nanoseconds.
const PATIENCE: u64 = 1_000_000_000;

/// Why a device is not used.
#[derive(Debug)]
pub enum Unusable {
    /// Its registers are not as they should be.
    Registers(VirtioPciError),
    /// There is no address for its registers, or no memory to map them.
    NoAddress,
    /// It cannot interrupt by messages.
    NoMessages,
    /// It does not follow version 1, or does not agree to be used without its other features.
    Features,
    /// Its queue is too short, or already in use.
    Queue,
    /// It did not say its name, or not in time.
    Nameless,
    /// It is smaller than a page.
    Empty,
    /// No memory for its queue.
    OutOfMemory,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Registers(error) => write!(f, "{error}"),
            Unusable::NoAddress => f.write_str("there is no room for its registers"),
            Unusable::NoMessages => f.write_str("it cannot interrupt by messages"),
            Unusable::Features => f.write_str("it refuses the features that are needed"),
            Unusable::Queue => f.write_str("its queue is too short, or in use"),
            Unusable::Nameless => f.write_str("it does not say its name"),
            Unusable::Empty => f.write_str("it holds less than a page"),
            Unusable::OutOfMemory => f.write_str("no memory for its queue"),
        }
    }
}

impl From<NoAddress> for Unusable {
    fn from(_: NoAddress) -> Unusable {
        Unusable::NoAddress
    }
}

impl From<NoMessages> for Unusable {
    fn from(_: NoMessages) -> Unusable {
        Unusable::NoMessages
    }
}

impl From<OutOfMemory> for Unusable {
    fn from(_: OutOfMemory) -> Unusable {
        Unusable::OutOfMemory
    }
}

/// Where some of a device's registers are: a part of one of its blocks.
pub struct Place {
    bar: u8,
    offset: u32,
    length: u32,
    /// Of [`NOTIFY`]: how far the places of two queues are apart.
    stride: u32,
}

impl Place {
    /// The place of this kind.
    pub fn find(pci: &Pci, function: DeviceFunction, kind: u8) -> Option<Place> {
        let is_meant = |header: u16| header >> 8 == u16::from(kind) && header & 0xff >= 16;
        let all = pci.root.capabilities(function);
        let found =
            all.into_iter().find(|it| it.id == PCI_CAP_ID_VNDR && is_meant(it.private_header))?;
        let word = |offset| pci.read(function, found.offset + offset);
        let has_stride = kind == NOTIFY && found.private_header & 0xff >= 20;
        let stride = if has_stride { word(16) } else { 0 };
        Some(Place { bar: word(4) as u8, offset: word(8), length: word(12), stride })
    }

    /// Maps it.
    pub fn map(&self, pci: &Pci, blocks: &Blocks) -> Result<u64, NoAddress> {
        let start = u64::from(self.offset);
        pci.map(blocks, self.bar, start..start + u64::from(self.length))
    }
}

/// Tells the device that there is work.
pub struct Bell(u64);

impl Bell {
    /// Does so.
    #[inline]
    pub fn ring(&self) {
        // SAFETY: `prepare` has mapped the queue's place there, uncached.
        unsafe { (self.0 as *mut u16).write_volatile(QUEUE) };
    }
}

/// A device that is ready to work.
pub struct Device {
    /// Its own name.
    pub name: Name,
    /// Its capacity in pages; what is left is out of reach.
    pub pages: u64,
    /// Whether it refuses to be written.
    pub read_only: bool,
    /// Resets it; dropping this would.
    pub transport: PciTransport,
    /// Its queue.
    pub ring: Ring,
    /// The place to tell it that there is work.
    pub bell: Bell,
    /// The door beside it, if there is one. Then its own interrupt stays masked.
    pub door: Option<Door>,
    /// A frame for the small parts of requests.
    pub area: u64,
}

impl Device {
    /// Starts a device; its interrupts come at [`LEVEL`] on this line.
    pub fn start(
        pci: &mut Pci,
        function: DeviceFunction,
        door: Option<DeviceFunction>,
        line: u8,
    ) -> Result<Device, Unusable> {
        let blocks = pci.place(function)?;
        let messages = Msix::find(pci, function, &blocks)?;
        let missing = |error| move || Unusable::Registers(error);
        let common = Place::find(pci, function, COMMON)
            .ok_or_else(missing(VirtioPciError::MissingCommonConfig))?;
        let common = common.map(pci, &blocks)?;
        let notify = Place::find(pci, function, NOTIFY)
            .ok_or_else(missing(VirtioPciError::MissingNotifyConfig))?;
        let stride = u64::from(notify.stride);
        let notify = notify.map(pci, &blocks)?;
        // It asks for the sizes of blocks, too.
        let transport = PciTransport::new::<Dma, _>(&mut pci.root, function);
        // Turned on in any case: dropping the transport resets the device.
        pci.turn_on(function);
        let mut transport = transport.map_err(Unusable::Registers)?;
        messages.enable(pci, function);
        let door = door.map(|function| Door::open(pci, function)).transpose()?;

        let features = agree(&mut transport)?;
        let first = pci.kernel().system.cpu(0).expect("the first processor is there");
        messages.route(MESSAGE, vector(LEVEL, line), first.backend.apic_id, door.is_some())?;
        // SAFETY: the common registers, mapped just now; the queue is not in use yet.
        let taken = unsafe { set_queue_vector(common) };
        let mut ring = VirtQueue::new(&mut transport, QUEUE, false, false)
            .map_err(|_| Unusable::Queue)
            .and_then(|ring| if taken { Ok(ring) } else { Err(Unusable::NoMessages) })?;
        // SAFETY: as above.
        let place = unsafe { ((common + QUEUE_NOTIFY_OFFSET) as *const u16).read_volatile() };
        let bell = Bell(notify + u64::from(place) * stride);
        transport.finish_init();

        let asked = dma::allocate(1).map_err(Unusable::from).and_then(|area| {
            let name = ask_name(&mut ring, &bell, area, pci);
            Ok((area, name?, capacity(&transport)?))
        });
        match asked {
            Ok((area, name, pages)) => {
                let read_only = features & READ_ONLY != 0;
                Ok(Device { name, pages, read_only, transport, ring, bell, door, area })
            }
            Err(why) => {
                // Before the queue's memory goes. The frame that the name was to be written to stays, for
                // a device that comes late.
                transport.set_status(DeviceStatus::empty());
                Err(why)
            }
        }
    }
}

/// Resets the device and agrees on features.
fn agree(transport: &mut PciTransport) -> Result<u64, Unusable> {
    let seen = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    transport.set_status(DeviceStatus::empty());
    transport.set_status(seen);
    let features = transport.read_device_features() & (VERSION_1 | READ_ONLY);
    transport.write_driver_features(features);
    transport.set_status(seen | DeviceStatus::FEATURES_OK);
    let agreed = transport.get_status().contains(DeviceStatus::FEATURES_OK);
    if agreed && features & VERSION_1 != 0 { Ok(features) } else { Err(Unusable::Features) }
}

/// Tells the device which message to send about its queue; says whether it will.
///
/// # Safety
///
/// The device's common registers are mapped there, and its queue is not in use.
unsafe fn set_queue_vector(common: u64) -> bool {
    // SAFETY: the caller's promise.
    unsafe { ((common + QUEUE_SELECT) as *mut u16).write_volatile(QUEUE) };
    let place = (common + QUEUE_VECTOR) as *mut u16;
    // SAFETY: the caller's promise.
    unsafe { place.write_volatile(MESSAGE) };
    // SAFETY: the caller's promise.
    unsafe { place.read_volatile() == MESSAGE }
}

/// The capacity, in whole pages.
fn capacity(transport: &PciTransport) -> Result<u64, Unusable> {
    let halves = transport.read_consistent(|| {
        Ok([transport.read_config_space::<u32>(0)?, transport.read_config_space::<u32>(4)?])
    });
    let [low, high] = halves.map_err(|_| Unusable::Empty)?;
    let sectors = u64::from(low) | u64::from(high) << 32;
    let pages = sectors / super::SECTORS_PER_PAGE;
    if pages == 0 { Err(Unusable::Empty) } else { Ok(pages) }
}

/// Asks the device for its name. The one request for which nobody sleeps: there is nobody yet.
fn ask_name(ring: &mut Ring, bell: &Bell, area: u64, pci: &Pci) -> Result<Name, Unusable> {
    let place = dma::pointer::<u8>(area);
    let header: &mut [u8; 16] = {
        // SAFETY: a fresh frame, all zero, and nobody else's.
        unsafe { &mut *place.cast() }
    };
    header[..4].copy_from_slice(&GET_NAME.to_le_bytes());
    // SAFETY: as above; another part of it.
    let name: &mut [u8; NAME_BYTES] = unsafe { &mut *place.wrapping_add(64).cast() };
    // SAFETY: as above; another part of it.
    let status: &mut [u8; 1] = unsafe { &mut *place.wrapping_add(128).cast() };
    status[0] = u8::MAX;
    let inputs = [&header[..]];
    // SAFETY: nobody touches the parts before the request is over; if that never happens, the device is
    // reset when its transport is dropped.
    let token = unsafe { ring.add(&inputs, &mut [&mut name[..], &mut status[..]]) };
    let token = token.map_err(|_| Unusable::Nameless)?;
    fence(Ordering::SeqCst);
    bell.ring();
    let start = time::now();
    let frequency = pci.kernel().system.backend.clock.frequency().expect("it is calibrated");
    while !ring.can_pop() {
        if time::now().saturating_sub(start) > frequency.ticks(PATIENCE) {
            return Err(Unusable::Nameless);
        }
        machine::spin();
    }
    // SAFETY: the same parts as before.
    let over = unsafe { ring.pop_used(token, &inputs, &mut [&mut name[..], &mut status[..]]) };
    if over.is_ok() && status[0] == 0 { Ok(Name(*name)) } else { Err(Unusable::Nameless) }
}
