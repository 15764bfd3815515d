//! Which physical memory the kernel sees through its window, and in pages of which size.
//!
//! Only memory is mapped: everything usable, what firmware reserves inside it for its tables, and
//! the first 2 MiB, where tables of old live (the display's window at 0xA0000 comes with them).
//! Device registers are not: they need another caching mode, and mapping them is the kernel's
//! business. `bootloader` itself maps at least 4 GiB instead.
//!
//! Pages are of 2 MiB, ranges rounded outwards; of 1 GiB where all of it is usable memory.

use crate::failure::Failure;
use crate::memory_map::MemoryMap;
use crate::{align_down, align_up};
use bootloader_api::info::MemoryRegionKind;

/// Size of a large page.
pub const LARGE_PAGE: u64 = 2 << 20;
/// Size of a huge page.
pub const HUGE_PAGE: u64 = 1 << 30;

/// ACPI tables that the kernel may overwrite once it has read them.
const ACPI_TABLES: u32 = 3;
/// Memory in which the firmware keeps its state while the machine sleeps.
const ACPI_STATE: u32 = 4;

/// A reserved region directly behind memory is a piece of memory that firmware keeps for its tables,
/// unless it is longer than this: then it is likely to be the window of a device.
const FIRMWARE_PIECE_MAX: u64 = 16 << 20;

/// One page of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPage {
    /// Physical address.
    pub address: u64,
    /// [`LARGE_PAGE`] or [`HUGE_PAGE`].
    pub size: u64,
}

/// The window onto physical memory.
pub struct PhysicalMap<'a> {
    memory: &'a MemoryMap,
    mapped: MemoryMap,
}

impl<'a> PhysicalMap<'a> {
    /// The window for `memory`, the firmware's own map.
    pub fn new(memory: &'a MemoryMap) -> Result<Self, Failure> {
        let mut mapped = MemoryMap::new();
        mapped.overlay(0..LARGE_PAGE, MemoryRegionKind::Usable)?;
        let mut end_of_memory = 0;
        for region in memory.iter() {
            let is_memory = match region.kind {
                MemoryRegionKind::Usable => true,
                MemoryRegionKind::UnknownBios(ACPI_TABLES | ACPI_STATE) => true,
                _ => {
                    region.start == end_of_memory && region.end - region.start <= FIRMWARE_PIECE_MAX
                }
            };
            if is_memory {
                end_of_memory = region.end;
                let start = align_down(region.start, LARGE_PAGE);
                let end = align_up(region.end, LARGE_PAGE);
                mapped.overlay(start..end, MemoryRegionKind::Usable)?;
            }
        }
        Ok(PhysicalMap { memory, mapped })
    }

    /// Length of the window: the address behind its last page.
    pub fn end(&self) -> u64 {
        self.mapped.last().map_or(0, |region| region.end)
    }

    /// The pages, in order.
    pub fn pages(&self, with_huge_pages: bool) -> impl Iterator<Item = WindowPage> {
        self.mapped.iter().flat_map(move |region| {
            let mut address = region.start;
            core::iter::from_fn(move || {
                if address >= region.end {
                    return None;
                }
                let huge = with_huge_pages
                    && address.is_multiple_of(HUGE_PAGE)
                    && self.memory.is_usable(address..address.saturating_add(HUGE_PAGE));
                let page = WindowPage { address, size: if huge { HUGE_PAGE } else { LARGE_PAGE } };
                address += page.size;
                Some(page)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_map::FirmwareEntry;

    /// What SeaBIOS reports on a q35 machine of 4 GiB.
    fn q35() -> MemoryMap {
        let entries = [
            (0, 0x9_fc00, 1),
            (0x9_fc00, 0x400, 2),
            (0xf_0000, 0x1_0000, 2),
            (0x10_0000, 0x7fed_f000, 1),
            (0x7ffd_f000, 0x2_1000, 2),
            (0xb000_0000, 0x1000_0000, 2),
            (0xfeff_c000, 0x4000, 2),
            (0x1_0000_0000, 0x8000_0000, 1),
        ];
        let entries =
            entries.into_iter().map(|(start, length, kind)| FirmwareEntry { start, length, kind });
        MemoryMap::from_firmware(entries).unwrap()
    }

    #[test]
    fn devices_stay_outside_and_tables_inside() {
        let memory = q35();
        let map = PhysicalMap::new(&memory).unwrap();
        let contains = |address| {
            map.pages(true).any(|page| (page.address..page.address + page.size).contains(&address))
        };
        for address in [0, 0xe_0000, 0x10_0000, 0x7ffd_f000, 0x7fff_ffff, 0x1_7fff_ffff] {
            assert!(contains(address), "{address:#x}");
        }
        for address in [0x8000_0000, 0xb000_0000, 0xfec0_0000, 0xfee0_0000, 0xfeff_c000] {
            assert!(!contains(address), "{address:#x}");
        }
        assert_eq!(map.end(), 0x1_8000_0000);
    }

    #[test]
    fn huge_pages_only_where_all_is_memory() {
        let memory = q35();
        let map = PhysicalMap::new(&memory).unwrap();
        let huge = map.pages(true).filter(|page| page.size == HUGE_PAGE);
        assert!(huge.map(|page| page.address).eq([0x1_0000_0000, 0x1_4000_0000]));
        assert!(map.pages(false).all(|page| page.size == LARGE_PAGE));
        let bytes: u64 = map.pages(true).map(|page| page.size).sum();
        assert_eq!(bytes, map.pages(false).map(|page| page.size).sum());
    }
}
