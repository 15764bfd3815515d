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
/// Length of the file's header.
const HEADER_LENGTH: usize = 64;
/// Length of its first part, which is the same for every machine.
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
    // Before anything is parsed: the parser expects at least that much.
    let (ident, rest) =
        file.split_at_checked(IDENT_LENGTH).ok_or(truncated("it is shorter than an ELF header"))?;
    let ident = match parse_ident::<LittleEndian>(ident) {
        Err(ParseError::UnsupportedElfEndianness(_)) => {
            return Err(wrong_machine("it is big-endian"));
        }
        other => other.map_err(describe)?,
    };
    if ident.1 != Class::ELF64 {
        return Err(wrong_machine("it is a 32-bit file"));
    }
    let rest = rest
        .get(..HEADER_LENGTH - IDENT_LENGTH)
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

#[cfg(test)]
pub(crate) mod tests {
    extern crate std;

    use super::*;
    use bootloader_api::config::Mapping;
    use elf::abi::{EM_AARCH64, PF_R, PT_DYNAMIC, SHT_DYNAMIC, SHT_PROGBITS, SHT_STRTAB};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const HEADERS: usize = HEADER_LENGTH + 5 * 56;
    pub(crate) const BASE: u64 = 0xffff_ffff_8000_0000;

    /// An ELF file to spoil: code, constants and data, a page each, then a template of
    /// thread-local storage, a dynamic segment with one relocation, and the sections.
    pub(crate) struct Draft {
        pub file_type: u16,
        pub machine: u16,
        pub entry: u64,
        /// Type, flags, offset, address, length in the file, length in memory.
        pub headers: [(u32, u32, u64, u64, u64, u64); 5],
        pub relocation: (u64, u64, u64),
        pub config: BootloaderConfig,
    }

    impl Draft {
        pub(crate) fn new() -> Self {
            Draft {
                file_type: ET_EXEC,
                machine: EM_X86_64,
                entry: BASE + 0x1010,
                headers: [
                    (PT_LOAD, PF_R, 0, BASE, 0x800, 0x800),
                    (PT_LOAD, PF_R | PF_X, 0x800, BASE + 0x1000, 0x100, 0x100),
                    (PT_LOAD, PF_R | PF_W, 0x900, BASE + 0x2000, 0x100, 0x3001),
                    (PT_TLS, PF_R, 0x900, BASE + 0x2000, 8, 24),
                    (PT_DYNAMIC, PF_R, 0x300, BASE + 0x300, 48, 48),
                ],
                relocation: (BASE + 0x2008, u64::from(R_X86_64_RELATIVE), BASE + 0x1010),
                config: BootloaderConfig::new_default(),
            }
        }

        pub(crate) fn file(&self) -> Vec<u8> {
            let mut file = vec![0; 0xa00];
            file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
            put(&mut file, 16, &self.file_type.to_le_bytes());
            put(&mut file, 18, &self.machine.to_le_bytes());
            put(&mut file, 20, &1_u32.to_le_bytes());
            put(&mut file, 24, &self.entry.to_le_bytes());
            put(&mut file, 32, &(HEADER_LENGTH as u64).to_le_bytes());
            put(&mut file, 40, &0xa00_u64.to_le_bytes());
            for (field, value) in [64_u16, 56, 5, 64, 4, 3].iter().enumerate() {
                put(&mut file, 52 + 2 * field, &value.to_le_bytes());
            }
            for (index, header) in self.headers.iter().enumerate() {
                let at = HEADER_LENGTH + 56 * index;
                put(&mut file, at, &header.0.to_le_bytes());
                put(&mut file, at + 4, &header.1.to_le_bytes());
                let words = [header.2, header.3, header.3, header.4, header.5, 0x1000];
                put_words(&mut file, at + 8, &words);
            }
            const { assert!(HEADERS <= 0x200) };
            put(&mut file, 0x200, &self.config.serialize());
            let table = [DT_RELA as u64, BASE + 0x400, DT_RELASZ as u64, 24, 0, 0];
            put_words(&mut file, 0x300, &table);
            let relocation = self.relocation;
            put_words(&mut file, 0x400, &[relocation.0, relocation.1, relocation.2]);
            let names = b"\0.bootloader-config\0.dynamic\0";
            put(&mut file, 0x500, names);
            file[0x800..0xa00].fill(0xc3);
            // The sections: none, configuration, dynamic, names.
            file.extend_from_slice(&[0; 64]);
            for (name, kind, offset, length) in [
                (1_u32, SHT_PROGBITS, 0x200, BootloaderConfig::SERIALIZED_LEN as u64),
                (20, SHT_DYNAMIC, 0x300, 48),
                (0, SHT_STRTAB, 0x500, names.len() as u64),
            ] {
                let at = file.len();
                file.extend_from_slice(&[0; 64]);
                put(&mut file, at, &name.to_le_bytes());
                put(&mut file, at + 4, &kind.to_le_bytes());
                put_words(&mut file, at + 24, &[offset, length]);
                let entry_length = if kind == SHT_DYNAMIC { 16 } else { 0 };
                put_words(&mut file, at + 56, &[entry_length]);
            }
            file
        }
    }

    fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
        file[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn put_words(file: &mut [u8], at: usize, words: &[u64]) {
        for (index, word) in words.iter().enumerate() {
            put(file, at + 8 * index, &word.to_le_bytes());
        }
    }

    fn ending_of(change: impl FnOnce(&mut Draft)) -> Ending {
        let mut draft = Draft::new();
        change(&mut draft);
        KernelElf::parse(&draft.file()).err().expect("refused").ending
    }

    #[test]
    fn a_good_kernel_is_read_as_it_is() {
        let mut draft = Draft::new();
        draft.config.kernel_stack_size = 12345;
        draft.config.mappings.boot_info = Mapping::FixedAddress(0x1234_5000);
        let file = draft.file();
        let kernel = KernelElf::parse(&file).unwrap();
        assert_eq!(kernel.config, draft.config);
        assert_eq!(kernel.entry, BASE + 0x1010);
        assert_eq!(kernel.pages(), BASE..BASE + 0x6000);
        assert_eq!(kernel.relocations().count(), 0);
        let template = kernel.tls.unwrap();
        assert_eq!((template.file_size, template.mem_size), (8, 24));
        let rights: Vec<_> = kernel.segments().map(|s| (s.writable, s.executable)).collect();
        assert_eq!(rights, [(false, false), (false, true), (true, false)]);
        let data = kernel.segments().last().unwrap();
        assert_eq!((data.bytes, data.addresses.end), (&[0xc3; 0x100][..], BASE + 0x5001));
    }

    #[test]
    fn a_movable_kernel_has_its_relocations() {
        let mut draft = Draft::new();
        draft.file_type = ET_DYN;
        let file = draft.file();
        let kernel = KernelElf::parse(&file).unwrap();
        assert!(kernel.is_position_independent);
        let expected = Relocation { place: BASE + 0x2008, value: BASE + 0x1010 };
        assert!(kernel.relocations().eq([expected]));

        for (place, kind) in [
            (BASE + 0x2008, 1),                            // not relative
            (BASE + 0x2004, u64::from(R_X86_64_RELATIVE)), // not aligned
            (BASE + 0x9000, u64::from(R_X86_64_RELATIVE)), // nowhere
        ] {
            draft.relocation = (place, kind, 0);
            let failure = KernelElf::parse(&draft.file()).err().unwrap();
            assert_eq!(failure.ending, Ending::BadKernel);
        }
    }

    #[test]
    fn each_way_to_be_bad() {
        assert_eq!(ending_of(|draft| draft.machine = EM_AARCH64), Ending::WrongMachineKernel);
        assert_eq!(ending_of(|draft| draft.file_type = 1), Ending::BadKernel);
        assert_eq!(ending_of(|draft| draft.entry = BASE), Ending::BadKernel);
        assert_eq!(ending_of(|draft| draft.headers[1].1 |= PF_W), Ending::BadKernel);
        assert_eq!(ending_of(|draft| draft.headers[1].3 -= 0x900), Ending::BadKernel);
        assert_eq!(ending_of(|draft| draft.headers.swap(0, 1)), Ending::BadKernel);
        assert_eq!(ending_of(|draft| draft.headers[2].5 = u64::MAX), Ending::BadKernel);
        assert_eq!(ending_of(|draft| draft.headers[2].5 = 1), Ending::BadKernel);
        assert_eq!(ending_of(|draft| draft.headers[3].3 = 0), Ending::BadKernel);
        assert_eq!(ending_of(|draft| draft.config.mappings.aslr = true), Ending::BadKernel);
        let beyond_the_file = |draft: &mut Draft| {
            draft.headers[2].4 = 0x3000;
        };
        assert_eq!(ending_of(beyond_the_file), Ending::TruncatedKernel);
    }

    #[test]
    fn every_truncation_is_noticed() {
        let file = Draft::new().file();
        for length in 0..file.len() {
            let failure = KernelElf::parse(&file[..length]).err().expect("refused");
            assert_eq!(failure.ending, Ending::TruncatedKernel, "length {length}");
        }
    }

    proptest! {
        /// What is accepted keeps the promises; nothing panics.
        #[test]
        fn damage_never_breaks_the_invariants(
            spoiled in proptest::collection::vec((0_usize..0xb00, any::<u8>()), 1..4),
            movable: bool,
        ) {
            let mut draft = Draft::new();
            draft.file_type = if movable { ET_DYN } else { ET_EXEC };
            let mut file = draft.file();
            for (position, value) in spoiled {
                file[position] = value;
            }
            if let Ok(kernel) = KernelElf::parse(&file) {
                let mut end = 0;
                for segment in kernel.segments() {
                    prop_assert!(segment.pages().start >= end && !segment.addresses.is_empty());
                    prop_assert!(!(segment.writable && segment.executable));
                    let length = segment.addresses.end - segment.addresses.start;
                    prop_assert!(segment.bytes.len() as u64 <= length);
                    end = segment.pages().end;
                }
                for relocation in kernel.relocations() {
                    prop_assert!(kernel.pages().contains(&(relocation.place + 7)));
                }
            }
        }
    }
}
