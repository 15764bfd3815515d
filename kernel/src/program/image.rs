//! A program's ELF file: checked, then loaded into an address space.
//!
//! The file comes from outside and may hold anything. What is taken from it is bounded before it is
//! used: addresses by the user's half, offsets by the file's length. Nothing is both writable and
//! executable.

use crate::program::CannotRun;
use crate::program::address_space::AddressSpace;
use elf::ElfBytes;
use elf::abi::{EM_X86_64, ET_EXEC, PF_W, PF_X, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::segment::ProgramHeader;
use machine::x86_64::paging::Flags;
use machine::x86_64::stack::PAGE;

/// Segments lie below this; above are the stack and its guard.
const IMAGE_END: u64 = 0x7000_0000_0000;

/// What the start of a program needs to know of its image.
pub struct Image {
    /// The first instruction.
    pub entry: u64,
    /// Where the program headers are in memory, or 0 if they are in no segment.
    pub headers: u64,
    /// How many there are.
    pub header_count: u64,
}

/// The size of a program header in a 64-bit file.
pub const HEADER_SIZE: u64 = 56;

fn unsuitable<T>(why: &'static str) -> Result<T, CannotRun> {
    Err(CannotRun::Unsuitable(why))
}

/// Loads a program.
pub fn load(file: &[u8], space: &mut AddressSpace) -> Result<Image, CannotRun> {
    let elf = match ElfBytes::<LittleEndian>::minimal_parse(file) {
        Ok(elf) => elf,
        Err(elf::ParseError::BadMagic(_)) => return unsuitable("not an ELF file"),
        Err(elf::ParseError::UnsupportedElfEndianness(_)) => {
            return unsuitable("its byte order is not x86-64's");
        }
        Err(_) => return unsuitable("its ELF file is damaged or truncated"),
    };
    if elf.ehdr.class != Class::ELF64 || elf.ehdr.e_machine != EM_X86_64 {
        return unsuitable("it is for another machine");
    }
    if elf.ehdr.e_type != ET_EXEC {
        return unsuitable("it is not linked for fixed addresses");
    }
    let Some(segments) = elf.segments() else { return unsuitable("it has no segments") };
    let mut image =
        Image { entry: elf.ehdr.e_entry, headers: 0, header_count: u64::from(elf.ehdr.e_phnum) };
    let mut has_entry = false;
    for segment in segments.iter().filter(|segment| segment.p_type == PT_LOAD) {
        load_segment(file, &segment, space)?;
        let inside = image.entry.wrapping_sub(segment.p_vaddr) < segment.p_memsz;
        has_entry |= inside && segment.p_flags & PF_X != 0;
        let headers_end = elf.ehdr.e_phoff.saturating_add(image.header_count * HEADER_SIZE);
        let file_end = segment.p_offset + segment.p_filesz;
        if segment.p_offset <= elf.ehdr.e_phoff && headers_end <= file_end {
            image.headers = segment.p_vaddr + (elf.ehdr.e_phoff - segment.p_offset);
        }
    }
    if has_entry { Ok(image) } else { unsuitable("its entry is in no executable segment") }
}

fn load_segment(
    file: &[u8],
    segment: &ProgramHeader,
    space: &mut AddressSpace,
) -> Result<(), CannotRun> {
    let end = segment.p_vaddr.checked_add(segment.p_memsz);
    let Some(end) = end.filter(|&end| segment.p_vaddr >= PAGE && end <= IMAGE_END) else {
        return unsuitable("a segment lies outside user memory");
    };
    if segment.p_filesz > segment.p_memsz {
        return unsuitable("a segment has more bytes in the file than in memory");
    }
    let Some(bytes) = usize::try_from(segment.p_offset)
        .ok()
        .and_then(|start| file.get(start..)?.get(..usize::try_from(segment.p_filesz).ok()?))
    else {
        return unsuitable("its file ends before its segments do");
    };
    let mut flags = Flags::PRESENT;
    match (segment.p_flags & PF_W != 0, segment.p_flags & PF_X != 0) {
        (true, true) => return unsuitable("a segment is both writable and executable"),
        (true, false) => flags |= Flags::WRITABLE | Flags::NO_EXECUTE,
        (false, true) => {}
        (false, false) => flags |= Flags::NO_EXECUTE,
    }
    let first = segment.p_vaddr & !(PAGE - 1);
    for address in (first..end).step_by(PAGE as usize) {
        space.add_page(address, flags, |page| {
            // The part of the file's bytes that lies in this page.
            let skipped = address.saturating_sub(segment.p_vaddr) as usize;
            let margin = segment.p_vaddr.saturating_sub(address) as usize;
            let part = bytes.get(skipped..).unwrap_or_default();
            let length = part.len().min(page.len() - margin);
            page[margin..margin + length].copy_from_slice(&part[..length]);
        })?;
    }
    Ok(())
}
