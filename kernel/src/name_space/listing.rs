//! What is in a folder, as `getdents64` says it.

use super::names;
use abi::errno::Errno;
use abi::folders::{DT_CHR, DT_DIR, DT_REG, Dirent};
use machine::MayFault;
use names::{Entry, Kind, NodeId};

/// Entries begin at multiples of this.
const ALIGNMENT: usize = 8;

/// Puts the entries of a folder from a place on into a buffer: as many as fit. Returns how many bytes they take, and
/// where to go on. `EINVAL`: not even one fits.
pub fn list(
    folder: NodeId,
    place: u64,
    buffer: &mut [u8],
    may_fault: &mut MayFault,
) -> Result<(usize, u64), Errno> {
    let names = names(may_fault)?;
    let (mut used, mut place) = (0, place);
    while let Some(entry) = names.entry(folder, place) {
        let Some(length) = put(&entry, &mut buffer[used..]) else {
            return if used == 0 { Err(Errno::EINVAL) } else { Ok((used, place)) };
        };
        (used, place) = (used + length, entry.next);
    }
    Ok((used, place))
}

/// Puts an entry to the beginning of a buffer; returns its length, if it fits.
fn put(entry: &Entry<'_>, buffer: &mut [u8]) -> Option<usize> {
    let length = (Dirent::NAME + entry.name.len() + 1).next_multiple_of(ALIGNMENT);
    let buffer = buffer.get_mut(..length)?;
    let kind = match entry.description.kind {
        Kind::Folder => DT_DIR,
        Kind::File => DT_REG,
        Kind::Device => DT_CHR,
    };
    buffer.fill(0);
    buffer[..8].copy_from_slice(&entry.description.number.to_le_bytes());
    buffer[8..16].copy_from_slice(&entry.next.to_le_bytes());
    buffer[16..18].copy_from_slice(&(length as u16).to_le_bytes());
    buffer[18] = kind;
    buffer[Dirent::NAME..][..entry.name.len()].copy_from_slice(entry.name);
    Some(length)
}
