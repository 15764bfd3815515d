//! The contents of a file that is nowhere but in memory: pages of an anonymous object, which go to swap space like those
//! of programs and come back when they are read. Where nothing has been written there is nothing, and zeros are read.
//!
//! Who reads or writes has the contents *open* ([`Contents::open`]), alone: so a write is seen whole or not at all, and
//! who appends does so at the end. Waiting for that can be interrupted, because who has them may be waiting for memory
//! that only the end of another program can give.
//!
//! # Invariants
//!
//! 1. Pages come to be at a place, and go, only while the contents are open; to swap space and back they go by
//!    themselves, and then the place has a slot.
//! 2. Behind the end, in the last page, are zeros.
//! 3. As many pages are taken from the [`Budget`] as the object has places where something is. Without it files would
//!    take all memory, and nobody could be killed for it.
//!
//! BSD: `uvm_aobj`, tmpfs; Linux: `shmem`.

use crate::Vm;
use crate::fault::FaultError;
use crate::object::{Object, ObjectRef};
use crate::page::{PAGE_SHIFT, PAGE_SIZE};
use crate::read::{Missing, Reach, bring};
use crate::shadow;
use atomics::{AtomicU32, AtomicU64, Ordering, fence};
use core::ops::Deref;
use core::ptr::NonNull;
use dispatch::{Condvar, Mutex, Woken};
use machine::MayFault;
use memory::{OutOfMemory, SlabBox};

/// Longest contents, in bytes.
pub const LENGTH_MAX: u64 = 1 << 40;

/// Why contents cannot be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentsError {
    /// They would be longer than [`LENGTH_MAX`].
    TooLong,
    /// The budget is used up.
    NoSpace,
    /// The device that has a page failed.
    Device,
    /// The thread has been interrupted while it waited.
    Interrupted,
}

impl From<FaultError> for ContentsError {
    fn from(error: FaultError) -> ContentsError {
        match error {
            FaultError::Interrupted => ContentsError::Interrupted,
            _ => ContentsError::Device,
        }
    }
}

/// How many pages all contents may have together, in memory and in swap space.
pub struct Budget {
    limit: AtomicU64,
    used: AtomicU64,
}

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget { limit: AtomicU64::new(u64::MAX), used: AtomicU64::new(0) }
    }

    /// Sets the limit, in pages.
    pub fn set_limit(&self, pages: u64) {
        self.limit.store(pages, Ordering::Relaxed);
    }

    /// How many pages there may be, and how many there are.
    pub fn counts(&self) -> (u64, u64) {
        (self.limit.load(Ordering::Relaxed), self.used.load(Ordering::Relaxed))
    }

    fn take(&self) -> Result<(), ContentsError> {
        if self.used.fetch_add(1, Ordering::Relaxed) < self.limit.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.give(1);
        Err(ContentsError::NoSpace)
    }

    fn give(&self, pages: u64) {
        self.used.fetch_sub(pages, Ordering::Relaxed);
    }
}

/// Contents. See the module.
pub struct Contents {
    object: ObjectRef,
    /// Changed by who has them open; anybody may read them.
    length: AtomicU64,
    pages: AtomicU64,
    /// When they were changed last, as who changed them said.
    changed: AtomicU64,
    holds: AtomicU32,
    is_open: Mutex<bool>,
    closed: Condvar,
}

impl Contents {
    /// Nothing yet.
    pub fn make() -> Result<ContentsRef, OutOfMemory> {
        // Over with `release`, as if an entry of a map referred to it.
        let object = Object::anonymous(LENGTH_MAX >> PAGE_SHIFT)?;
        let made = Vm::current().contents.allocate_with(|| Contents {
            object: object.clone(),
            length: AtomicU64::new(0),
            pages: AtomicU64::new(0),
            changed: AtomicU64::new(0),
            holds: AtomicU32::new(1),
            is_open: Mutex::new(false),
            closed: Condvar::new(),
        });
        match made {
            Ok(contents) => {
                shadow::count_entry(&object, 1);
                Ok(ContentsRef(contents.into_raw()))
            }
            Err(error) => {
                object.give_up();
                Err(error)
            }
        }
    }

    /// How long they are, in bytes, at this moment.
    pub fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// How many pages they have, in memory or in swap space, at this moment.
    pub fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }

    /// When they were changed last.
    pub fn changed(&self) -> u64 {
        self.changed.load(Ordering::Relaxed)
    }

    /// They have been changed.
    pub fn note_change(&self, now: u64) {
        self.changed.store(now, Ordering::Relaxed);
    }

    /// Waits until nobody has them open, and opens them.
    pub fn open(&self, may_fault: &mut MayFault) -> Result<Open<'_>, ContentsError> {
        let mut is_open = self.is_open.lock(may_fault);
        while *is_open {
            let woken;
            (is_open, woken) = self.closed.wait_interruptible(is_open, may_fault);
            if woken == Woken::BySignal && *is_open {
                return Err(ContentsError::Interrupted);
            }
        }
        *is_open = true;
        Ok(Open { contents: self })
    }
}

impl Contents {
    /// What [`Open::keep`] has kept open, for who did.
    pub fn kept(&self) -> Open<'_> {
        Open { contents: self }
    }
}

/// Contents that the caller has open, until [`Open::close`].
#[must_use = "nobody else can open them before they are closed"]
pub struct Open<'c> {
    contents: &'c Contents,
}

impl Open<'_> {
    /// How long they are, in bytes.
    pub fn length(&self) -> u64 {
        self.contents.length()
    }

    /// They stay open: [`Contents::kept`] goes on.
    pub fn keep(self) {}

    /// Ends being open.
    pub fn close(self, may_fault: &mut MayFault) {
        let mut is_open = self.contents.is_open.lock(may_fault);
        *is_open = false;
        self.contents.closed.signal();
    }

    /// Copies bytes out of them, from a byte on; returns how many: less at the end. After an error part of `to` may
    /// have been written.
    pub fn read(
        &self,
        from: u64,
        to: &mut [u8],
        may_fault: &mut MayFault,
    ) -> Result<usize, ContentsError> {
        let length = self.length().saturating_sub(from).min(to.len() as u64) as usize;
        let (mut at, mut rest) = (from, &mut to[..length]);
        while !rest.is_empty() {
            let byte = at % PAGE_SIZE;
            let length = rest.len().min((PAGE_SIZE - byte) as usize);
            let (piece, behind) = rest.split_at_mut(length);
            let place = at >> PAGE_SHIFT;
            let reach = Reach::DeviceAndAhead;
            match bring(&self.contents.object, place, reach, Missing::Left, may_fault)? {
                None => piece.fill(0),
                Some(page) => {
                    // SAFETY: the frame is the page's, which is busy.
                    unsafe { machine::content::read(page.page().address(), byte, piece) };
                    page.note_use();
                }
            }
            (at, rest) = (at + length as u64, behind);
        }
        Ok(length)
    }

    /// Copies bytes into them, from a byte on, which may lie behind the end; returns how many. An error says that there
    /// were none.
    pub fn write(
        &mut self,
        to: u64,
        from: &[u8],
        may_fault: &mut MayFault,
    ) -> Result<usize, ContentsError> {
        let room = LENGTH_MAX.saturating_sub(to).min(from.len() as u64) as usize;
        if room == 0 && !from.is_empty() {
            return Err(ContentsError::TooLong);
        }
        let mut written = 0;
        while written < room {
            let at = to + written as u64;
            let byte = at % PAGE_SIZE;
            let length = (room - written).min((PAGE_SIZE - byte) as usize);
            let piece = &from[written..written + length];
            if let Err(error) = self.write_piece(at, piece, may_fault) {
                return if written == 0 { Err(error) } else { Ok(written) };
            }
            written += length;
            let end = to + written as u64;
            self.contents.length.fetch_max(end, Ordering::Relaxed);
        }
        Ok(written)
    }

    /// Writes within a page.
    fn write_piece(
        &mut self,
        at: u64,
        piece: &[u8],
        may_fault: &mut MayFault,
    ) -> Result<(), ContentsError> {
        let (object, place) = (&self.contents.object, at >> PAGE_SHIFT);
        let is_new = object.is_empty_at(place, may_fault);
        let budget = &Vm::current().budget;
        if is_new {
            budget.take()?;
        }
        match bring(object, place, Reach::DeviceAndAhead, Missing::Made, may_fault) {
            Ok(Some(page)) => {
                // SAFETY: the frame is the page's, which is exclusively busy.
                unsafe { machine::content::write(page.page().address(), at % PAGE_SIZE, piece) };
                page.page().note_dirty();
                page.note_use();
                self.contents.pages.fetch_add(u64::from(is_new), Ordering::Relaxed);
                Ok(())
            }
            other => {
                if is_new {
                    budget.give(1);
                }
                Err(other.err().unwrap_or(FaultError::BehindEnd).into())
            }
        }
    }

    /// Makes them end here: what lies behind is freed, what was not there reads as zeros. An error says that nothing has
    /// changed.
    pub fn set_length(
        &mut self,
        length: u64,
        may_fault: &mut MayFault,
    ) -> Result<(), ContentsError> {
        if length > LENGTH_MAX {
            return Err(ContentsError::TooLong);
        }
        let contents = self.contents;
        if length < contents.length() {
            self.clear_tail(length, may_fault)?;
            contents.length.store(length, Ordering::Relaxed);
            contents.free_from(length.div_ceil(PAGE_SIZE), may_fault);
        }
        contents.length.store(length, Ordering::Relaxed);
        Ok(())
    }

    /// Fills the page in which they are to end with zeros from there on.
    fn clear_tail(&self, length: u64, may_fault: &mut MayFault) -> Result<(), ContentsError> {
        let (place, byte) = (length >> PAGE_SHIFT, length % PAGE_SIZE);
        if byte == 0 {
            return Ok(());
        }
        let found = bring(&self.contents.object, place, Reach::Device, Missing::Left, may_fault)?;
        if let Some(page) = found {
            // SAFETY: the frame is the page's, which is exclusively busy.
            unsafe { machine::content::clear_from(page.page().address(), byte) };
            page.page().note_dirty();
            page.note_use();
        }
        Ok(())
    }
}

impl Contents {
    /// Frees the pages from a place on.
    fn free_from(&self, place: u64, may_fault: &mut MayFault) {
        let places = place..LENGTH_MAX >> PAGE_SHIFT;
        let (resident, swapped) = self.object.count_pages(places.clone(), may_fault);
        shadow::empty(&self.object, places, may_fault);
        let shape = self.object.write(may_fault);
        self.object.index.cut(place);
        drop(shape);
        self.pages.fetch_sub(resident + swapped, Ordering::Relaxed);
        Vm::current().budget.give(resident + swapped);
    }
}

/// A hold on contents: they stay.
pub struct ContentsRef(NonNull<Contents>);

// SAFETY: contents may be used by many threads, and holds are counted atomically.
unsafe impl Send for ContentsRef {}
// SAFETY: likewise.
unsafe impl Sync for ContentsRef {}

impl Deref for ContentsRef {
    type Target = Contents;

    fn deref(&self) -> &Contents {
        // SAFETY: they live as long as somebody has a hold on them.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for ContentsRef {
    fn clone(&self) -> ContentsRef {
        self.holds.fetch_add(1, Ordering::Relaxed);
        ContentsRef(self.0)
    }
}

impl Drop for ContentsRef {
    fn drop(&mut self) {
        if self.holds.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: made from a box by `Contents::make`, and nobody has it any more.
            drop(unsafe { SlabBox::from_raw(self.0) });
        }
    }
}

/// The file is gone: frees all that it had. Once, by whoever takes the file away; nobody reads or writes it any more.
pub fn release(contents: ContentsRef, may_fault: &mut MayFault) {
    contents.length.store(0, Ordering::Relaxed);
    contents.free_from(0, may_fault);
    shadow::release(contents.object.clone(), may_fault);
}
