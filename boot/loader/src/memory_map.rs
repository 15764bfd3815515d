//! A list of physical memory regions: sorted, without overlaps, neighbours of one kind joined.
//!
//! The firmware's table may be unsorted and may overlap itself; where two entries contradict each
//! other, the one that forbids wins. Three maps are made in a start: what the firmware says
//! ([`MemoryMap::from_firmware`]), the same without what is in use (for [`crate::frames`]), and the
//! one that the kernel gets. All are made by [`MemoryMap::overlay`].

use crate::failure::Failure;
use crate::{PAGE, align_down, align_up};
use abi::ending::Ending;
use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use core::ops::{Deref, Range};

/// Most regions that a map can have.
pub const CAPACITY: usize = 256;

/// The firmware's type number for memory that anyone may use.
pub const FIRMWARE_RAM: u32 = 1;
/// The firmware's type number for memory that nobody may use.
pub const FIRMWARE_RESERVED: u32 = 2;

/// One entry of the firmware's table.
#[derive(Clone, Copy, Debug)]
pub struct FirmwareEntry {
    /// First byte.
    pub start: u64,
    /// Number of bytes.
    pub length: u64,
    /// E820 type number.
    pub kind: u32,
}

/// The list; use it as a slice.
#[derive(Clone, Debug)]
pub struct MemoryMap {
    regions: [MemoryRegion; CAPACITY],
    length: usize,
}

impl Deref for MemoryMap {
    type Target = [MemoryRegion];

    fn deref(&self) -> &[MemoryRegion] {
        &self.regions[..self.length]
    }
}

impl Default for MemoryMap {
    fn default() -> Self {
        MemoryMap::new()
    }
}

impl MemoryMap {
    /// A map without regions.
    pub const fn new() -> Self {
        MemoryMap { regions: [MemoryRegion::empty(); CAPACITY], length: 0 }
    }

    /// What the firmware says. Usable regions are cut to whole pages.
    pub fn from_firmware(
        entries: impl Iterator<Item = FirmwareEntry> + Clone,
    ) -> Result<Self, Failure> {
        let mut raw = MemoryMap::new();
        for entry in entries.clone().filter(|entry| entry.kind == FIRMWARE_RAM) {
            raw.overlay(range_of(&entry), MemoryRegionKind::Usable)?;
        }
        for entry in entries.filter(|entry| entry.kind != FIRMWARE_RAM) {
            raw.overlay(range_of(&entry), MemoryRegionKind::UnknownBios(entry.kind))?;
        }
        let mut map = MemoryMap::new();
        for region in raw.iter() {
            match region.kind {
                MemoryRegionKind::Usable => {
                    let (start, end) = (align_up(region.start, PAGE), align_down(region.end, PAGE));
                    map.push(start..end, region.kind)?;
                }
                kind => map.push(region.start..region.end, kind)?,
            }
        }
        Ok(map)
    }

    /// Makes `range` a region of `kind`, whatever was there.
    pub fn overlay(&mut self, range: Range<u64>, kind: MemoryRegionKind) -> Result<(), Failure> {
        if range.is_empty() {
            return Ok(());
        }
        let mut result = MemoryMap::new();
        for region in self.iter() {
            result.push(region.start..region.end.min(range.start), region.kind)?;
        }
        result.push(range.clone(), kind)?;
        for region in self.iter() {
            result.push(region.start.max(range.end)..region.end, region.kind)?;
        }
        *self = result;
        Ok(())
    }

    /// Inserts a region that may overlap others, behind those that start no later. The order by
    /// start address stays; that regions do not overlap does not.
    pub fn insert_overlapping(&mut self, region: MemoryRegion) -> Result<(), Failure> {
        if self.length == CAPACITY {
            return Err(FULL);
        }
        let place = self.partition_point(|other| other.start <= region.start);
        self.regions.copy_within(place..self.length, place + 1);
        self.regions[place] = region;
        self.length += 1;
        Ok(())
    }

    /// Whether one usable region holds all of `range`.
    pub fn is_usable(&self, range: Range<u64>) -> bool {
        self.iter().any(|region| {
            region.kind == MemoryRegionKind::Usable
                && region.start <= range.start
                && range.end <= region.end
        })
    }

    /// How many bytes are usable.
    pub fn usable_bytes(&self) -> u64 {
        let usable = self.iter().filter(|region| region.kind == MemoryRegionKind::Usable);
        usable.map(|region| region.end - region.start).sum()
    }

    /// Appends a region that starts at or after the end of the last one. An empty one vanishes.
    fn push(&mut self, range: Range<u64>, kind: MemoryRegionKind) -> Result<(), Failure> {
        if range.is_empty() {
            return Ok(());
        }
        if let Some(last) = self.regions[..self.length].last_mut()
            && last.end == range.start
            && last.kind == kind
        {
            last.end = range.end;
            return Ok(());
        }
        let place = self.regions.get_mut(self.length).ok_or(FULL)?;
        *place = MemoryRegion { start: range.start, end: range.end, kind };
        self.length += 1;
        Ok(())
    }
}

const FULL: Failure =
    Failure::new(Ending::BadStartInfo, "the memory map has more regions than the loader can hold");

fn range_of(entry: &FirmwareEntry) -> Range<u64> {
    entry.start..entry.start.saturating_add(entry.length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use MemoryRegionKind::{Bootloader, Usable};
    use proptest::prelude::*;

    #[test]
    fn an_entry_that_forbids_wins_in_either_order() {
        let ram = FirmwareEntry { start: 0, length: 0x10000, kind: FIRMWARE_RAM };
        let hole = FirmwareEntry { start: 0x3800, length: 0x1000, kind: FIRMWARE_RESERVED };
        for entries in [[ram, hole], [hole, ram]] {
            let map = MemoryMap::from_firmware(entries.into_iter()).unwrap();
            let expected = [
                MemoryRegion { start: 0, end: 0x3000, kind: Usable },
                MemoryRegion {
                    start: 0x3800,
                    end: 0x4800,
                    kind: MemoryRegionKind::UnknownBios(FIRMWARE_RESERVED),
                },
                MemoryRegion { start: 0x5000, end: 0x10000, kind: Usable },
            ];
            assert_eq!(&map[..], expected);
        }
    }

    #[test]
    fn a_region_up_to_the_last_byte_does_not_overflow() {
        let entry = FirmwareEntry { start: u64::MAX - 5, length: 100, kind: 7 };
        let map = MemoryMap::from_firmware([entry].into_iter()).unwrap();
        assert_eq!(map[0].end, u64::MAX);
    }

    #[test]
    fn a_full_map_is_an_error() {
        let entries =
            (0..300).map(|i| FirmwareEntry { start: i * 0x2000, length: 0x1000, kind: 1 });
        assert_eq!(MemoryMap::from_firmware(entries).unwrap_err(), FULL);
    }

    #[test]
    fn an_overlapping_region_keeps_the_order() {
        let mut map = MemoryMap::new();
        map.overlay(0x1000..0x3000, Bootloader).unwrap();
        map.overlay(0x3000..0x5000, Usable).unwrap();
        map.insert_overlapping(MemoryRegion { start: 0x1000, end: 0x1000, kind: Usable }).unwrap();
        assert_eq!(map.iter().map(|region| region.start).collect_vec(), [0x1000, 0x1000, 0x3000]);
        assert_eq!(map[1].end, 0x1000);
    }

    /// `collect` into a fixed place: this crate has no allocator, and its tests need none.
    trait CollectThree {
        fn collect_vec(self) -> [u64; 3];
    }

    impl<I: Iterator<Item = u64>> CollectThree for I {
        fn collect_vec(mut self) -> [u64; 3] {
            core::array::from_fn(|_| self.next().unwrap())
        }
    }

    proptest! {
        /// Against a model that has one cell for each page.
        #[test]
        fn overlay_matches_an_array_of_pages(
            overlays in proptest::collection::vec((0_u64..64, 0_u64..16, 0_u32..3), 0..40)
        ) {
            let mut map = MemoryMap::new();
            let mut model = [None; 80];
            for (start, length, kind) in overlays {
                let kind = MemoryRegionKind::UnknownBios(kind);
                map.overlay(start * PAGE..(start + length) * PAGE, kind).unwrap();
                model[start as usize..(start + length) as usize].fill(Some(kind));
            }
            for pair in map.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
                prop_assert!(pair[0].end < pair[1].start || pair[0].kind != pair[1].kind);
            }
            for (page, kind) in model.iter().enumerate() {
                let address = page as u64 * PAGE;
                let found = map.iter().find(|r| r.start <= address && address < r.end);
                prop_assert_eq!(found.map(|region| region.kind), *kind);
            }
        }
    }
}
