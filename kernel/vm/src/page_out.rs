//! Page-out: the laundry thread writes pages to swap space and frees them.
//!
//! Nothing here allocates, for it is done because there is no memory: up to [`CLUSTER`] pages at a time, in an array on
//! the stack, written as one transfer to slots that follow each other. The index of each object has the word for the
//! page already ([`crate::index`]).
//!
//! A page on its way is unmapped, exclusively busy, and looked at once more after it was unmapped: what a processor
//! wrote until then is in it, and its being used again keeps it in memory. If the device fails, or there is no slot,
//! the page stays, as dirty as it was.
//!
//! A page that was read back keeps its slot: while it is clean it need not be written again. Once it is dirty that slot is
//! only room for others, and is given back when there is no other ([`give_slots_back`]).
//!
//! FreeBSD: `vm_pageout_laundry_worker`, `swap_pager_putpages`.

use crate::Vm;
use crate::index::Slot;
use crate::object::ObjectRef;
use crate::page::Exclusive;
use crate::page_queue::Queue;
use crate::reverse_map::{take_accessed, unmap_all};
use crate::store::{Answer, CLUSTER, DeviceError, Direction, Head};
use atomics::{AtomicU8, Ordering};
use core::ptr::NonNull;
use dispatch::WaitChannel;
use machine::MayFault;
use machine::tracing::emit;
use trace::{EventId, Kind as EventKind};

/// The device has the pages.
const UNDER_WAY: u8 = 0;
const WRITTEN: u8 = 1;
const FAILED: u8 = 2;

/// The one transfer of the laundry thread.
#[repr(C)]
pub(crate) struct PageOut {
    head: Head,
    state: AtomicU8,
    channel: WaitChannel,
}

impl PageOut {
    pub(crate) fn new() -> PageOut {
        let head = Head::new(|this, result| {
            // SAFETY: the head of the system's page-out, which lives as long as the system.
            unsafe { this.cast::<PageOut>().as_ref() }.done(result);
        });
        PageOut { head, state: AtomicU8::new(UNDER_WAY), channel: WaitChannel::new() }
    }

    fn answer(&'static self) -> Answer {
        self.state.store(UNDER_WAY, Ordering::Relaxed);
        debug_assert!(core::ptr::from_ref(&self.head).addr() == core::ptr::from_ref(self).addr());
        Answer::new(NonNull::from(self).cast())
    }

    fn done(&self, result: Result<(), DeviceError>) {
        let state = if result.is_ok() { WRITTEN } else { FAILED };
        self.state.store(state, Ordering::Release);
        self.channel.wake_all();
    }

    /// Waits until the device has answered; says whether all is written.
    fn wait(&self, may_fault: &mut MayFault) -> bool {
        let is_under_way = || self.state.load(Ordering::Acquire) == UNDER_WAY;
        while is_under_way() {
            self.channel.sleep_while(is_under_way, may_fault);
        }
        self.state.load(Ordering::Acquire) == WRITTEN
    }
}

/// What one round of the laundry came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Laundered {
    /// So many pages were freed.
    Freed(u32),
    /// There was nothing to launder.
    Nothing,
    /// There is no slot.
    NoSwap,
    /// The device failed.
    Failed,
}

/// Writes the next pages of the laundry, and frees them.
pub(crate) fn launder(may_fault: &mut MayFault) -> Laundered {
    let vm = Vm::current();
    let mut pages = [const { None }; CLUSTER];
    let mut count = 0;
    let mut freed = 0;
    let limit = vm.queues.count(Queue::Laundry);
    for _ in 0..limit {
        if count == CLUSTER {
            break;
        }
        let Some(page) = vm.queues.take_first(Queue::Laundry, limit) else { break };
        match prepare(page, may_fault) {
            Prepared::ToWrite(page) => {
                pages[count] = Some(page);
                count += 1;
            }
            Prepared::Freed => freed += 1,
            Prepared::Kept => {}
        }
    }
    if count == 0 {
        return if freed == 0 { Laundered::Nothing } else { Laundered::Freed(freed) };
    }
    let run = vm.swap.allocate(count as u32);
    let written = run.len();
    // Slots need not lie side by side: what got none of this run may get some of the next.
    let next = if vm.swap.counts().free == 0 { Queue::Active } else { Queue::Laundry };
    for page in pages[written..count].iter_mut().filter_map(Option::take) {
        vm.queues.put(page.page(), next);
    }
    let Some(store) = vm.swap.store().filter(|_| written != 0) else { return Laundered::NoSwap };
    let mut frames = [0; CLUSTER];
    for (page, frame) in pages.iter().flatten().zip(&mut frames) {
        *frame = page.page().address();
    }
    let answer = vm.page_out.answer();
    let event = emit(EventKind::PageOut, u64::from(run.start), EventId::NONE);
    store.submit(Direction::Write, u64::from(run.start), &frames[..written], answer, may_fault);
    let is_written = vm.page_out.wait(may_fault);
    emit(EventKind::PageOutDone, if is_written { written as u64 } else { 0 }, event);
    for (page, slot) in pages.into_iter().flatten().zip(run) {
        let slot = Slot(slot);
        if is_written {
            page.set_clean();
            forget(page, Some(slot), may_fault);
            freed += 1;
        } else {
            vm.swap.free(slot);
            vm.queues.put(page.page(), Queue::Active);
        }
    }
    if !is_written {
        vm.census.page_out_errors.add(1);
        return Laundered::Failed;
    }
    vm.census.page_outs.add(written as i64);
    Laundered::Freed(freed)
}

/// What is to be done with a page of the laundry.
enum Prepared {
    ToWrite(Exclusive),
    Freed,
    Kept,
}

/// Unmaps a page, and looks whether it still is to be written.
fn prepare(page: Exclusive, may_fault: &mut MayFault) -> Prepared {
    let queues = &Vm::current().queues;
    if page.wired() != 0 || take_accessed(&page) || page.take_reference() {
        // A wired page gets into none.
        queues.put(page.page(), Queue::Active);
        return Prepared::Kept;
    }
    unmap_all(&page);
    if page.wired() != 0 {
        queues.put(page.page(), Queue::Active);
        return Prepared::Kept;
    }
    if !page.is_dirty() {
        forget(page, None, may_fault);
        return Prepared::Freed;
    }
    Prepared::ToWrite(page)
}

/// Frees a page that is clean and unmapped: its object keeps the slot that it had, or the new one.
pub(crate) fn forget(page: Exclusive, slot: Option<Slot>, may_fault: &mut MayFault) {
    let object = object_of(&page);
    let shape = object.write(may_fault);
    let place = page.index();
    let mut content = object.index.get(place);
    if slot.is_some() {
        if let Some(old) = content.swapped() {
            Vm::current().swap.free(old);
        }
        content = content.with_slot(slot);
    }
    object.index.set(place, content.with_page(None));
    page.free();
    drop(shape);
}

/// Gives back all slots of dirty pages in memory. Returns how many that were.
pub(crate) fn give_slots_back(may_fault: &mut MayFault) -> u32 {
    let queues = &Vm::current().queues;
    let mut given = 0;
    for queue in [Queue::Laundry, Queue::Inactive, Queue::Active] {
        let pages = queues.count(queue);
        for _ in 0..pages {
            let Some(page) = queues.take_first(queue, pages) else { break };
            given += u32::from(page.is_dirty() && give_slot_back(&page, may_fault));
            queues.put(page.page(), queue);
        }
    }
    given
}

/// Gives back the slot of a page that has been written since it was read from there: what it says is old.
/// Says whether it had one.
fn give_slot_back(page: &Exclusive, may_fault: &mut MayFault) -> bool {
    let object = object_of(page);
    let _shape = object.write(may_fault);
    let place = page.index();
    let content = object.index.get(place);
    let Some(old) = content.swapped() else { return false };
    object.index.set(place, content.with_slot(None));
    Vm::current().swap.free(old);
    true
}

/// The object that a page is in.
fn object_of(page: &Exclusive) -> ObjectRef {
    // SAFETY: an object that has a page which is exclusively busy is not over: its end waits for the page.
    unsafe { ObjectRef::of_address(page.object().expose_provenance()) }
}
