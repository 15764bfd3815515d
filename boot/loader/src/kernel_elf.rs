//! The kernel's ELF file: parsed, and checked so far that loading it cannot go wrong.
//!
//! Invariants of a [`KernelElf`]: its segments lie in the file, are sorted, and share no page; none
//! is both writable and executable; its entry is in an executable one; every relocation is relative
//! and fits into a segment. Addresses are those of the file: a position-independent kernel is moved
//! by the slide that [`crate::virtual_layout`] chooses.

use crate::failure::Failure;
use crate::{PAGE, align_down, align_up};
use abi::ending::Ending;
use bootloader_api::BootloaderConfig;
use bootloader_api::info::TlsTemplate;
use core::ops::Range;
use elf::ElfBytes;
use elf::abi::{
    DT_JMPREL, DT_REL, DT_RELA, DT_RELASZ, EM_X86_64, ET_DYN, ET_EXEC, PF_W, PF_X, PT_LOAD, PT_TLS,
    R_X86_64_RELATIVE,
};
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::ParseError;

/// Section in which `bootloader_api::entry_point!` leaves the configuration.
const CONFIG_SECTION: &str = ".bootloader-config";
/// Length of the file's header, of which the first 16 bytes are the same for every machine.
const HEADER_LENGTH: usize = 64;
const IDENT_LENGTH: usize = 16;
/// Table of relative relocations in packed form, a tag that crate `elf` does not name.
const DT_RELR: i64 = 36;
/// Length of one relocation with addend: place, kind, addend.
const RELOCATION_LENGTH: usize = 24;

/// A kernel that can be loaded.
pub struct KernelElf<'a> {
    elf: ElfBytes<'a, LittleEndian>,
    file: &'a [u8],
    relocations: &'a [u8],
    /// What the kernel asks of its loader.
    pub config: BootloaderConfig,
    /// Address of its first instruction.
    pub entry: u64,
    /// What each thread's local storage starts as.
    pub tls: Option<TlsTemplate>,
    /// Whether it may be moved.
    pub is_position_independent: bool,
}

/// A piece of the kernel's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Addresses, from the first byte to behind the last.
    pub addresses: Range<u64>,
    /// What is at the start; the rest is zero.
    pub bytes: &'a [u8],
    /// Whether the kernel writes to it.
    pub writable: bool,
    /// Whether the kernel runs it.
    pub executable: bool,
}

impl Segment<'_> {
    /// The pages that the segment lies in.
    pub fn pages(&self) -> Range<u64> {
        align_down(self.addresses.start, PAGE)..align_up(self.addresses.end, PAGE)
    }
}

/// One address inside the kernel that depends on where the kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Where it is.
    pub place: u64,
    /// What it is, before the slide is added.
    pub value: u64,
}

impl<'a> KernelElf<'a> {
    /// Checks `file`.
    pub fn parse(file: &'a [u8]) -> Result<Self, Failure> {
        let file_type = check_header(file)?;
        let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(describe)?;
        let config = read_config(&elf)?;
        if config.mappings.aslr {
            return Err(bad("it asks for random addresses (aslr), which this loader does not do"));
        }
        let mut kernel = KernelElf {
            entry: elf.ehdr.e_entry,
            elf,
            file,
            relocations: &[],
            config,
            tls: None,
            is_position_independent: file_type == ET_DYN,
        };
        kernel.check_segments()?;
        kernel.tls = kernel.read_tls()?;
        kernel.relocations = kernel.read_relocations()?;
        Ok(kernel)
    }

    /// The pieces to load, by ascending address.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'a>> {
        let headers = self.elf.segments().into_iter().flatten();
        let loaded = headers.filter(|header| header.p_type == PT_LOAD && header.p_memsz != 0);
        let file = self.file;
        loaded.map(move |header| Segment {
            addresses: header.p_vaddr..header.p_vaddr.saturating_add(header.p_memsz),
            // `check_segments` has seen that the bytes exist.
            bytes: file_bytes(file, header.p_offset, header.p_filesz).unwrap_or_default(),
            writable: header.p_flags & PF_W != 0,
            executable: header.p_flags & PF_X != 0,
        })
    }

    /// Pages from the first to the last segment, with the gaps between.
    pub fn pages(&self) -> Range<u64> {
        let start = self.segments().next().map_or(0, |segment| segment.pages().start);
        let end = self.segments().last().map_or(start, |segment| segment.pages().end);
        start..end
    }

    /// The addresses to adjust once the segments are loaded.
    pub fn relocations(&self) -> impl Iterator<Item = Relocation> {
        let (entries, _) = self.relocations.as_chunks::<RELOCATION_LENGTH>();
        entries.iter().map(|entry| Relocation { place: word(entry, 0), value: word(entry, 16) })
    }

    fn check_segments(&self) -> Result<(), Failure> {
        let headers = self.elf.segments().into_iter().flatten();
        for header in headers.filter(|header| header.p_type == PT_LOAD) {
            if file_bytes(self.file, header.p_offset, header.p_filesz).is_none() {
                return Err(Failure::new(
                    Ending::TruncatedKernel,
                    "the file ends before a segment of it does",
                ));
            }
            if header.p_filesz > header.p_memsz {
                return Err(bad("a segment has more bytes in the file than in memory"));
            }
            let end = header.p_vaddr.checked_add(header.p_memsz);
            if end.is_none_or(|end| end > u64::MAX - PAGE) {
                return Err(bad("a segment reaches past the last address"));
            }
        }
        let mut previous_end = 0;
        let mut entry_is_code = false;
        for segment in self.segments() {
            if segment.writable && segment.executable {
                return Err(bad("a segment is both writable and executable"));
            }
            if segment.pages().start < previous_end {
                return Err(bad("segments share a page, overlap or are not sorted"));
            }
            previous_end = segment.pages().end;
            entry_is_code |= segment.executable && segment.addresses.contains(&self.entry);
        }
        if entry_is_code { Ok(()) } else { Err(bad("its entry is not in an executable segment")) }
    }

    fn read_tls(&self) -> Result<Option<TlsTemplate>, Failure> {
        let headers = self.elf.segments().into_iter().flatten();
        let mut templates = headers.filter(|header| header.p_type == PT_TLS);
        let Some(header) = templates.next() else { return Ok(None) };
        if templates.next().is_some() {
            return Err(bad("it has more than one template of thread-local storage"));
        }
        if header.p_filesz > header.p_memsz
            || self.memory_bytes(header.p_vaddr, header.p_filesz).is_none()
        {
            return Err(bad("its template of thread-local storage is not in a segment"));
        }
        Ok(Some(TlsTemplate {
            start_addr: header.p_vaddr,
            file_size: header.p_filesz,
            mem_size: header.p_memsz,
        }))
    }

    /// The table of relocations, checked; empty for a kernel with a fixed address.
    fn read_relocations(&self) -> Result<&'a [u8], Failure> {
        if !self.is_position_independent {
            return Ok(&[]);
        }
        let dynamic = self.elf.dynamic().map_err(describe)?;
        let (mut address, mut length) = (0, 0);
        for entry in dynamic.into_iter().flatten() {
            match entry.d_tag {
                DT_RELA => address = entry.d_ptr(),
                DT_RELASZ => length = entry.d_val(),
                DT_REL | DT_RELR | DT_JMPREL => {
                    return Err(bad("it has relocations that this loader cannot apply"));
                }
                _ => {}
            }
        }
        if length == 0 {
            return Ok(&[]);
        }
        let table = self
            .memory_bytes(address, length)
            .ok_or(bad("its table of relocations is not in a segment"))?;
        let (entries, rest) = table.as_chunks::<RELOCATION_LENGTH>();
        if !rest.is_empty() {
            return Err(bad("its table of relocations has an odd length"));
        }
        for entry in entries {
            let (place, kind) = (word(entry, 0), word(entry, 8));
            // An aligned word never crosses from one page into the next.
            let fits = self.segments().any(|segment| segment.addresses.contains(&place))
                && place.is_multiple_of(8);
            if kind != u64::from(R_X86_64_RELATIVE) || !fits {
                return Err(bad("it has relocations that this loader cannot apply"));
            }
        }
        Ok(table)
    }

    /// What the file has for `length` bytes of the kernel's memory at `address`.
    fn memory_bytes(&self, address: u64, length: u64) -> Option<&'a [u8]> {
        self.segments().find_map(|segment| {
            let offset = address.checked_sub(segment.addresses.start)?;
            file_bytes(segment.bytes, offset, length)
        })
    }
}

/// Refuses files that are not for this machine before anything in them is believed; the file's type.
fn check_header(file: &[u8]) -> Result<u16, Failure> {
    let wrong_machine = |detail: &'static str| Failure::new(Ending::WrongMachineKernel, detail);
    let ident = match parse_ident::<LittleEndian>(file.get(..IDENT_LENGTH).unwrap_or(file)) {
        Err(ParseError::UnsupportedElfEndianness(_)) => {
            return Err(wrong_machine("it is big-endian"));
        }
        other if file.len() >= IDENT_LENGTH => other.map_err(describe)?,
        _ => return Err(truncated("it is shorter than an ELF header")),
    };
    if ident.1 != Class::ELF64 {
        return Err(wrong_machine("it is a 32-bit file"));
    }
    let rest = file
        .get(IDENT_LENGTH..HEADER_LENGTH)
        .ok_or(truncated("it is shorter than an ELF header"))?;
    let header = FileHeader::parse_tail(ident, rest).map_err(describe)?;
    if header.e_machine != EM_X86_64 {
        return Err(wrong_machine("it is for another processor than x86_64"));
    }
    if header.e_type != ET_EXEC && header.e_type != ET_DYN {
        return Err(bad("it is not an executable"));
    }
    Ok(header.e_type)
}

fn read_config(elf: &ElfBytes<'_, LittleEndian>) -> Result<BootloaderConfig, Failure> {
    let section = elf.section_header_by_name(CONFIG_SECTION).map_err(describe)?.ok_or(bad(
        "it has no section .bootloader-config (bootloader_api::entry_point! makes it)",
    ))?;
    let (bytes, _) = elf.section_data(&section).map_err(describe)?;
    BootloaderConfig::deserialize(bytes)
        .map_err(|_| bad("its .bootloader-config is not one of bootloader_api 0.11.17"))
}

fn file_bytes(file: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    file.get(start..end)
}

fn word(bytes: &[u8; RELOCATION_LENGTH], offset: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[offset..offset + 8]);
    u64::from_le_bytes(word)
}

const fn bad(detail: &'static str) -> Failure {
    Failure::new(Ending::BadKernel, detail)
}

const fn truncated(detail: &'static str) -> Failure {
    Failure::new(Ending::TruncatedKernel, detail)
}

/// Every error of the parser is one of three things.
fn describe(error: ParseError) -> Failure {
    match error {
        ParseError::BadMagic(_) => bad("it is not an ELF file"),
        ParseError::SliceReadError(_)
        | ParseError::BadOffset(_)
        | ParseError::TryFromSliceError(_)
        | ParseError::IntegerOverflow => truncated("the file ends before its tables do"),
        _ => bad("its ELF tables make no sense"),
    }
}
