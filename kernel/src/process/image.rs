//! A program's ELF file: checked, then mapped into an address space.
//!
//! The file comes from outside and may hold anything. What is taken from it is bounded before it is
//! used: addresses by the user's half, offsets by the file's length. Nothing is both writable and
//! executable.
//!
//! Segments are mapped, not read: their pages come from the file when they are touched, and those that are written are
//! copied. Behind the file's part of a segment lie zeros: anonymous memory, and the rest of the last page, which is
//! cleared at once.

use crate::process::CannotRun;
use elf::abi::{EI_NIDENT, EM_X86_64, ET_EXEC, PF_W, PF_X, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::segment::{ProgramHeader, SegmentTable};
use machine::MayFault;
use machine::pmap::Rights;
use machine::x86_64::user_copy;
use vm::entry::Inheritance;
use vm::map::{MapError, Place, Request};
use vm::{ObjectRef, PAGE_SHIFT, PAGE_SIZE, Space, shadow};

/// Segments lie below this; above are the stack and its guard.
const IMAGE_END: u64 = 0x7000_0000_0000;
/// Most segments of a program.
const SEGMENTS_MAX: usize = 16;

/// A program's file as far as it has been checked.
pub struct Image {
    /// The first instruction.
    pub entry: u64,
    /// Where the program headers are in memory, or 0 if they are in no segment.
    pub headers: u64,
    /// How many there are.
    pub header_count: u64,
    segments: [Option<Segment>; SEGMENTS_MAX],
}

/// A part of the file that is mapped.
#[derive(Clone, Copy)]
struct Segment {
    /// Its first byte, in memory and in the file: the same within a page.
    address: u64,
    offset: u64,
    /// Bytes in the file, and in memory.
    file_size: u64,
    size: u64,
    rights: Rights,
}

/// The size of a program header in a 64-bit file.
pub const HEADER_SIZE: u64 = 56;

fn unsuitable<T>(why: &'static str) -> Result<T, CannotRun> {
    Err(CannotRun::Unsuitable(why))
}

/// How much of a file [`check`] has to see: all that comes before its headers' end must be in it.
pub const HEAD: u64 = PAGE_SIZE;

/// Checks a program's file, of which this is the beginning, and `length` bytes are all.
pub fn check(head: &[u8], length: u64) -> Result<Image, CannotRun> {
    let truncated = "its ELF file is damaged or truncated";
    if head.len() < EI_NIDENT {
        return unsuitable(truncated);
    }
    let ident = match parse_ident::<LittleEndian>(&head[..EI_NIDENT]) {
        Ok(ident) => ident,
        Err(elf::ParseError::BadMagic(_)) => return unsuitable("not an ELF file"),
        Err(elf::ParseError::UnsupportedElfEndianness(_)) => {
            return unsuitable("its byte order is not x86-64's");
        }
        Err(_) => return unsuitable(truncated),
    };
    let Ok(header) = FileHeader::parse_tail(ident, &head[EI_NIDENT..]) else {
        return unsuitable(truncated);
    };
    if header.class != Class::ELF64 || header.e_machine != EM_X86_64 {
        return unsuitable("it is for another machine");
    }
    if header.e_type != ET_EXEC {
        return unsuitable("it is not linked for fixed addresses");
    }
    let segments = segments(head, &header)?;
    let mut image = Image {
        entry: header.e_entry,
        headers: 0,
        header_count: u64::from(header.e_phnum),
        segments: [None; SEGMENTS_MAX],
    };
    let mut has_entry = false;
    let mut places = image.segments.iter_mut();
    for segment in segments.iter().filter(|segment| segment.p_type == PT_LOAD) {
        let Some(place) = places.next() else { return unsuitable("it has too many segments") };
        *place = Some(check_segment(length, &segment)?);
        let inside = image.entry.wrapping_sub(segment.p_vaddr) < segment.p_memsz;
        has_entry |= inside && segment.p_flags & PF_X != 0;
        let headers_end = header.e_phoff.saturating_add(image.header_count * HEADER_SIZE);
        let file_end = segment.p_offset + segment.p_filesz;
        if segment.p_offset <= header.e_phoff && headers_end <= file_end {
            image.headers = segment.p_vaddr + (header.e_phoff - segment.p_offset);
        }
    }
    if has_entry { Ok(image) } else { unsuitable("its entry is in no executable segment") }
}

/// The program headers.
fn segments<'a>(
    head: &'a [u8],
    header: &FileHeader<LittleEndian>,
) -> Result<SegmentTable<'a, LittleEndian>, CannotRun> {
    if header.e_phnum == 0 || u64::from(header.e_phentsize) != HEADER_SIZE {
        return unsuitable("it has no segments");
    }
    let length = usize::from(header.e_phnum) * HEADER_SIZE as usize;
    let place = usize::try_from(header.e_phoff).ok();
    let bytes = place.and_then(|place| head.get(place..)?.get(..length));
    let Some(bytes) = bytes else {
        return unsuitable("its program headers do not lie in the first page of its file");
    };
    Ok(SegmentTable::new(LittleEndian, Class::ELF64, bytes))
}

fn check_segment(length: u64, segment: &ProgramHeader) -> Result<Segment, CannotRun> {
    let end = segment.p_vaddr.checked_add(segment.p_memsz);
    let is_inside =
        segment.p_vaddr >= vm::space::USER_START && end.is_some_and(|end| end <= IMAGE_END);
    if !is_inside {
        return unsuitable("a segment lies outside user memory");
    }
    if segment.p_filesz > segment.p_memsz {
        return unsuitable("a segment has more bytes in the file than in memory");
    }
    let file_end = segment.p_offset.checked_add(segment.p_filesz);
    if file_end.is_none_or(|end| end > length) {
        return unsuitable("its file ends before its segments do");
    }
    if segment.p_offset % PAGE_SIZE != segment.p_vaddr % PAGE_SIZE {
        return unsuitable("a segment lies differently in the pages of its file and of memory");
    }
    let rights = match (segment.p_flags & PF_W != 0, segment.p_flags & PF_X != 0) {
        (true, true) => return unsuitable("a segment is both writable and executable"),
        (true, false) => Rights::READ | Rights::WRITE,
        (false, true) => Rights::READ | Rights::EXECUTE,
        (false, false) => Rights::READ,
    };
    // The last page of the file's part is cleared behind it, in memory.
    let has_rest =
        segment.p_memsz > segment.p_filesz && !segment.p_filesz.is_multiple_of(PAGE_SIZE);
    if has_rest && !rights.contains(Rights::WRITE) {
        return unsuitable("a segment that cannot be written has bytes that its file has not");
    }
    Ok(Segment {
        address: segment.p_vaddr,
        offset: segment.p_offset,
        file_size: segment.p_filesz,
        size: segment.p_memsz,
        rights,
    })
}

impl Image {
    /// Where in the file the byte of an address is.
    pub fn place_in_file(&self, address: u64) -> Option<u64> {
        let segment = self.segments.iter().flatten().find(|segment| {
            (segment.address..segment.address + segment.file_size).contains(&address)
        })?;
        Some(segment.offset + (address - segment.address))
    }

    /// The first page behind all segments: where the heap begins.
    pub fn end(&self) -> u64 {
        let ends = self.segments.iter().flatten().map(|segment| segment.address + segment.size);
        ends.max().unwrap_or(0).next_multiple_of(PAGE_SIZE)
    }

    /// Maps the segments into the running process's address space, from the file's object.
    pub fn map(
        &self,
        space: &Space,
        file: &ObjectRef,
        may_fault: &mut MayFault,
    ) -> Result<(), CannotRun> {
        for segment in self.segments.iter().flatten().filter(|segment| segment.size != 0) {
            segment.map(space, file, may_fault).map_err(|error| match error {
                MapError::Taken => CannotRun::Unsuitable("two segments share a page"),
                _ => CannotRun::OutOfMemory,
            })?;
            segment.clear_rest(may_fault)?;
        }
        Ok(())
    }
}

fn request(range: core::ops::Range<u64>, rights: Rights) -> Request {
    Request {
        address: range.start,
        length: range.end - range.start,
        place: Place::FixedIfFree,
        rights,
        rights_max: Rights::READ | Rights::WRITE | Rights::EXECUTE,
        inheritance: Inheritance::Copy,
        shared: false,
        stacks: None,
    }
}

impl Segment {
    /// The addresses of the pages that come from the file, and of those behind them.
    fn map(
        &self,
        space: &Space,
        file: &ObjectRef,
        may_fault: &mut MayFault,
    ) -> Result<(), MapError> {
        let start = self.address & !(PAGE_SIZE - 1);
        let end = (self.address + self.size).next_multiple_of(PAGE_SIZE);
        let file_end = match self.file_size {
            0 => start,
            size => (self.address + size).next_multiple_of(PAGE_SIZE),
        };
        if start < file_end {
            let object = shadow::another(file, may_fault);
            let offset = self.offset >> PAGE_SHIFT;
            space.insert(
                &request(start..file_end, self.rights),
                Some((object, offset)),
                may_fault,
            )?;
        }
        if file_end < end {
            space.insert(&request(file_end..end, self.rights), None, may_fault)?;
        }
        Ok(())
    }

    /// Clears what lies behind the file's part in its last page.
    fn clear_rest(&self, may_fault: &mut MayFault) -> Result<(), CannotRun> {
        if self.size == self.file_size || self.file_size == 0 {
            return Ok(());
        }
        let start = self.address + self.file_size;
        let length = (start.next_multiple_of(PAGE_SIZE) - start) as usize;
        let zeros = [0; 256];
        for from in (0..length).step_by(zeros.len()) {
            let part = &zeros[..zeros.len().min(length - from)];
            user_copy::copy_out(start + from as u64, part, may_fault)
                .map_err(|_| CannotRun::Device)?;
        }
        Ok(())
    }
}
