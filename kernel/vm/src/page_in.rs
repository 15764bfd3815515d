//! Page-in: where a page comes from that is not resident, and what is read along with it.
//!
//! Reading ahead costs little while the device is asked anyway, and memory that somebody else may need more. So
//! only what lies next on the device is read, only while there is memory in plenty, and nothing where the
//! program has said that its accesses come in no order.
//!
//! FreeBSD: `swap_pager_getpages`, `vnode_pager_generic_getpages`.

use crate::Vm;
use crate::fault::{FaultError, Outcome, allocate};
use crate::index::{Content, Slot};
use crate::object::{Kind, Locked, ObjectRef};
use crate::page::Exclusive;
use crate::store::{self, CLUSTER, Cluster, File, Store, StoreError, TransferBox};
use machine::MayFault;
use machine::tracing::emit;
use trace::{EventId, Kind as EventKind};

/// Where a page is to be had.
#[derive(Clone, Copy)]
pub(crate) enum Source {
    Swap(Slot),
    File(&'static File),
}

/// Where the page at a place of an object is to be had, which is not resident: if anywhere.
pub(crate) fn source(
    object: &ObjectRef,
    place: u64,
    content: Content,
) -> Result<Option<Source>, Outcome> {
    if let Some(slot) = content.swapped() {
        return Ok(Some(Source::Swap(slot)));
    }
    match object.kind() {
        Kind::Anonymous => Ok(None),
        Kind::File(file) if place < file.pages() => Ok(Some(Source::File(file))),
        Kind::File(_) | Kind::Device(_) => Err(Outcome::Failed(FaultError::BehindEnd)),
    }
}

/// A read that has been prepared: pages are claimed, nothing has been asked of the device.
pub(crate) struct PageIn {
    room: TransferBox,
    cluster: Cluster,
    store: &'static dyn Store,
    first: u64,
}

impl PageIn {
    /// Claims the page at a place, and those next to it that come along. The object's lock is held for writing.
    pub(crate) fn prepare(
        here: &Locked,
        place: u64,
        content: Content,
        source: Source,
        read_ahead: bool,
    ) -> Result<PageIn, Outcome> {
        let object = here.object();
        let file = match source {
            Source::File(file) => Some(file),
            Source::Swap(_) => None,
        };
        let room = TransferBox::new(object, file)?;
        object.index.prepare(place)?;
        let mut cluster = Cluster::new(claim(object, place, content)?);
        // What is being merged moves: pages that are read along would be in the way.
        if read_ahead && !here.merging && Vm::current().shortage.is_plentiful() {
            while cluster.len() < CLUSTER {
                let ahead = cluster.len() as u64;
                let content = object.index.get(place + ahead);
                if !lies_next(source, place, ahead, content)
                    || object.index.prepare(place + ahead).is_err()
                {
                    break;
                }
                let Ok(page) = claim(object, place + ahead, content) else { break };
                cluster.push(page);
            }
        }
        let (store, first): (&'static dyn Store, u64) = match source {
            Source::File(file) => (file.store, file.first + place),
            Source::Swap(slot) => {
                let Some(store) = Vm::current().swap.store() else {
                    return Err(Outcome::Failed(FaultError::Device));
                };
                (store, u64::from(slot.0))
            }
        };
        Ok(PageIn { room, cluster, store, first })
    }

    /// Asks the device, and waits for the page. No lock is held. `cause` is the event behind it; returns the one that
    /// it ended with, too.
    pub(crate) fn read(
        self,
        cause: EventId,
        may_fault: &mut MayFault,
    ) -> (Result<Exclusive, Outcome>, EventId) {
        let PageIn { room, cluster, store, first } = self;
        let count = cluster.len();
        Vm::current().census.page_ins.add(count as i64);
        let event = emit(EventKind::PageIn, first, cause);
        let (read, event) = store::read(room, store, first, cluster, event, may_fault);
        let read = read.map_err(|error| match error {
            StoreError::Device if count > 1 => Outcome::NeedsToBeAlone,
            error => Outcome::Failed(error.into()),
        });
        (read, event)
    }
}

/// A new page at a place, exclusively busy, not valid. The index is prepared.
pub(crate) fn claim(
    object: &ObjectRef,
    place: u64,
    content: Content,
) -> Result<Exclusive, Outcome> {
    let page = allocate()?;
    page.set_identity(&**object, place);
    object.index.set(place, content.with_page(Some(page.page())));
    Ok(page)
}

/// Whether the page `ahead` places further on is not resident, and lies as far behind on the device.
fn lies_next(source: Source, place: u64, ahead: u64, content: Content) -> bool {
    content.resident().is_none()
        && match source {
            Source::Swap(slot) => {
                content.swapped().is_some_and(|next| u64::from(next.0) == u64::from(slot.0) + ahead)
            }
            Source::File(file) => content.swapped().is_none() && place + ahead < file.pages(),
        }
}
