//! Names for addresses, from an ELF file's symbol table. Reads the file piece by piece, from wherever it
//! is ([`Source`]), and allocates nothing, so the panic path may use it; a damaged file gives no names.
//!
//! A mangled Rust name is shown as the parts of its path. A full demangler recurses as deep as the name
//! says, and the name may come from a program's file: here it is read once, from front to back. The
//! host tool shows the full name (`cargo upcall decode`).

use core::fmt;
use elf::abi::{EI_NIDENT, SHT_SYMTAB, STT_FUNC};
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::ParseAt;

/// Longest name that is shown, in bytes of the mangled form.
const NAME_MAX: usize = 400;

/// The function that an address lies in.
pub struct Symbol<'a> {
    name: &'a str,
    offset: u64,
}

impl fmt::Display for Symbol<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.get(..NAME_MAX).unwrap_or(self.name);
        match name.strip_prefix("_R").or(name.strip_prefix("_ZN")) {
            Some(mangled) => write_path(mangled, f)?,
            None => f.write_str(name)?,
        }
        write!(f, "+{:#x}", self.offset)
    }
}

/// Writes the identifiers of a mangled name, in order. In both of Rust's manglings an identifier is its
/// length in decimal and its bytes. What tells namesakes apart is left out (in the new one `s`, a
/// number and `_`; in the old one a last identifier, `h` and 16 digits), and so is all that is one
/// letter.
fn write_path(mangled: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut rest = mangled;
    let mut separator = "";
    while let Some(first) = rest.bytes().next().filter(u8::is_ascii) {
        if first == b's' {
            // Without an end it is no such number; then this letter is just a letter.
            let end = rest.find('_').map_or(1, |end| end + 1);
            rest = &rest[end..];
        } else if first.is_ascii_digit() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let length = rest[..digits].parse::<usize>().unwrap_or(0);
            let behind = &rest[digits..];
            // An underscore keeps the length apart from a name that begins with a digit or one.
            let behind = behind.strip_prefix('_').unwrap_or(behind);
            let Some(name) = behind.get(..length) else { return Ok(()) };
            let is_hash = length == 17 && name.starts_with('h') && is_hexadecimal(&name[1..]);
            if length > 0 && !is_hash {
                write!(f, "{separator}{name}")?;
                separator = "::";
            }
            rest = &behind[length..];
        } else {
            rest = &rest[1..];
        }
    }
    Ok(())
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Where the bytes of an ELF file come from.
pub trait Source {
    /// Copies bytes from a place of the file on; says whether they are to be had.
    fn read(&mut self, from: u64, to: &mut [u8]) -> bool;
}

impl Source for &[u8] {
    fn read(&mut self, from: u64, to: &mut [u8]) -> bool {
        let bytes = usize::try_from(from).ok().and_then(|from| self.get(from..)?.get(..to.len()));
        bytes.map(|bytes| to.copy_from_slice(bytes)).is_some()
    }
}

/// Without a file there are no names.
impl<T: Source> Source for Option<T> {
    fn read(&mut self, from: u64, to: &mut [u8]) -> bool {
        self.as_mut().is_some_and(|source| source.read(from, to))
    }
}

/// Room for a name.
pub struct Room([u8; NAME_MAX]);

impl Room {
    /// With nothing in it.
    pub const fn new() -> Room {
        Room([0; NAME_MAX])
    }
}

/// Sizes in a 64-bit file.
const HEADER: usize = 64;
const SECTION: usize = 64;
const SYMBOL: usize = 24;
/// Symbols that are read at a time.
const AT_A_TIME: usize = 20;

type Section = elf::section::SectionHeader;

/// The function that `address` lies in, in the program with this ELF file. Its name is put into `room`.
pub fn find<'a>(source: &mut dyn Source, address: u64, room: &'a mut Room) -> Option<Symbol<'a>> {
    let mut bytes = [0; HEADER];
    source.read(0, &mut bytes).then_some(())?;
    let ident = parse_ident::<LittleEndian>(&bytes[..EI_NIDENT]).ok()?;
    let header = FileHeader::parse_tail(ident, &bytes[EI_NIDENT..]).ok()?;
    if header.class != Class::ELF64 || usize::from(header.e_shentsize) != SECTION {
        return None;
    }
    let mut section = |index: u64| -> Option<Section> {
        let mut bytes = [0; SECTION];
        let place = header.e_shoff.checked_add(index.checked_mul(SECTION as u64)?)?;
        source.read(place, &mut bytes).then_some(())?;
        Section::parse_at(LittleEndian, Class::ELF64, &mut 0, &bytes).ok()
    };
    let symbols = (0..u64::from(header.e_shnum))
        .map_while(&mut section)
        .find(|section| section.sh_type == SHT_SYMTAB)?;
    let names = section(u64::from(symbols.sh_link))?;
    let symbol = find_symbol(source, &symbols, address)?;
    let name = read_name(source, &names, symbol.st_name, room)?;
    Some(Symbol { name, offset: address - symbol.st_value })
}

fn find_symbol(
    source: &mut dyn Source,
    table: &Section,
    address: u64,
) -> Option<elf::symbol::Symbol> {
    let mut bytes = [0; AT_A_TIME * SYMBOL];
    let mut done = 0;
    while done < table.sh_size {
        let length = (table.sh_size - done).min(bytes.len() as u64) as usize;
        let bytes = &mut bytes[..length];
        source.read(table.sh_offset.checked_add(done)?, bytes).then_some(())?;
        for symbol in bytes.chunks_exact(SYMBOL) {
            let symbol =
                elf::symbol::Symbol::parse_at(LittleEndian, Class::ELF64, &mut 0, symbol).ok()?;
            let inside = address.checked_sub(symbol.st_value);
            if symbol.st_symtype() == STT_FUNC && inside.is_some_and(|it| it < symbol.st_size) {
                return Some(symbol);
            }
        }
        done += length as u64;
    }
    None
}

/// A name, as much of it as is shown.
fn read_name<'a>(
    source: &mut dyn Source,
    table: &Section,
    place: u32,
    room: &'a mut Room,
) -> Option<&'a str> {
    let rest = table.sh_size.checked_sub(u64::from(place))?;
    let name = &mut room.0[..rest.min(NAME_MAX as u64) as usize];
    source.read(table.sh_offset.checked_add(u64::from(place))?, name).then_some(())?;
    core::str::from_utf8(name.split(|&byte| byte == 0).next()?).ok()
}
