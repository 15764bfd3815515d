//! Hands out physical memory.
//!
//! Frames come from the usable regions between 1 MiB and 4 GiB: below is left to the kernel, which
//! starts its other processors there; above is out of reach of the loader's own identity map. Each
//! region is used from its start upwards and nothing is given back, so what was taken is one range
//! for each region. Everything taken is for the kernel to keep: the loader has no memory of its own
//! but its image.

use crate::PAGE;
use crate::failure::Failure;
use crate::memory_map::{CAPACITY, MemoryMap};
use abi::ending::Ending;
use bootloader_api::info::MemoryRegionKind;
use core::ops::Range;

const LOWEST: u64 = 1 << 20;
const HIGHEST: u64 = 1 << 32;

/// The frames that are left.
pub struct Frames {
    free: MemoryMap,
    /// For each region of `free`, its first address not yet handed out.
    next: [u64; CAPACITY],
}

impl Frames {
    /// Everything usable in `free`, which must not hold anything that is still in use.
    pub fn new(free: MemoryMap) -> Self {
        let mut next = [0; CAPACITY];
        for (region, next) in free.iter().zip(&mut next) {
            *next = region.start.max(LOWEST);
        }
        Frames { free, next }
    }

    /// Takes `count` frames that lie one behind the other; the address of the first. Their contents
    /// are whatever was there.
    pub fn take(&mut self, count: u64) -> Result<u64, Failure> {
        for (region, next) in self.free.iter().zip(&mut self.next) {
            let end = region.end.min(HIGHEST);
            let left = end.saturating_sub(*next);
            if region.kind == MemoryRegionKind::Usable && left / PAGE >= count {
                let first = *next;
                *next += count * PAGE;
                return Ok(first);
            }
        }
        Err(Failure::new(Ending::TooLittleMemory, "no frames left while loading the kernel"))
    }

    /// What has been handed out.
    pub fn taken(&self) -> impl Iterator<Item = Range<u64>> {
        let starts = self.free.iter().map(|region| region.start.max(LOWEST));
        starts.zip(self.next).map(|(start, next)| start..next).filter(|range| !range.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_map::FirmwareEntry;
    use proptest::prelude::*;

    fn frames(ranges: &[Range<u64>]) -> Frames {
        let mut map = MemoryMap::new();
        for range in ranges {
            map.overlay(range.clone(), MemoryRegionKind::Usable).unwrap();
        }
        Frames::new(map)
    }

    #[test]
    fn nothing_below_one_mebibyte_or_above_four_gibibytes() {
        let mut frames = frames(&[0..0x9_f000, 0xf_f000..0x10_1000, 0xffff_f000..0x2_0000_0000]);
        assert_eq!(frames.take(1), Ok(0x10_0000));
        assert_eq!(frames.take(1), Ok(0xffff_f000));
        assert_eq!(frames.take(1).unwrap_err().ending, Ending::TooLittleMemory);
        assert!(frames.taken().eq([0x10_0000..0x10_1000, 0xffff_f000..0x1_0000_0000]));
    }

    #[test]
    fn reserved_regions_are_never_used() {
        let entry = FirmwareEntry { start: 1 << 20, length: 1 << 20, kind: 2 };
        let map = MemoryMap::from_firmware([entry].into_iter()).unwrap();
        assert!(Frames::new(map).take(1).is_err());
    }

    #[test]
    fn a_small_region_is_not_lost_when_a_large_request_passes_over_it() {
        let mut frames = frames(&[0x10_0000..0x10_1000, 0x20_0000..0x20_2000]);
        assert_eq!(frames.take(2), Ok(0x20_0000));
        assert_eq!(frames.take(1), Ok(0x10_0000));
        assert!(frames.take(1).is_err());
    }

    proptest! {
        #[test]
        fn what_is_taken_is_usable_and_never_twice(
            regions in proptest::collection::vec((256_u64..512, 1_u64..20), 1..10),
            requests in proptest::collection::vec(1_u64..6, 0..60),
        ) {
            let mut map = MemoryMap::new();
            for (start, length) in regions {
                let range = start * PAGE..(start + length) * PAGE;
                map.overlay(range, MemoryRegionKind::Usable).unwrap();
            }
            let mut frames = Frames::new(map.clone());
            let mut seen = [false; 1024];
            for count in requests {
                let Ok(first) = frames.take(count) else { continue };
                prop_assert!(map.is_usable(first..first + count * PAGE));
                for cell in &mut seen[(first / PAGE) as usize..(first / PAGE + count) as usize] {
                    prop_assert!(!*cell);
                    *cell = true;
                }
            }
            let taken: u64 = frames.taken().map(|range| (range.end - range.start) / PAGE).sum();
            prop_assert_eq!(taken, seen.iter().filter(|seen| **seen).count() as u64);
        }
    }
}
