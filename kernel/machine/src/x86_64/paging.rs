//! Page tables.
//!
//! The upper half of every address space is the kernel's and the same in all: the entries of the
//! top-level table are copied when an address space is made, so every top-level entry that the
//! kernel will ever use in the upper half exists before the first ([`reserve`]).
//!
//! Nothing is mapped both writable and executable; [`for_each_mapping`] lets a check prove it.

use crate::System;
use x86_64::registers::control::{Cr3, Cr3Flags, Cr4, Cr4Flags};
use x86_64::structures::paging::mapper::MapToError;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame,
    Size2MiB, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

pub use x86_64::structures::paging::PageTableFlags as Flags;

/// Entries of a top-level table that belong to user mode.
const USER_ENTRIES: usize = 256;
/// Entries of any table.
const ENTRIES: usize = 512;

/// Where a physical address is mapped.
pub fn physical<T>(system: &System, address: u64) -> *mut T {
    (system.backend.physical_offset + address) as *mut T
}

/// The table at a physical address.
///
/// # Safety
///
/// There is a page table, and nobody changes it for as long as the reference lives.
unsafe fn table<'a>(system: &System, address: PhysAddr) -> &'a PageTable {
    let table = physical::<PageTable>(system, address.as_u64());
    // SAFETY: the caller's promise.
    unsafe { &*table }
}

/// Physical address of the top-level table in use.
pub fn current_root() -> u64 {
    Cr3::read().0.start_address().as_u64()
}

/// Changes to another address space.
///
/// # Safety
///
/// The root is that of a table whose upper half is the kernel's.
pub unsafe fn activate(root: u64) {
    let frame = PhysFrame::containing_address(PhysAddr::new(root));
    // SAFETY: the caller's promise.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
}

/// Forgets every translation of the lower half on this processor.
pub fn flush_user() {
    // SAFETY: the same root as before.
    unsafe { activate(current_root()) };
}

/// Walks to the lowest entry for an address: its physical address and the level it is at (1 is a
/// 4 KiB page), or `None` if a table on the way is absent.
fn entry_of(system: &System, root: u64, address: u64) -> Option<(*mut u64, u8)> {
    let mut table = root;
    for level in (1..=4u8).rev() {
        let index = address >> (12 + 9 * (u32::from(level) - 1)) & 0x1ff;
        let entry = physical::<u64>(system, table + 8 * index);
        // SAFETY: the address of an entry in a live table.
        let value = unsafe { entry.read_volatile() };
        let flags = PageTableFlags::from_bits_truncate(value);
        if level == 1 || flags.contains(PageTableFlags::HUGE_PAGE) && level < 4 {
            return Some((entry, level));
        }
        if !flags.contains(PageTableFlags::PRESENT) {
            return None;
        }
        table = value & 0x000f_ffff_ffff_f000;
    }
    None
}

/// Whether an address has a page, in the address space in use.
pub fn is_present(system: &System, address: u64) -> bool {
    entry_of(system, current_root(), address).is_some_and(|(entry, _)| {
        // SAFETY: the address of an entry in a live table.
        let value = unsafe { entry.read_volatile() };
        PageTableFlags::from_bits_truncate(value).contains(PageTableFlags::PRESENT)
    })
}

/// Whether the page at an address, in the address space in use, may be written by the kernel.
pub fn is_writable(system: &System, address: u64) -> bool {
    entry_of(system, current_root(), address).is_some_and(|(entry, _)| {
        // SAFETY: the address of an entry in a live table.
        let value = unsafe { entry.read_volatile() };
        let both = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
        PageTableFlags::from_bits_truncate(value).contains(both)
    })
}

/// The physical address behind an address, in the address space in use.
pub fn translate(system: &System, address: u64) -> Option<u64> {
    let (entry, level) = entry_of(system, current_root(), address)?;
    // SAFETY: the address of an entry in a live table.
    let value = unsafe { entry.read_volatile() };
    let inside = (1u64 << (12 + 9 * (level - 1))) - 1;
    PageTableFlags::from_bits_truncate(value)
        .contains(PageTableFlags::PRESENT)
        .then_some(value & 0x000f_ffff_ffff_f000 & !inside | address & inside)
}

/// Puts a page where the kernel has a hole. One store; the tables above exist.
///
/// # Safety
///
/// The address lies in the kernel's half, its tables exist and its page is absent; the frame is
/// used by nothing else.
pub(crate) unsafe fn fill_kernel_page(system: &System, address: u64, frame: u64) {
    let (entry, level) =
        entry_of(system, current_root(), address).expect("a stack's page tables exist");
    debug_assert_eq!(level, 1);
    let flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE | PageTableFlags::NO_EXECUTE;
    // SAFETY: the caller's promise. An absent entry is never cached, so nothing has to be flushed.
    unsafe { entry.write_volatile(frame | flags.bits()) };
}

/// Why a page could not be mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No frame for a page table.
    OutOfMemory,
    /// There is a page already.
    InUse,
}

/// A tree of page tables, to be changed. Changes to the kernel's half need the kernel's own lock.
pub struct Tables {
    mapper: OffsetPageTable<'static>,
}

impl Tables {
    /// The tree with this root.
    ///
    /// # Safety
    ///
    /// There is such a tree, and nobody else changes the parts of it that this one will.
    pub unsafe fn at(system: &System, root: u64) -> Tables {
        let table = physical::<PageTable>(system, root);
        // SAFETY: the caller's promise.
        let table = unsafe { &mut *table };
        let offset = VirtAddr::new(system.backend.physical_offset);
        // SAFETY: all physical memory that page tables lie in is mapped at this offset.
        let mapper = unsafe { OffsetPageTable::new(table, offset) };
        Tables { mapper }
    }

    /// Maps one page.
    ///
    /// # Safety
    ///
    /// The frame may be reached in this way: it is the caller's to map, and if the page is the
    /// kernel's, nothing of Rust's lives there yet.
    pub unsafe fn map(
        &mut self,
        address: u64,
        frame: u64,
        flags: Flags,
        frames: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<(), MapError> {
        // SAFETY: the caller's promise.
        unsafe { self.map_sized::<Size4KiB>(address, frame, flags, frames) }
    }

    /// Maps one page of 2 MiB.
    ///
    /// # Safety
    ///
    /// As for [`Tables::map`].
    pub unsafe fn map_large(
        &mut self,
        address: u64,
        frame: u64,
        flags: Flags,
        frames: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<(), MapError> {
        // SAFETY: the caller's promise.
        unsafe { self.map_sized::<Size2MiB>(address, frame, flags, frames) }
    }

    /// # Safety
    ///
    /// As for [`Tables::map`].
    unsafe fn map_sized<S: PageSize>(
        &mut self,
        address: u64,
        frame: u64,
        flags: Flags,
        frames: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<(), MapError>
    where
        OffsetPageTable<'static>: Mapper<S>,
    {
        debug_assert!(
            !flags.contains(Flags::WRITABLE) || flags.contains(Flags::NO_EXECUTE),
            "a page is writable or executable, not both"
        );
        let page = Page::<S>::containing_address(VirtAddr::new(address));
        let frame = PhysFrame::containing_address(PhysAddr::new(frame));
        let parents = Flags::PRESENT | Flags::WRITABLE | (flags & Flags::USER_ACCESSIBLE);
        // SAFETY: the caller's promise.
        let mapped = unsafe {
            self.mapper.map_to_with_table_flags(
                page,
                frame,
                flags | Flags::PRESENT,
                parents,
                frames,
            )
        };
        match mapped {
            Ok(flush) => {
                flush.ignore();
                Ok(())
            }
            Err(MapToError::FrameAllocationFailed) => Err(MapError::OutOfMemory),
            Err(MapToError::ParentEntryHugePage | MapToError::PageAlreadyMapped(_)) => {
                Err(MapError::InUse)
            }
        }
    }
}

/// Makes the tables above a page of the kernel's half, in the address space in use, without the page.
/// Needs the kernel's own lock.
///
/// # Safety
///
/// The caller holds the kernel's lock on its half, and the source's frames are its to give away.
pub unsafe fn reserve(
    system: &System,
    address: u64,
    frames: &mut impl FrameAllocator<Size4KiB>,
) -> Result<(), MapError> {
    let mut table = current_root();
    for level in (2..=4u32).rev() {
        let index = address >> (12 + 9 * (level - 1)) & 0x1ff;
        let entry = physical::<u64>(system, table + 8 * index);
        // SAFETY: the address of an entry in a live table, which the kernel's lock protects.
        let mut value = unsafe { entry.read_volatile() };
        if value & Flags::PRESENT.bits() == 0 {
            let frame = frames.allocate_frame().ok_or(MapError::OutOfMemory)?;
            let frame = frame.start_address().as_u64();
            // SAFETY: fresh from the source.
            unsafe { clear_frame(system, frame) };
            value = frame | Flags::PRESENT.bits() | Flags::WRITABLE.bits();
            // SAFETY: as above; the new table is empty.
            unsafe { entry.write_volatile(value) };
        }
        table = value & 0x000f_ffff_ffff_f000;
    }
    Ok(())
}

/// Takes the right to write a frame away from the mapping of physical memory, splitting the large page
/// that it lies in where there is one. On the first processor, before there are others; the caller
/// flushes ([`flush_all`]).
///
/// # Safety
///
/// No other processor runs; the source's frames are its to give away, and nobody will write the frame.
pub unsafe fn make_physical_read_only(
    system: &System,
    frame: u64,
    frames: &mut impl FrameAllocator<Size4KiB>,
) -> Result<(), MapError> {
    let address = system.backend.physical_offset + frame;
    loop {
        let (entry, level) =
            entry_of(system, current_root(), address).expect("physical memory is mapped");
        // SAFETY: the address of an entry in a live table, which only this processor uses.
        let value = unsafe { entry.read_volatile() };
        let new = if level == 1 {
            value & !Flags::WRITABLE.bits()
        } else {
            split(system, value, level, frames)?
        };
        // SAFETY: as above; the new value maps the same, with at most less right to it.
        unsafe { entry.write_volatile(new) };
        if level == 1 {
            return Ok(());
        }
    }
}

/// Makes a table that maps what a large page's entry maps; returns the entry for the table.
fn split(
    system: &System,
    large: u64,
    level: u8,
    frames: &mut impl FrameAllocator<Size4KiB>,
) -> Result<u64, MapError> {
    let table = frames.allocate_frame().ok_or(MapError::OutOfMemory)?.start_address().as_u64();
    let step = 1u64 << (12 + 9 * (u32::from(level) - 2));
    // A large page's entry and a small one's differ in the bit that says so.
    let small = if level == 2 { large & !Flags::HUGE_PAGE.bits() } else { large };
    for index in 0..ENTRIES as u64 {
        let entry = physical::<u64>(system, table + 8 * index);
        // SAFETY: a fresh frame of our own.
        unsafe { entry.write(small + index * step) };
    }
    Ok(table | Flags::PRESENT.bits() | Flags::WRITABLE.bits())
}

/// Forgets every translation on this processor, those of global pages too.
pub fn flush_all() {
    x86_64::instructions::tlb::flush_all();
    let control = Cr4::read();
    if control.contains(Cr4Flags::PAGE_GLOBAL) {
        // SAFETY: turned off and on again; global pages are an optimisation.
        unsafe { Cr4::write(control - Cr4Flags::PAGE_GLOBAL) };
        // SAFETY: as it was.
        unsafe { Cr4::write(control) };
    }
}

/// Fills a frame with zeros.
///
/// # Safety
///
/// The frame is memory that nothing else uses.
pub unsafe fn clear_frame(system: &System, frame: u64) {
    let words = physical::<u64>(system, frame);
    // SAFETY: a whole frame of memory that nothing else uses.
    unsafe { core::ptr::write_bytes(words, 0, ENTRIES) };
}

/// Empties the lower half of the table in use. What the loader mapped there is not needed any more.
///
/// # Safety
///
/// Nothing that is still used lies in the lower half.
pub unsafe fn clear_lower_half(system: &System) {
    let table = physical::<u64>(system, current_root());
    // SAFETY: the first half of the entries of a table that only this processor uses.
    unsafe { core::ptr::write_bytes(table, 0, USER_ENTRIES) };
    flush_user();
}

/// Makes a top-level table for a new address space in a zeroed frame: the kernel's half is shared.
///
/// # Safety
///
/// The frame is memory that nothing else uses.
pub unsafe fn share_upper_half(system: &System, frame: u64) {
    let from = physical::<u64>(system, current_root());
    let to = physical::<u64>(system, frame);
    // SAFETY: the upper entries of a table in use are within it.
    let from = unsafe { from.add(USER_ENTRIES) };
    // SAFETY: likewise within the new table.
    let to = unsafe { to.add(USER_ENTRIES) };
    // SAFETY: the upper entries never change again, and the new table is the caller's.
    unsafe { core::ptr::copy_nonoverlapping(from, to, ENTRIES - USER_ENTRIES) };
}

/// Gives every frame of an address space's lower half to `release`: pages first, then the tables
/// above them. The root itself stays, empty.
///
/// # Safety
///
/// No processor uses the address space.
pub unsafe fn tear_down(system: &System, root: u64, release: &mut dyn FnMut(u64)) {
    // SAFETY: the caller's promise.
    unsafe { tear_down_table(system, root, 4, USER_ENTRIES, release) };
}

/// # Safety
///
/// See [`tear_down`].
unsafe fn tear_down_table(
    system: &System,
    address: u64,
    level: u8,
    entries: usize,
    release: &mut dyn FnMut(u64),
) {
    for index in 0..entries {
        let entry = physical::<u64>(system, address + 8 * index as u64);
        // SAFETY: the address of an entry in a table that nobody uses.
        let value = unsafe { entry.read() };
        if value & Flags::PRESENT.bits() == 0 {
            continue;
        }
        let below = value & 0x000f_ffff_ffff_f000;
        if level > 1 {
            // SAFETY: the same address space.
            unsafe { tear_down_table(system, below, level - 1, ENTRIES, release) };
        }
        // SAFETY: as above.
        unsafe { entry.write(0) };
        release(below);
    }
}

/// A mapping as [`for_each_mapping`] sees it.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// First address.
    pub address: u64,
    /// How many bytes.
    pub size: u64,
    /// The physical address behind it.
    pub physical: u64,
    /// May be written.
    pub writable: bool,
    /// May be executed.
    pub executable: bool,
    /// May be reached by user mode.
    pub user: bool,
}

/// Shows every mapping of the address space in use, with the rights that all levels together give.
pub fn for_each_mapping(system: &System, mut show: impl FnMut(Mapping)) {
    let root = PhysAddr::new(current_root());
    let all =
        Mapping { address: 0, size: 0, physical: 0, writable: true, executable: true, user: true };
    walk(system, root, 4, all, &mut show);
}

fn walk(
    system: &System,
    address: PhysAddr,
    level: u8,
    above: Mapping,
    show: &mut dyn FnMut(Mapping),
) {
    // SAFETY: a table of the address space in use; whoever calls holds the kernel's lock on it.
    let table = unsafe { table(system, address) };
    for (index, entry) in table.iter().enumerate() {
        let flags = entry.flags();
        if !flags.contains(Flags::PRESENT) {
            continue;
        }
        let size = 1u64 << (12 + 9 * (u32::from(level) - 1));
        let mut start = above.address + size * index as u64;
        if level == 4 && index >= USER_ENTRIES {
            start |= 0xffff << 48;
        }
        let here = Mapping {
            address: start,
            size,
            physical: entry.addr().as_u64(),
            writable: above.writable && flags.contains(Flags::WRITABLE),
            executable: above.executable && !flags.contains(Flags::NO_EXECUTE),
            user: above.user && flags.contains(Flags::USER_ACCESSIBLE),
        };
        if level == 1 || flags.contains(Flags::HUGE_PAGE) {
            show(here);
        } else {
            walk(system, entry.addr(), level - 1, here, show);
        }
    }
}
