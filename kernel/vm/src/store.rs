//! Backing stores: devices that keep pages, and files on them.
//!
//! A store is asked to transfer pages and answers later, from an interrupt thread: [`Answer::done`]. In between
//! the pages belong to the transfer, exclusively busy; nobody has to wait for it. So a thread that is killed while
//! it waits for a page leaves at once, and what it asked for comes to its end without it.
//!
//! # Who has the page that is waited for
//!
//! A page-in is begun for one page, its *wanted* one, and may bring others along. When it is over the others are
//! let go of; the wanted one is handed to the thread that waits, still busy, so that nobody can page it out again
//! before it has been of use. One word decides: the transfer changes it from *waited for* to *done*, or the thread
//! from *waited for* to *abandoned*; who comes second cleans up.
//!
//! FreeBSD: `vm_pager_get_pages`, `biodone`.

use crate::Vm;
use crate::object::ObjectRef;
use crate::page::{Exclusive, PAGE_SIZE, Page};
use crate::page_queue::Queue;
use atomics::{AtomicU8, Ordering};
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use dispatch::Woken;
use machine::MayFault;
use machine::tracing::emit;
use memory::{OutOfMemory, SlabBox};
use trace::{EventId, Kind as EventKind};

/// Most pages of one transfer.
pub const CLUSTER: usize = 16;

/// Why a page did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The device says so.
    Device,
    /// The thread was interrupted while it waited.
    Interrupted,
}

/// The device could not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceError;

/// Which way pages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the store into memory.
    Read,
    /// From memory to the store.
    Write,
}

/// A device that keeps pages.
pub trait Store: Sync {
    /// How many it keeps.
    fn pages(&self) -> u64;

    /// Begins to transfer pages from `page` on, one per frame (physical addresses; at most [`CLUSTER`]). May
    /// sleep until the device can take it. `answer` is called once, when it is over: from an interrupt
    /// thread, or from here.
    fn submit(
        &self,
        direction: Direction,
        page: u64,
        frames: &[u64],
        answer: Answer,
        may_fault: &mut MayFault,
    );
}

/// A file: consecutive pages of a store.
pub struct File {
    /// Where it lies.
    pub store: &'static dyn Store,
    /// The store's page of its first byte, which begins there.
    pub first: u64,
    /// How long it is. Behind its end, its last page is zeros.
    pub bytes: u64,
}

impl File {
    /// How many pages it has.
    pub fn pages(&self) -> u64 {
        self.bytes.div_ceil(PAGE_SIZE)
    }
}

/// How every transfer begins: with what is to be called when it is over.
pub(crate) struct Head {
    act: fn(NonNull<Head>, Result<(), DeviceError>),
}

impl Head {
    /// Calls `act` with the transfer's address.
    pub(crate) const fn new(act: fn(NonNull<Head>, Result<(), DeviceError>)) -> Head {
        Head { act }
    }
}

/// What a store calls when a transfer is over: once.
pub struct Answer(NonNull<Head>);

// SAFETY: it stands for the transfer, whose parts may be used by any thread.
unsafe impl Send for Answer {}

impl Answer {
    /// Of a transfer that stays until it is answered.
    pub(crate) fn new(transfer: NonNull<Head>) -> Answer {
        Answer(transfer)
    }

    /// The transfer is over, in this way. From a thread or an interrupt thread.
    pub fn done(self, result: Result<(), DeviceError>) {
        // SAFETY: the transfer stays until this call.
        let act = unsafe { self.0.as_ref() }.act;
        act(self.0, result);
    }

    /// As a number, for a driver to keep.
    pub fn into_number(self) -> usize {
        self.0.as_ptr().expose_provenance()
    }

    /// The answer that a number stands for.
    ///
    /// # Safety
    ///
    /// [`Answer::into_number`] has returned it, and it has not been turned back before.
    pub unsafe fn from_number(number: usize) -> Answer {
        let head = core::ptr::with_exposed_provenance_mut(number);
        Answer(NonNull::new(head).expect("the address of a transfer"))
    }
}

/// Somebody waits for the wanted page.
const WAITED_FOR: u8 = 0;
/// Nobody does any more.
const ABANDONED: u8 = 1;
/// It is there.
const READ: u8 = 2;
/// It is not coming.
const FAILED: u8 = 3;

/// Which of the two sides of a transfer has had it: who waits, and who answers. The other one frees it.
pub(crate) struct Ending(AtomicU8);

impl Ending {
    fn new() -> Ending {
        Ending(AtomicU8::new(WAITED_FOR))
    }

    fn is_waited_for(&self) -> bool {
        self.0.load(Ordering::Acquire) == WAITED_FOR
    }

    /// Who waits does so no longer. If true, the other side frees it; if not, it has ended already.
    fn abandon(&self) -> bool {
        self.0.compare_exchange(WAITED_FOR, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// It is over. If true, who waits has it now, and may have freed it; if not, nobody waits, and the caller frees it.
    fn end(&self, is_read: bool) -> bool {
        let end = if is_read { READ } else { FAILED };
        self.0.compare_exchange(WAITED_FOR, end, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether it has ended well.
    fn is_read(&self) -> bool {
        self.0.load(Ordering::Acquire) == READ
    }
}

/// Pages on their way from a store, consecutive places of one object. See the module.
#[repr(C)]
pub(crate) struct Transfer {
    head: Head,
    ending: Ending,
    object: ObjectRef,
    /// The wanted page is the first.
    pages: [Option<&'static Page>; CLUSTER],
    /// The file, if it is one's, for what lies behind its end.
    file: Option<&'static File>,
    /// The event that it began with, then the one that it ended with. Core's atomics in every flavour: what is traced
    /// has no say in what happens.
    event: AtomicU64,
}

/// Pages that are to be read, the wanted one first.
pub(crate) struct Cluster {
    pages: [Option<Exclusive>; CLUSTER],
    count: usize,
}

impl Cluster {
    /// With the wanted page.
    pub(crate) fn new(wanted: Exclusive) -> Cluster {
        let mut pages = [const { None }; CLUSTER];
        pages[0] = Some(wanted);
        Cluster { pages, count: 1 }
    }

    /// Adds the next; the caller has seen that there is room.
    pub(crate) fn push(&mut self, page: Exclusive) {
        self.pages[self.count] = Some(page);
        self.count += 1;
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }
}

/// Room for a transfer, got before pages are taken.
pub(crate) struct TransferBox(SlabBox<Transfer>);

impl TransferBox {
    pub(crate) fn new(
        object: &ObjectRef,
        file: Option<&'static File>,
    ) -> Result<TransferBox, OutOfMemory> {
        let pages = [None; CLUSTER];
        let transfer = || Transfer {
            head: Head::new(|transfer, result| done(transfer.cast(), result)),
            ending: Ending::new(),
            object: object.clone(),
            pages,
            file,
            event: AtomicU64::new(0),
        };
        Vm::current().transfers.allocate_with(transfer).map(TransferBox)
    }
}

/// Reads pages, and waits until the wanted one is there. `event` is what the transfer begins with in the trace; returns
/// what it ends with, too.
pub(crate) fn read(
    mut room: TransferBox,
    store: &dyn Store,
    first: u64,
    cluster: Cluster,
    event: EventId,
    may_fault: &mut MayFault,
) -> (Result<Exclusive, StoreError>, EventId) {
    let mut frames = [0; CLUSTER];
    let count = cluster.len();
    let places = room.0.pages.iter_mut().zip(&mut frames);
    for (page, (place, frame)) in cluster.pages.into_iter().flatten().zip(places) {
        *frame = page.page().address();
        *place = Some(page.hand_over());
    }
    let Some(wanted) = room.0.pages[0] else { return (Err(StoreError::Device), event) };
    room.0.event.store(event.to_bits(), Ordering::Relaxed);
    room.0.object.begin_paging();
    let transfer = room.0.into_raw();
    let answer = Answer::new(transfer.cast());
    store.submit(Direction::Read, first, &frames[..count], answer, may_fault);
    wait(transfer, wanted, may_fault)
}

/// Waits for the wanted page.
fn wait(
    transfer: NonNull<Transfer>,
    wanted: &'static Page,
    may_fault: &mut MayFault,
) -> (Result<Exclusive, StoreError>, EventId) {
    // SAFETY: the transfer stays until both sides have had it, and this one has not.
    let Transfer { ending, event, .. } = unsafe { transfer.as_ref() };
    let channel = Vm::current().busy.of(wanted.busy());
    while ending.is_waited_for() {
        let woken = channel.sleep_while_interruptible(|| ending.is_waited_for(), may_fault);
        if woken == Woken::BySignal && ending.abandon() {
            return (Err(StoreError::Interrupted), EventId::NONE);
        }
    }
    let is_read = ending.is_read();
    let event = EventId::from_bits(event.load(Ordering::Relaxed));
    // SAFETY: the other side has had it: it said how it went, and does not look at it after that.
    drop(unsafe { SlabBox::from_raw(transfer) });
    // Handed over by the transfer with its state.
    let page = Exclusive::take_over(wanted);
    (if is_read { Ok(page) } else { Err(StoreError::Device) }, event)
}

/// A transfer is over.
fn done(transfer: NonNull<Transfer>, result: Result<(), DeviceError>) {
    // SAFETY: the transfer stays until both sides have had it, and this one has not.
    let this = unsafe { transfer.as_ref() };
    let is_read = result.is_ok();
    let mut wanted = None;
    for page in this.pages.iter().flatten() {
        let page = Exclusive::take_over(page);
        page.set_clean();
        if is_read {
            if let Some(file) = this.file {
                clear_behind(file, &page);
            }
            page.set_valid();
        }
        // Nobody may ever touch it, and then somebody must be able to take it away.
        Vm::current().queues.put(page.page(), Queue::Inactive);
        if wanted.is_none() {
            wanted = Some(page);
        }
        // The others are let go of here.
    }
    this.object.end_paging();
    let pages = if is_read { this.pages.iter().flatten().count() as u64 } else { 0 };
    let began = EventId::from_bits(this.event.load(Ordering::Relaxed));
    let ended = emit(EventKind::PageInDone, pages, began);
    this.event.store(ended.to_bits(), Ordering::Relaxed);
    let Some(wanted) = wanted.map(Exclusive::hand_over) else { return };
    if this.ending.end(is_read) {
        // The waiter may have freed the transfer by now; the channel stays.
        Vm::current().busy.of(wanted.busy()).wake_all();
    } else {
        // SAFETY: the waiter has abandoned it.
        drop(unsafe { SlabBox::from_raw(transfer) });
        drop(Exclusive::take_over(wanted));
    }
}

/// Fills what lies behind the end of a file, in its last page, with zeros.
fn clear_behind(file: &File, page: &Exclusive) {
    let start = page.index() * PAGE_SIZE;
    let rest = file.bytes.saturating_sub(start);
    if rest < PAGE_SIZE {
        // SAFETY: the frame is the page's, which is exclusively the transfer's and not valid.
        unsafe { machine::content::clear_from(page.page().address(), rest) };
    }
}

#[cfg(test)]
#[path = "tests/store.rs"]
mod tests;
