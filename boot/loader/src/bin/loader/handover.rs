//! The end of the loader: boot information in the kernel's hands, and the jump.
//!
//! **What the kernel finds.** Long mode; CR0.PG, WP and PE, CR4.PAE, EFER.LME and NXE set and nothing
//! else; interrupts off; no interrupt table; `rdi` the boot information; a stack as after a call,
//! with a zero for the return address. The GDT is the loader's, with 64-bit code at 0x08 and data at
//! 0x10.
//!
//! **The lower half.** It holds two pages at their physical addresses: the one with [`jump`], which
//! runs while the page tables change under it, and the one with the GDT. The kernel drops both, as
//! soon as it has a GDT of its own, by clearing the lower half of its top-level table. Their frames
//! are reported as `Bootloader`; the rest of the loader is reported as usable.

use crate::image;
use bootloader_api::BootInfo;
use bootloader_api::info::{MemoryRegion, MemoryRegions};
use core::arch::naked_asm;
use loader::PAGE;
use loader::memory_map::{CAPACITY, MemoryMap};

/// Pages of the boot information: the structure, then the memory regions.
pub const BOOT_INFO_PAGES: u64 =
    ((REGIONS_OFFSET + CAPACITY * size_of::<MemoryRegion>()) as u64).div_ceil(PAGE);

const REGIONS_OFFSET: usize = size_of::<BootInfo>().next_multiple_of(align_of::<MemoryRegion>());

/// The pages that are mapped at their physical addresses.
pub fn pages() -> [u64; 2] {
    [image::handover_code_page(), image::handover_tables_page()]
}

/// Writes the boot information to `physical`; the kernel will see it at `virtual_address`. `fill`
/// sets every field but the memory regions.
pub fn write_boot_info(
    physical: u64,
    virtual_address: u64,
    regions: &MemoryMap,
    fill: impl FnOnce(&mut BootInfo),
) {
    let target = (physical + REGIONS_OFFSET as u64) as *mut MemoryRegion;
    // SAFETY: `boot` took `BOOT_INFO_PAGES` frames at `physical` for this and nothing else; they hold
    // `CAPACITY` regions behind the structure, and a map has no more.
    unsafe { core::ptr::copy_nonoverlapping(regions.as_ptr(), target, regions.len()) };
    let seen_by_kernel = (virtual_address + REGIONS_OFFSET as u64) as *mut MemoryRegion;
    let seen_by_kernel = core::ptr::slice_from_raw_parts_mut(seen_by_kernel, regions.len());
    // SAFETY: not a slice to look at here: the address is valid in the kernel's tables only, and is
    // taken apart again at once. There it refers to the regions written above, for ever.
    let slice: &'static mut [MemoryRegion] = unsafe { &mut *seen_by_kernel };
    let mut boot_info = BootInfo::new(MemoryRegions::from(slice));
    fill(&mut boot_info);
    // SAFETY: the frames at `physical` begin with room for the structure, aligned to a page.
    unsafe { (physical as *mut BootInfo).write(boot_info) };
}

/// Puts the page tables at `root` into force and enters the kernel.
///
/// # Safety
///
/// `root` must map the page of this function at its own address, and `stack_top`, `entry` and
/// `boot_info` to what the kernel expects there. Nothing of the loader is used afterwards.
#[unsafe(naked)]
#[unsafe(link_section = ".handover.code")]
pub unsafe extern "sysv64" fn jump(root: u64, stack_top: u64, entry: u64, boot_info: u64) -> ! {
    naked_asm!(
        "mov cr3, rdi",
        "mov rsp, rsi",
        "and rsp, -16",
        // The return address of the kernel's outermost function: a chain of frames ends here, and
        // the stack is aligned as after a call.
        "push 0",
        "xor ebp, ebp",
        "mov rdi, rcx",
        "jmp rdx",
    )
}
