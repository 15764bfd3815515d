//! Where the loader itself lies in memory, as the linker script says.
//!
//! Physical and virtual addresses are the same here.

use core::ops::Range;

unsafe extern "C" {
    static image_start: u8;
    static image_end: u8;
    static handover_code: u8;
    static handover_tables: u8;
}

/// Everything from the loader's first to its last page.
pub fn range() -> Range<u64> {
    (&raw const image_start).addr() as u64..(&raw const image_end).addr() as u64
}

/// The page with the code that jumps to the kernel.
pub fn handover_code_page() -> u64 {
    (&raw const handover_code).addr() as u64
}

/// The page with the GDT.
pub fn handover_tables_page() -> u64 {
    (&raw const handover_tables).addr() as u64
}
