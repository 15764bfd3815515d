//! Page tables as the processor reads them: what an entry says, and where the entry of an address is.
//!
//! Four levels of tables with 512 entries each; a table is a frame, and an entry is one word that the
//! processor reads, and sets bits in, at any moment. The simulated processor reads the same format, so
//! that what is tested on the host is what runs in the kernel.
//!
//! Of the higher levels: processors ignore the bits from 52 on of an entry that leads to a table. Eight of them say
//! which eighths of that table have ever been used ([`part_of`]), so that who looks for what is mapped, or frees
//! tables, reads those alone: most tables have a few entries, beside each other.
//!
//! Of the lowest level: an entry that is not 0 *maps* its frame, also where nobody may reach it. The
//! processor knows only "present" (bit 0), which is here the right to read; that an entry maps a frame
//! says bit 9, which it ignores.

use crate::pmap::{Rights, Translation};
use crate::{System, backend};
use atomics::Ordering;

/// Bytes of a page, and of a frame.
pub const PAGE: u64 = 4096;
/// Levels of tables; the highest is the root's.
pub(crate) const LEVELS: u32 = 4;
/// Entries of a table.
pub(crate) const ENTRIES: usize = 512;

pub(crate) const PRESENT: u64 = 1 << 0;
pub(crate) const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
pub(crate) const ACCESSED: u64 = 1 << 5;
pub(crate) const DIRTY: u64 = 1 << 6;
/// Ignored by the processor: the entry maps a frame.
const MAPS: u64 = 1 << 9;
const NO_EXECUTE: u64 = 1 << 63;
const FRAME: u64 = 0x000f_ffff_ffff_f000;

/// The bits in which the rights of an entry lie.
const RIGHTS: u64 = PRESENT | WRITABLE | NO_EXECUTE;

/// An entry that leads to a table: it grants everything, as the lowest level decides.
pub(crate) const fn to_table(table: u64) -> u64 {
    table | PRESENT | WRITABLE | USER
}

/// Entries of a part of a table.
pub(crate) const PART: usize = ENTRIES / 8;
/// The lowest of the bits that say which parts of a table have been used.
const PARTS_SHIFT: usize = 52;

/// The bit, in the entry that leads to a table, for the part in which that table's entry of an address lies. It is set
/// before anything is put there.
pub(crate) const fn part_of(address: u64, level: u32) -> u64 {
    1 << (PARTS_SHIFT + index(address, level) / PART)
}

/// Whether an entry's bits say that this part of the table that it leads to has been used.
pub(crate) const fn is_used(entry: u64, part: usize) -> bool {
    entry >> (PARTS_SHIFT + part) & 1 != 0
}

/// The frame that an entry leads to or maps.
pub(crate) const fn frame(entry: u64) -> u64 {
    entry & FRAME
}

fn encode_rights(rights: Rights) -> u64 {
    debug_assert!(
        !rights.contains(Rights::WRITE | Rights::EXECUTE),
        "a page is writable or executable, not both"
    );
    debug_assert!(
        rights == Rights::NONE || rights.contains(Rights::READ),
        "who may write or execute a page may read it"
    );
    let bit = |right, bit| if rights.contains(right) { bit } else { 0 };
    let no_execute = NO_EXECUTE & !bit(Rights::EXECUTE, NO_EXECUTE);
    bit(Rights::READ, PRESENT) | bit(Rights::WRITE, WRITABLE) | no_execute
}

/// The rights of an entry.
pub(crate) fn rights(entry: u64) -> Rights {
    if entry & PRESENT == 0 {
        return Rights::NONE;
    }
    let write = if entry & WRITABLE != 0 { Rights::WRITE } else { Rights::NONE };
    let execute = if entry & NO_EXECUTE == 0 { Rights::EXECUTE } else { Rights::NONE };
    Rights::READ | write | execute
}

/// The same entry with these rights.
pub(crate) fn with_rights(entry: u64, rights: Rights) -> u64 {
    entry & !RIGHTS | encode_rights(rights)
}

/// The entry that says this.
pub(crate) fn encode(translation: Translation) -> u64 {
    let Translation { frame, rights, accessed, dirty } = translation;
    debug_assert!(frame & !FRAME == 0, "{frame:#x} is not the address of a frame");
    let accessed = if accessed { ACCESSED } else { 0 };
    let dirty = if dirty { DIRTY } else { 0 };
    frame | MAPS | USER | encode_rights(rights) | accessed | dirty
}

/// What an entry says; nothing if it maps no frame.
pub(crate) fn decode(entry: u64) -> Option<Translation> {
    (entry & MAPS != 0).then(|| Translation {
        frame: frame(entry),
        rights: rights(entry),
        accessed: entry & ACCESSED != 0,
        dirty: entry & DIRTY != 0,
    })
}

/// How many bytes an entry of a table at this level is for; the lowest level is 1.
pub(crate) const fn span(level: u32) -> u64 {
    PAGE << (9 * (level - 1))
}

/// The place of an address' entry in its table at this level.
pub(crate) const fn index(address: u64, level: u32) -> usize {
    (address / span(level)) as usize % ENTRIES
}

/// Finds the table of the lowest level for an address, as the entry that leads to it; or, where there is none, how many
/// bytes around the address share its absence. `root` is the root with its parts, as if an entry led to it.
///
/// # Safety
///
/// The root is that of a tree of tables, which are not freed meanwhile.
pub(crate) unsafe fn lowest_table(system: &System, root: u64, address: u64) -> Result<u64, u64> {
    let mut entry = root;
    let mut level = LEVELS;
    while level > 1 {
        let index = index(address, level);
        if !is_used(entry, index / PART) {
            return Err(span(level) * PART as u64);
        }
        // SAFETY: the root, or a table that the entry above leads to: they live, says the caller.
        entry = unsafe { backend::pmap::peek(system, frame(entry), index) };
        if entry & PRESENT == 0 {
            return Err(span(level));
        }
        level -= 1;
    }
    Ok(entry)
}

/// Finds the entry of the lowest level for an address, if its table is there.
///
/// # Safety
///
/// The root is that of a tree of tables, which are not freed as long as the entry is used.
pub(crate) unsafe fn find(
    system: &System,
    root: u64,
    address: u64,
) -> Option<backend::pmap::Entry> {
    let mut table = root;
    let mut level = LEVELS;
    while level > 1 {
        // SAFETY: the root, or a table that the entry above leads to: they live, says the caller.
        let entry = unsafe { backend::pmap::peek(system, table, index(address, level)) };
        if entry & PRESENT == 0 {
            return None;
        }
        table = frame(entry);
        level -= 1;
    }
    // SAFETY: a table of the tree.
    Some(unsafe { backend::pmap::entry(system, table, index(address, 1)) })
}

/// Changes an entry to what `change` makes of it, in one step against whoever else changes it, the
/// processors included; leaves it alone if that is nothing. Returns what was there, or, if it was left
/// alone, an error.
pub(crate) fn update(
    entry: &backend::pmap::Entry,
    change: impl Fn(u64) -> Option<u64>,
) -> Result<u64, NotChanged> {
    let mut before = entry.load(Ordering::Acquire);
    loop {
        let after = change(before).ok_or(NotChanged)?;
        match entry.compare_exchange(before, after, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Ok(before),
            Err(other) => before = other,
        }
    }
}

/// An entry was left as it is.
pub(crate) struct NotChanged;
