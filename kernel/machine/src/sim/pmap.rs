//! What a processor knows of its address space: the root of the tables, and its translation cache.
//!
//! The cache really caches: a copy of an entry stays until the address space is changed, until the
//! processor is told to forget it, or until an access faults on it. So whoever forgets to shoot down sees
//! what a stale copy does, and always the same, as nothing is thrown out for want of room.
//!
//! It also reads ahead: a processor that comes into an address space takes a copy of the entry of the page
//! that it used last, if the accessed bit is set anyway. Real ones read any entry at any time.

use super::baton::{current_cpu, holds_cpu};
use super::interrupts_are_on;
use crate::cpu::Private;
use crate::page_table::{self, ACCESSED, DIRTY, PAGE, PRESENT, WRITABLE};
use crate::{Cpu, System};
use atomics::Ordering;
use core::ops::Range;
use core::sync::atomic::AtomicU64;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An entry of a page table. Processors write it too.
pub(crate) type Entry = Arc<atomics::AtomicU64>;

/// The entry of a table with this index.
///
/// # Safety
///
/// None of its own; see the real machine's.
pub(crate) unsafe fn entry(system: &System, table: u64, index: usize) -> Entry {
    system.backend.memory.word(table + 8 * index as u64)
}

/// The value of an entry. One that nobody has ever used does not come into being.
///
/// # Safety
///
/// As for [`entry`].
pub(crate) unsafe fn peek(system: &System, table: u64, index: usize) -> u64 {
    match system.backend.memory.used_word(table + 8 * index as u64) {
        Ok(word) => word.load(Ordering::Acquire),
        Err(value) => value,
    }
}

/// There is no kernel's half: the code of the kernel is the host's.
///
/// # Safety
///
/// None of its own.
pub(crate) unsafe fn share_upper_half(_: &System, _: u64) {}

/// Fills a frame with zeros.
///
/// # Safety
///
/// None of its own.
pub(crate) unsafe fn clear_frame(system: &System, frame: u64) {
    system.backend.memory.clear(frame);
}

/// Fills a frame with zeros from a byte on.
///
/// # Safety
///
/// None of its own.
pub(crate) unsafe fn clear_frame_from(system: &System, frame: u64, byte: u64) {
    match byte {
        0 => system.backend.memory.clear(frame),
        _ => system.backend.memory.clear_from(frame, byte),
    }
}

/// Copies a frame.
///
/// # Safety
///
/// None of its own.
pub(crate) unsafe fn copy_frame(system: &System, from: u64, to: u64) {
    system.backend.memory.copy(from, to);
}

/// Copies bytes out of a frame, from this address on.
///
/// # Safety
///
/// None of its own.
pub(crate) unsafe fn read_frame(system: &System, address: u64, to: &mut [u8]) {
    system.backend.memory.read(address, to);
}

/// Copies bytes into a frame, from this address on.
///
/// # Safety
///
/// None of its own.
pub(crate) unsafe fn write_frame(system: &System, address: u64, from: &[u8]) {
    system.backend.memory.write(address, from);
}

/// The root of a processor in no address space of a user's.
const KERNELS_OWN: u64 = u64::MAX;

/// A processor's part. Only the thread that holds the processor touches it.
pub(crate) struct Translations {
    root: Private<AtomicU64>,
    /// The page of the last access.
    last: Private<AtomicU64>,
    /// Copies of entries, by page. The mutex is never waited for.
    cache: Mutex<BTreeMap<u64, u64>>,
}

impl Translations {
    pub(crate) fn new() -> Translations {
        Translations {
            root: Private::<AtomicU64>::new(KERNELS_OWN),
            last: Private::<AtomicU64>::new(0),
            cache: Mutex::new(BTreeMap::new()),
        }
    }

    fn cache(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a processor is in no address space of a user's.
pub(crate) fn is_kernels_own(cpu: &Cpu) -> bool {
    cpu.backend.translations.root.get() == KERNELS_OWN
}

/// Changes the current processor to an address space.
///
/// # Safety
///
/// The tables live until it has left it.
pub(crate) unsafe fn enter(cpu: &Cpu, root: u64) {
    let translations = &cpu.backend.translations;
    translations.cache().clear();
    translations.root.set(root);
    let last = translations.last.get();
    // SAFETY: the root's tables live, says the caller.
    if let Some(entry) = unsafe { page_table::find(cpu.system(), root, last) } {
        let value = entry.load(Ordering::Acquire);
        if value & (PRESENT | ACCESSED) == PRESENT | ACCESSED {
            translations.cache().insert(last, value);
        }
    }
}

/// Takes the current processor out of its address space.
pub(crate) fn leave(cpu: &Cpu) {
    cpu.backend.translations.cache().clear();
    cpu.backend.translations.root.set(KERNELS_OWN);
}

/// Makes the current processor forget the translations of a range.
pub(crate) fn forget(cpu: &Cpu, range: &Range<u64>) {
    let start = range.start & !(PAGE - 1);
    cpu.backend.translations.cache().retain(|&page, _| !(start..range.end).contains(&page));
}

/// Whether anybody waits for the current processor, and it cannot hear of it otherwise.
pub(crate) fn is_asked() -> bool {
    holds_cpu()
        && !std::thread::panicking()
        && !interrupts_are_on()
        && current_cpu().shoot_downs.is_asked()
}

/// A processor whose thread has panicked does not answer any more: the test has failed.
pub(crate) fn is_stopping(cpu: &Cpu) -> bool {
    assert!(!cpu.system().backend.threads.have_failed(), "another thread of this test has failed");
    false
}

/// Whether the calling thread panics: the test has failed, and what is dropped has not been put in order.
pub(crate) fn is_unwinding() -> bool {
    std::thread::panicking()
}

/// An access of user mode faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The address that was accessed.
    pub address: u64,
    /// It was to be written.
    pub write: bool,
    /// There is a page, but not for this access.
    pub present: bool,
}

/// Finds the physical address for an access of user mode, as the processor does: in the cache, or by
/// walking down the tables and setting the accessed bit, and the dirty bit for a write.
///
/// A copy that has no right to write is not read again before a write faults, though the tables may give
/// the right by now. A copy on which an access faults is dropped. Both are as on x86-64.
pub(crate) fn translate(cpu: &Cpu, address: u64, write: bool) -> Result<u64, Fault> {
    let translations = &cpu.backend.translations;
    assert!(!is_kernels_own(cpu), "processor {} is in no address space", cpu.index());
    let page = address & !(PAGE - 1);
    translations.last.set(page);
    let fault = |present| {
        translations.cache().remove(&page);
        Fault { address, write, present }
    };
    let cached = translations.cache().get(&page).copied();
    let entry = match cached {
        Some(copy) if write && copy & WRITABLE == 0 => return Err(fault(true)),
        Some(copy) if !write || copy & DIRTY != 0 => copy,
        // Nothing, or a first write: the dirty bit has to be set in the table.
        _ => {
            let read = walk(cpu.system(), translations.root.get(), page, write).map_err(fault)?;
            translations.cache().insert(page, read);
            read
        }
    };
    Ok(page_table::frame(entry) + (address - page))
}

/// Reads the entry of a page and sets its bits, in one step. An error says whether there is a page.
fn walk(system: &System, root: u64, page: u64, write: bool) -> Result<u64, bool> {
    // SAFETY: a processor runs in the pmap, so it is not freed.
    let entry = unsafe { page_table::find(system, root, page) }.ok_or(false)?;
    let bits = if write { ACCESSED | DIRTY } else { ACCESSED };
    let mut value = entry.load(Ordering::Acquire);
    loop {
        if value & PRESENT == 0 {
            return Err(false);
        }
        if write && value & WRITABLE == 0 {
            return Err(true);
        }
        let after = value | bits;
        if after == value {
            return Ok(after);
        }
        match entry.compare_exchange(value, after, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Ok(after),
            Err(other) => value = other,
        }
    }
}
