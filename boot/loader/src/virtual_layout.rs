//! Decides the virtual address of everything that the kernel finds mapped.
//!
//! What the kernel's configuration fixes is placed first, the rest where there is room in its
//! dynamic range. Nothing dynamic is ever placed in the lowest 512 GiB: that slot of the top-level
//! table holds the two handover pages, and the kernel drops it. Two things at one address, an
//! address that is not canonical, or a wrong alignment end in `Ending::BadKernel`.

use crate::failure::Failure;
use crate::kernel_elf::KernelElf;
use crate::physical_map::{HUGE_PAGE, LARGE_PAGE};
use crate::{PAGE, align_down, align_up};
use abi::ending::Ending;
use bootloader_api::config::Mapping;
use core::ops::Range;

/// What one entry of the top-level page table covers.
const TABLE_SLOT: u64 = 1 << 39;
/// First address of the lower half that is not canonical.
const LOWER_HALF_END: u64 = 1 << 47;
/// First canonical address of the upper half.
const UPPER_HALF: u64 = 0xffff_8000_0000_0000;
const SPANS_MAX: usize = 8;

/// Things of known size that need an address.
pub struct Wanted<'a, 'file> {
    /// The kernel, with its configuration.
    pub kernel: &'a KernelElf<'file>,
    /// Length of the window onto physical memory, if the kernel asks for one.
    pub window_length: u64,
    /// Where the ramdisk is in physical memory.
    pub ramdisk: Range<u64>,
    /// Length of the boot information with its memory regions.
    pub boot_info_length: u64,
    /// The pages that are mapped at their physical addresses.
    pub handover_pages: [u64; 2],
}

/// Where everything goes.
#[derive(Debug, PartialEq, Eq)]
pub struct VirtualLayout {
    /// To be added (wrapping) to every address of the kernel's file.
    pub kernel_slide: u64,
    /// Lowest byte of the stack; the page below is mapped nowhere.
    pub stack_bottom: u64,
    /// Length of the stack, as the kernel asked.
    pub stack_length: u64,
    /// The boot information.
    pub boot_info: u64,
    /// First byte of the ramdisk.
    pub ramdisk: u64,
    /// Physical address 0 in the window onto physical memory.
    pub window: Option<u64>,
    /// Entry of the top-level table that refers to the table itself.
    pub recursive_slot: Option<u16>,
}

impl VirtualLayout {
    /// Finds a place for everything.
    pub fn new(wanted: &Wanted<'_, '_>) -> Result<Self, Failure> {
        let Wanted { kernel, ramdisk, .. } = wanted;
        let mappings = &kernel.config.mappings;
        let stack_length = kernel.config.kernel_stack_size;
        // Beyond any memory, and far from overflow.
        if stack_length == 0 || stack_length > TABLE_SLOT {
            return Err(bad("its kernel_stack_size makes no sense"));
        }
        let ramdisk_pages = align_down(ramdisk.start, PAGE)..align_up(ramdisk.end, PAGE);
        let kernel_pages = kernel.pages();
        let kernel_mapping = match (kernel.is_position_independent, mappings.kernel_base) {
            (true, mapping) => mapping,
            (false, Mapping::FixedAddress(base)) if base != kernel_pages.start => {
                return Err(bad(
                    "its kernel_base is not where it is linked, and it cannot be moved",
                ));
            }
            (false, _) => Mapping::FixedAddress(kernel_pages.start),
        };

        let requests = [
            Some(Request {
                mapping: kernel_mapping,
                length: kernel_pages.end - kernel_pages.start,
                alignment: PAGE,
                refusal: "there is no room for it at its address",
            }),
            Some(Request {
                mapping: mappings.kernel_stack,
                length: PAGE + align_up(stack_length, PAGE),
                alignment: PAGE,
                refusal: "there is no room for kernel_stack at its address",
            }),
            Some(Request {
                mapping: mappings.boot_info,
                length: align_up(wanted.boot_info_length, PAGE),
                alignment: PAGE,
                refusal: "there is no room for boot_info at its address",
            }),
            Some(Request {
                mapping: mappings.ramdisk_memory,
                length: ramdisk_pages.end - ramdisk_pages.start,
                alignment: PAGE,
                refusal: "there is no room for ramdisk_memory at its address",
            }),
            mappings.physical_memory.map(|mapping| Request {
                mapping,
                length: wanted.window_length,
                // A fixed address needs no more than large pages; a free choice allows huge ones.
                alignment: if mapping == Mapping::Dynamic { HUGE_PAGE } else { LARGE_PAGE },
                refusal: "there is no room for physical_memory at its address, or it is not a \
                          multiple of 2 MiB",
            }),
            mappings.page_table_recursive.map(|mapping| Request {
                mapping,
                length: TABLE_SLOT,
                alignment: TABLE_SLOT,
                refusal: "there is no room for page_table_recursive at its address, or it is not a \
                          multiple of 512 GiB",
            }),
        ];

        let mut space = VirtualSpace::new(
            mappings.dynamic_range_start.unwrap_or(0),
            mappings.dynamic_range_end.unwrap_or(u64::MAX - (PAGE - 1)),
        );
        for page in wanted.handover_pages {
            space.reserve(page, PAGE).ok_or(bad("the handover pages overlap"))?;
        }
        let mut addresses = [0; 6];
        // What is fixed goes first: a free choice must not take the place of one that is not.
        for dynamic in [false, true] {
            for (request, address) in requests.iter().zip(&mut addresses) {
                let Some(request) = request else { continue };
                if (request.mapping == Mapping::Dynamic) == dynamic {
                    *address = space.place(request).ok_or(bad(request.refusal))?;
                }
            }
        }
        let [kernel_base, stack, boot_info, ramdisk_page, window, recursive] = addresses;
        Ok(VirtualLayout {
            kernel_slide: kernel_base.wrapping_sub(kernel_pages.start),
            stack_bottom: stack + PAGE,
            stack_length,
            boot_info,
            ramdisk: ramdisk_page + (ramdisk.start - ramdisk_pages.start),
            window: mappings.physical_memory.map(|_| window),
            recursive_slot: mappings
                .page_table_recursive
                .map(|_| ((recursive / TABLE_SLOT) % 512) as u16),
        })
    }
}

struct Request {
    mapping: Mapping,
    length: u64,
    alignment: u64,
    refusal: &'static str,
}

/// Addresses in use, each span by its first and its last byte: the last page of all has no address
/// behind it.
struct VirtualSpace {
    used: [(u64, u64); SPANS_MAX],
    count: usize,
    dynamic_first: u64,
    dynamic_last: u64,
}

impl VirtualSpace {
    fn new(dynamic_start: u64, dynamic_end: u64) -> Self {
        VirtualSpace {
            used: [(0, 0); SPANS_MAX],
            count: 0,
            dynamic_first: dynamic_start.max(TABLE_SLOT),
            dynamic_last: dynamic_end | (PAGE - 1),
        }
    }

    fn place(&mut self, request: &Request) -> Option<u64> {
        match request.mapping {
            Mapping::FixedAddress(address) => {
                address.is_multiple_of(request.alignment).then_some(())?;
                self.reserve(address, request.length)
            }
            Mapping::Dynamic => self.choose(request.length, request.alignment),
        }
    }

    /// The lowest free place of the dynamic range.
    fn choose(&mut self, length: u64, alignment: u64) -> Option<u64> {
        let mut candidate = self.dynamic_first;
        loop {
            candidate = candidate.checked_next_multiple_of(alignment)?;
            let last = candidate.checked_add(length.max(1) - 1)?;
            if last > self.dynamic_last {
                return None;
            }
            if candidate < UPPER_HALF && last >= LOWER_HALF_END {
                candidate = UPPER_HALF;
            } else if let Some((_, used_last)) = self.overlapping(candidate, last) {
                candidate = used_last.checked_add(1)?;
            } else {
                return self.reserve(candidate, length);
            }
        }
    }

    /// Takes `length` bytes at `first`; `None` if they are not canonical or not free.
    fn reserve(&mut self, first: u64, length: u64) -> Option<u64> {
        let last = first.checked_add(length.max(1) - 1)?;
        let canonical = last < LOWER_HALF_END || first >= UPPER_HALF;
        if !canonical || self.overlapping(first, last).is_some() {
            return None;
        }
        *self.used.get_mut(self.count)? = (first, last);
        self.count += 1;
        Some(first)
    }

    fn overlapping(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        self.used[..self.count].iter().copied().find(|used| used.0 <= last && first <= used.1)
    }
}

fn bad(detail: &'static str) -> Failure {
    Failure::new(Ending::BadKernel, detail)
}
