//! Names for addresses, from an ELF file's symbol table. Reads the file in place and allocates
//! nothing, so the panic path may use it; a damaged file gives no names.

use core::fmt;
use elf::ElfBytes;
use elf::abi::STT_FUNC;
use elf::endian::LittleEndian;

/// The function that an address lies in.
pub struct Symbol<'a> {
    name: &'a str,
    offset: u64,
}

impl fmt::Display for Symbol<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}+{:#x}", rustc_demangle::demangle(self.name), self.offset)
    }
}

/// The function that `address` lies in, in the program whose ELF file is `file`.
pub fn find(file: &[u8], address: u64) -> Option<Symbol<'_>> {
    let elf = ElfBytes::<LittleEndian>::minimal_parse(file).ok()?;
    let (symbols, names) = elf.symbol_table().ok()??;
    let symbol = symbols.iter().find(|symbol| {
        let inside = address.checked_sub(symbol.st_value);
        symbol.st_symtype() == STT_FUNC && inside.is_some_and(|inside| inside < symbol.st_size)
    })?;
    let name = names.get(symbol.st_name as usize).ok()?;
    Some(Symbol { name, offset: address - symbol.st_value })
}
