//! Names for addresses, from an ELF file's symbol table. Reads the file in place and allocates
//! nothing, so the panic path may use it; a damaged file gives no names.
//!
//! A mangled Rust name is shown as the parts of its path. A full demangler recurses as deep as the name
//! says, and the name may come from a program's file: here it is read once, from front to back. The
//! host tool shows the full name (`cargo upcall decode`).

use core::fmt;
use elf::ElfBytes;
use elf::abi::STT_FUNC;
use elf::endian::LittleEndian;

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
