//! Puts the kernel into memory: its segments, moved and mapped with the rights that its file asks.
//!
//! Called once, by `boot`. Every segment gets frames of its own, so the file stays as it is in the
//! ramdisk, and the kernel can read its own symbols there.

use crate::address_space::{Access, AddressSpace};
use abi::ending::Ending;
use loader::PAGE;
use loader::failure::Failure;
use loader::kernel_elf::{KernelElf, Segment};

/// Loads all of `kernel`, `slide` bytes above the addresses in its file.
pub fn load(kernel: &KernelElf<'_>, slide: u64, space: &mut AddressSpace) -> Result<(), Failure> {
    for segment in kernel.segments() {
        load_segment(&segment, slide, space)?;
    }
    for relocation in kernel.relocations() {
        let place = space
            .translate(relocation.place.wrapping_add(slide))
            .ok_or(Failure::new(Ending::BadKernel, "it has a relocation outside its segments"))?;
        // SAFETY: `place` is in a frame that `load_segment` took for the kernel and that nothing
        // else refers to; `KernelElf` has checked that the word is aligned.
        unsafe { (place as *mut u64).write(relocation.value.wrapping_add(slide)) };
    }
    Ok(())
}

fn load_segment(
    segment: &Segment<'_>,
    slide: u64,
    space: &mut AddressSpace,
) -> Result<(), Failure> {
    let access = match (segment.writable, segment.executable) {
        (true, _) => Access::ReadWrite,
        (false, true) => Access::ReadExecute,
        (false, false) => Access::Read,
    };
    let pages = segment.pages();
    let skipped = segment.addresses.start - pages.start;
    for page in pages.clone().step_by(PAGE as usize) {
        let frame = space.zeroed_frames(1)?;
        space.map(page.wrapping_add(slide), frame, PAGE, access)?;
        // The part of the file that lies in this page: only the first page skips some bytes.
        let place = if page == pages.start { skipped } else { 0 };
        let from = (page - pages.start + place - skipped) as usize;
        let Some(rest) = segment.bytes.get(from..) else { continue };
        let bytes = &rest[..rest.len().min((PAGE - place) as usize)];
        let target = (frame + place) as *mut u8;
        // SAFETY: `place + bytes.len()` is at most a page, and the frame was taken a moment ago, so
        // it is neither part of the ramdisk nor used by anyone.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }
    Ok(())
}
