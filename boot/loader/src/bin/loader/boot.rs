//! The loader from end to end.

use crate::address_space::{Access, AddressSpace};
use crate::console;
use crate::handover::{self, BOOT_INFO_PAGES};
use crate::image;
use crate::kernel_image;
use crate::start_info::{self, StartInfo};
use abi::boot::{COMMAND_LINE_REGION, MEMORY_MIN};
use abi::ending::Ending;
use bootloader_api::info::{MemoryRegion, MemoryRegionKind, Optional, TlsTemplate};
use core::arch::x86_64::__cpuid;
use core::convert::Infallible;
use core::ops::Range;
use loader::failure::Failure;
use loader::frames::Frames;
use loader::kernel_elf::KernelElf;
use loader::memory_map::{FIRMWARE_RESERVED, MemoryMap};
use loader::physical_map::{HUGE_PAGE, PhysicalMap};
use loader::virtual_layout::{VirtualLayout, Wanted};
use loader::{PAGE, align_down, align_up};

/// What firmware may keep of the memory that the machine has, when that is compared with what the
/// system needs.
const FIRMWARE_SHARE: u64 = 1 << 20;
/// Leaf 0x80000001 of CPUID, register edx: pages of 1 GiB.
const HUGE_PAGES: u32 = 1 << 26;

/// Called by `entry`, on the loader's stack, with the address of the start information.
pub extern "sysv64" fn boot(start_info: u64) -> ! {
    let Err(failure) = try_boot(start_info);
    console::end(failure.ending, format_args!("{failure}"))
}

fn try_boot(start_info: u64) -> Result<Infallible, Failure> {
    // What there is.
    let start = StartInfo::read(start_info)?;
    let firmware_memory = MemoryMap::from_firmware(start.memory())?;
    if firmware_memory.usable_bytes() + FIRMWARE_SHARE < MEMORY_MIN {
        return Err(Failure::new(Ending::TooLittleMemory, "the machine has less than 48 MiB"));
    }
    let ramdisk = range_of(start.ramdisk);
    let image = image::range();
    if ramdisk.start < image.end && image.start < ramdisk.end {
        return Err(Failure::new(Ending::TooLittleMemory, "the ramdisk lies on the loader"));
    }
    let kernel_file = loader::ramdisk::find_kernel(start.ramdisk)?;
    let kernel = KernelElf::parse(kernel_file)?;

    // Where everything goes.
    let physical_map = PhysicalMap::new(&firmware_memory)?;
    let layout = VirtualLayout::new(&Wanted {
        kernel: &kernel,
        window_length: physical_map.end(),
        ramdisk: ramdisk.clone(),
        boot_info_length: BOOT_INFO_PAGES * PAGE,
        handover_pages: handover::pages(),
    })?;

    // The kernel's memory.
    let mut memory = firmware_memory.clone();
    reserve_low_memory(&mut memory)?;
    memory.overlay(whole_pages(&ramdisk), MemoryRegionKind::Bootloader)?;
    let mut space = AddressSpace::new(Frames::new(without_loader(&memory, &start, start_info)?))?;
    kernel_image::load(&kernel, layout.kernel_slide, &mut space)?;
    let stack_pages = layout.stack_length.div_ceil(PAGE);
    for page in 0..stack_pages {
        let frame = space.zeroed_frames(1)?;
        space.map(layout.stack_bottom + page * PAGE, frame, PAGE, Access::ReadWrite)?;
    }
    let ramdisk_pages = whole_pages(&ramdisk);
    let ramdisk_length = ramdisk_pages.end - ramdisk_pages.start;
    let ramdisk_page = align_down(layout.ramdisk, PAGE);
    space.map(ramdisk_page, ramdisk_pages.start, ramdisk_length, Access::Read)?;
    if let Some(window) = layout.window {
        let huge_pages = window.is_multiple_of(HUGE_PAGE) && has_huge_pages();
        for page in physical_map.pages(huge_pages) {
            space.map_window_page(window, page)?;
        }
    }
    if let Some(slot) = layout.recursive_slot {
        space.map_tables_recursively(slot);
    }
    let [code_page, tables_page] = handover::pages();
    space.map(code_page, code_page, PAGE, Access::ReadExecute)?;
    space.map(tables_page, tables_page, PAGE, Access::Read)?;
    let boot_info = space.zeroed_frames(BOOT_INFO_PAGES)?;
    space.map(layout.boot_info, boot_info, BOOT_INFO_PAGES * PAGE, Access::ReadWrite)?;
    let command_line = copy_command_line(start.command_line, &mut space)?;

    // From here on nothing may be taken from `space` any more: the regions say what was.
    for page in handover::pages() {
        memory.overlay(page..page + PAGE, MemoryRegionKind::Bootloader)?;
    }
    for taken in space.frames.taken() {
        memory.overlay(taken, MemoryRegionKind::Bootloader)?;
    }
    memory.insert_overlapping(MemoryRegion {
        start: command_line.start,
        end: command_line.end,
        kind: MemoryRegionKind::UnknownBios(COMMAND_LINE_REGION),
    })?;
    let kernel_file = range_of(kernel_file);
    handover::write_boot_info(boot_info, layout.boot_info, &memory, |boot_info| {
        boot_info.physical_memory_offset = layout.window.into();
        boot_info.recursive_index = layout.recursive_slot.into();
        boot_info.rsdp_addr = start.rsdp.into();
        boot_info.tls_template = Optional::from(kernel.tls.map(|template| TlsTemplate {
            start_addr: template.start_addr.wrapping_add(layout.kernel_slide),
            ..template
        }));
        boot_info.ramdisk_addr = Optional::Some(layout.ramdisk);
        boot_info.ramdisk_len = ramdisk.end - ramdisk.start;
        boot_info.kernel_addr = kernel_file.start;
        boot_info.kernel_len = kernel_file.end - kernel_file.start;
        boot_info.kernel_image_offset = layout.kernel_slide;
        boot_info.kernel_stack_bottom = layout.stack_bottom;
        boot_info.kernel_stack_len = layout.stack_length;
    });

    let stack_top = layout.stack_bottom.wrapping_add(layout.stack_length);
    let entry = kernel.entry.wrapping_add(layout.kernel_slide);
    // SAFETY: the tables map the page of `jump` at its own address, the stack with its guard page,
    // the boot information, and the kernel's segments, one of which is executable and holds the entry
    // (`KernelElf`). All of it is in frames that are reported as taken.
    unsafe { handover::jump(space.root(), stack_top, entry, layout.boot_info) }
}

/// Keeps from everyone what real-mode firmware uses although it may call it usable: the first page
/// (interrupt vectors and the BIOS data area) and the extended BIOS data area. The rest of the first
/// MiB is the kernel's, which starts its other processors there.
fn reserve_low_memory(memory: &mut MemoryMap) -> Result<(), Failure> {
    let reserved = MemoryRegionKind::UnknownBios(FIRMWARE_RESERVED);
    memory.overlay(0..PAGE, reserved)?;
    if let Some(ebda) = start_info::ebda() {
        memory.overlay(align_down(ebda.start, PAGE)..ebda.end, reserved)?;
    }
    Ok(())
}

/// `memory` without what the loader is still using: itself, and what it was given to read.
fn without_loader(
    memory: &MemoryMap,
    start: &StartInfo,
    start_info: u64,
) -> Result<MemoryMap, Failure> {
    let mut free = memory.clone();
    free.overlay(image::range(), MemoryRegionKind::Bootloader)?;
    free.overlay(whole_pages(&range_of(start.command_line)), MemoryRegionKind::Bootloader)?;
    // The rest has been read already, but a few frames more are not worth a proof.
    free.overlay(whole_pages(&(start_info..start_info + 1)), MemoryRegionKind::Bootloader)?;
    Ok(free)
}

/// The copy of the command line that the kernel reads.
fn copy_command_line(text: &[u8], space: &mut AddressSpace) -> Result<Range<u64>, Failure> {
    let frame = space.zeroed_frames(1)?;
    // SAFETY: the frame is new, and `StartInfo` refuses a text that is longer than a page.
    unsafe { core::ptr::copy_nonoverlapping(text.as_ptr(), frame as *mut u8, text.len()) };
    Ok(frame..frame + text.len() as u64)
}

/// Where something lies in physical memory: the loader runs on an identity map.
fn range_of(bytes: &[u8]) -> Range<u64> {
    let range = bytes.as_ptr_range();
    range.start.addr() as u64..range.end.addr() as u64
}

fn whole_pages(range: &Range<u64>) -> Range<u64> {
    align_down(range.start, PAGE)..align_up(range.end, PAGE)
}

fn has_huge_pages() -> bool {
    __cpuid(0x8000_0001).edx & HUGE_PAGES != 0
}
