//! The machine's side of a [`Pmap`](crate::pmap::Pmap): reading and writing page tables through the
//! mapping of physical memory, changing the root, forgetting translations.
//!
//! Loading a root forgets every translation of the lower half, as none is global.

use super::paging::{self, physical};
use super::private::current_cpu;
use crate::page_table::PAGE;
use crate::{Cpu, System};
use atomics::{AtomicU64, Ordering};
use core::ops::Range;
use x86_64::VirtAddr;
use x86_64::instructions::tlb;

pub(crate) use paging::{clear_frame, share_upper_half};

/// An entry of a page table. Processors write it too.
pub(crate) type Entry = &'static AtomicU64;

/// The entry of a table with this index.
///
/// # Safety
///
/// There is a page table at this physical address, which lives for as long as the entry is used; the
/// index is that of one of its entries.
#[inline]
pub(crate) unsafe fn entry(system: &System, table: u64, index: usize) -> Entry {
    let entry = physical::<AtomicU64>(system, table + 8 * index as u64);
    // SAFETY: the caller's promise; everybody uses entries of live tables as atomics.
    unsafe { &*entry }
}

/// The value of an entry.
///
/// # Safety
///
/// See [`entry`].
#[inline]
pub(crate) unsafe fn peek(system: &System, table: u64, index: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { entry(system, table, index) }.load(Ordering::Acquire)
}

/// Fills a frame with zeros from a byte on.
///
/// # Safety
///
/// The frame is memory that nothing else uses.
pub(crate) unsafe fn clear_frame_from(system: &System, frame: u64, byte: u64) {
    let start = physical::<u8>(system, frame + byte);
    // SAFETY: the rest of a frame, says the caller; all physical memory is mapped.
    unsafe { core::ptr::write_bytes(start, 0, (PAGE - byte) as usize) };
}

/// Copies a frame.
///
/// # Safety
///
/// Both are frames of memory, not the same; nobody writes `from`, and nobody else uses `to`.
pub(crate) unsafe fn copy_frame(system: &System, from: u64, to: u64) {
    let from = physical::<u64>(system, from);
    let to = physical::<u64>(system, to);
    // SAFETY: two whole frames, says the caller; all physical memory is mapped.
    unsafe { core::ptr::copy_nonoverlapping(from, to, PAGE as usize / size_of::<u64>()) };
}

/// Copies bytes out of a frame, from this address on.
///
/// # Safety
///
/// They are in one frame of memory.
pub(crate) unsafe fn read_frame(system: &System, address: u64, to: &mut [u8]) {
    let from = physical::<u8>(system, address);
    // SAFETY: within a frame, says the caller; all physical memory is mapped, and `to` lies in the kernel's own.
    unsafe { core::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len()) };
}

/// Copies bytes into a frame, from this address on.
///
/// # Safety
///
/// They are in one frame of memory that nothing of the kernel's lives in.
pub(crate) unsafe fn write_frame(system: &System, address: u64, from: &[u8]) {
    let to = physical::<u8>(system, address);
    // SAFETY: within a frame, says the caller; all physical memory is mapped, and `from` lies in the kernel's own.
    unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
}

/// Whether the current processor runs on the kernel's own tables.
pub(crate) fn is_kernels_own(cpu: &Cpu) -> bool {
    paging::current_root() == cpu.system().backend.kernel_root
}

/// Changes the current processor to an address space.
///
/// # Safety
///
/// The tables live until it has left it.
pub(crate) unsafe fn enter(_: &Cpu, root: u64) {
    // SAFETY: the upper half of a pmap's root is the kernel's.
    unsafe { paging::activate(root) };
}

/// Changes the current processor to the kernel's own tables.
pub(crate) fn leave(cpu: &Cpu) {
    // SAFETY: they live for ever.
    unsafe { paging::activate(cpu.system().backend.kernel_root) };
}

/// Forgetting more pages than these one by one takes longer than having to read all entries again.
const SINGLE_MAX: u64 = 32;

/// Makes the current processor forget the translations of a range.
pub(crate) fn forget(_: &Cpu, range: &Range<u64>) {
    let start = range.start & !(PAGE - 1);
    if range.end.saturating_sub(start) > SINGLE_MAX * PAGE {
        return paging::flush_user();
    }
    for page in (start..range.end).step_by(PAGE as usize) {
        tlb::flush(VirtAddr::new_truncate(page));
    }
}

/// Whether anybody waits for the current processor. One that the caller is just leaving does no harm:
/// whoever acts on the answer looks again.
#[inline]
pub(crate) fn is_asked() -> bool {
    current_cpu().shoot_downs.is_asked()
}

/// Whether a processor has panicked: then all others are stopped, and do not answer any more.
pub(crate) fn is_stopping(cpu: &Cpu) -> bool {
    cpu.system().backend.panicking.load(Ordering::Acquire) != 0
}

/// A panic ends the kernel; nothing is dropped on the way.
pub(crate) fn is_unwinding() -> bool {
    false
}
