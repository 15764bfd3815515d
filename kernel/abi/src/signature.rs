//! The calls' signatures as data: for each call of the table its name, and name and class of each argument; and how a
//! call is written for a person: `write(fd=1, buffer=0x7ffe01e8, length=12)`, ` = 12`, ` = ENOENT (no such file)`.
//!
//! Made from the table in [`calls`](crate::calls), for whoever shows calls: `truss`, and the host's trace.

use crate::errno::{self, Errno};
use core::fmt::{self, Write};

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A number.
    Number,
    /// A number that may be negative.
    Signed,
    /// Bits, or something else that is read in hexadecimal.
    Bits,
    /// An address of no class of its own.
    Address,
    /// Where a text lies that a null byte ends.
    String,
    /// Where bytes lie that the call reads; their number is the next argument.
    Bytes,
    /// Where the call writes bytes.
    Buffer,
    /// Where an array of addresses of strings lies, which null ends.
    Strings,
    /// Where a structure lies that the call reads, or writes.
    Structure,
    /// A file descriptor.
    Descriptor,
}

/// An argument of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub class: Class,
    /// Only the register's lower half counts.
    pub is_short: bool,
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Its number.
    pub number: u64,
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: &'static [Argument],
    /// Its flags in the table.
    pub flags: u32,
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

const fn is_one_of(name: &str, names: &[&str]) -> bool {
    let mut index = 0;
    while index < names.len() {
        if same(name, names[index]) {
            return true;
        }
        index += 1;
    }
    false
}

const fn argument(name: &'static str, kind: &str) -> Argument {
    let short = is_one_of(kind, &["i32", "u32"]);
    let is_pointer = kind.as_bytes()[0] == b'*';
    let class = if same(kind, "*const *const u8") {
        Class::Strings
    } else if same(kind, "*const u8") && is_one_of(name, &["path", "from", "to"]) {
        Class::String
    } else if same(kind, "*const u8") && is_one_of(name, &["buffer", "line", "name"]) {
        Class::Bytes
    } else if same(kind, "*mut u8") && same(name, "buffer") {
        Class::Buffer
    } else if is_pointer {
        Class::Structure
    } else if same(kind, "i32")
        && is_one_of(name, &["fd", "to", "folder", "from_folder", "to_folder"])
    {
        Class::Descriptor
    } else if is_one_of(name, &["address", "end", "entry", "stack", "private"]) {
        Class::Address
    } else if is_one_of(name, &["flags", "protection", "request", "what", "mode", "mask", "groups"])
    {
        Class::Bits
    } else if is_one_of(kind, &["i32", "i64"]) {
        Class::Signed
    } else {
        Class::Number
    };
    Argument { name, class, is_short: short }
}

macro_rules! signatures {
    ($($number:literal $name:ident($($argument:ident: $type:ty),*)
        $flag:tt $(:: $rest:ident)* $text:literal;)*) => {
        /// Every call, in order of number.
        pub const ALL: &[Signature] = &[$(Signature {
            number: $number,
            name: stringify!($name),
            arguments: &[$(argument(stringify!($argument), stringify!($type))),*],
            flags: $flag $(:: $rest)*,
        }),*];
    };
}
crate::system_calls!(signatures);

/// The call with this number, if there is one.
pub fn of(number: u64) -> Option<&'static Signature> {
    let place = ALL.binary_search_by_key(&number, |signature| signature.number).ok()?;
    Some(&ALL[place])
}

/// The call with this name.
pub fn named(name: &str) -> Option<&'static Signature> {
    ALL.iter().find(|signature| signature.name == name)
}

/// How many registers a call's arguments take; all, if there is no such call.
pub fn count_of(number: u64) -> usize {
    of(number).map_or(6, |signature| signature.arguments.len())
}

/// Says what lies behind an argument of a call, if it can: all arguments of the call, and which of them.
pub type Contents<'a> =
    &'a mut dyn FnMut(&mut dyn Write, &Signature, &[u64], usize) -> Option<fmt::Result>;

/// Writes a call with its arguments; `contents` may write what lies behind an address instead of it. Arguments that are
/// not there are left out.
pub fn write_call(
    to: &mut dyn Write,
    number: u64,
    arguments: &[u64],
    contents: Contents<'_>,
) -> fmt::Result {
    let Some(signature) = of(number) else {
        write!(to, "call {number:#x}(")?;
        for (index, value) in arguments.iter().enumerate() {
            write!(to, "{}{value:#x}", if index > 0 { ", " } else { "" })?;
        }
        return to.write_char(')');
    };
    write!(to, "{}(", signature.name)?;
    for (index, (argument, value)) in signature.arguments.iter().zip(arguments).enumerate() {
        write!(to, "{}{}=", if index > 0 { ", " } else { "" }, argument.name)?;
        match contents(to, signature, arguments, index) {
            Some(written) => written?,
            None => write_argument(to, argument, *value)?,
        }
    }
    to.write_char(')')
}

/// Writes an argument's value.
pub fn write_argument(to: &mut dyn Write, argument: &Argument, value: u64) -> fmt::Result {
    const WORKING_FOLDER: i32 = -100;
    match argument.class {
        Class::Descriptor if value as i32 == WORKING_FOLDER => to.write_str("working folder"),
        Class::Descriptor => write!(to, "{}", value as i32),
        Class::Signed if argument.is_short => write!(to, "{}", value as i32),
        Class::Signed => write!(to, "{}", value as i64),
        Class::Number if argument.is_short => write!(to, "{}", value as u32),
        Class::Number => write!(to, "{value}"),
        Class::Bits if argument.is_short => write!(to, "{:#x}", value as u32),
        _ if value == 0 && argument.class != Class::Bits => to.write_str("null"),
        _ => write!(to, "{value:#x}"),
    }
}

/// The error in a call's result, if it is one.
pub fn error(result: u64) -> Option<u16> {
    let error = result.wrapping_neg();
    (error.wrapping_sub(1) < u64::from(errno::MAX)).then_some(error as u16)
}

/// Writes a call's result.
pub fn write_result(to: &mut dyn Write, number: u64, result: u64) -> fmt::Result {
    /// Calls that return addresses.
    const ADDRESSES: [&str; 3] = ["mmap", "brk", "stacks"];
    if let Some(error) = error(result) {
        return match Errno::from_number(error) {
            Some(error) => write!(to, " = {} ({})", error.name(), error.text()),
            None => write!(to, " = error {error}"),
        };
    }
    if of(number).is_some_and(|signature| ADDRESSES.contains(&signature.name)) {
        write!(to, " = {result:#x}")
    } else {
        write!(to, " = {}", result as i64)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::{ALL, Class, count_of, error, named, of, write_call, write_result};
    use std::string::String;

    fn shown(number: u64, arguments: &[u64], result: u64) -> String {
        let mut text = String::new();
        write_call(&mut text, number, arguments, &mut |_, _, _, _| None).unwrap();
        write_result(&mut text, number, result).unwrap();
        text
    }

    fn number(name: &str) -> u64 {
        named(name).unwrap().number
    }

    #[test]
    fn every_call_is_found_by_number_and_by_name() {
        for signature in ALL {
            assert_eq!(of(signature.number), Some(signature));
            assert_eq!(named(signature.name), Some(signature));
            assert!(signature.arguments.len() <= 6, "{}", signature.name);
        }
        assert!(ALL.is_sorted_by(|one, next| one.number < next.number));
        assert_eq!((of(0x7777), count_of(0x7777), count_of(1)), (None, 6, 3));
    }

    #[test]
    fn pointers_are_no_numbers() {
        for signature in ALL {
            for argument in signature.arguments {
                let is_address = !matches!(
                    argument.class,
                    Class::Number | Class::Signed | Class::Bits | Class::Descriptor
                );
                assert!(!is_address || !argument.is_short, "{} {argument:?}", signature.name);
            }
        }
        let classes = |name| named(name).unwrap().arguments.iter().map(|one| one.class);
        assert!(classes("write").eq([Class::Descriptor, Class::Bytes, Class::Number]));
        assert!(classes("open").eq([Class::String, Class::Bits, Class::Bits]));
        assert!(classes("execve").eq([Class::String, Class::Strings, Class::Strings]));
        assert!(classes("read").eq([Class::Descriptor, Class::Buffer, Class::Number]));
        assert!(classes("nanosleep").eq([Class::Structure, Class::Structure]));
    }

    #[test]
    fn calls_are_written_as_a_person_reads_them() {
        assert_eq!(
            shown(1, &[1, 0x4000, 12, 0, 0, 0], 12),
            "write(fd=1, buffer=0x4000, length=12) = 12"
        );
        // What is left in the upper half does not count.
        let close = shown(number("close"), &[0xffff_ffff_0000_0003], (-9_i64).cast_unsigned());
        assert_eq!(close, "close(fd=3) = EBADF (bad file descriptor)");
        let mapped = shown(number("mmap"), &[0, 4096, 3, 0x22, u64::MAX, 0], 0x7000);
        assert_eq!(
            mapped,
            "mmap(address=null, length=4096, protection=0x3, flags=0x22, fd=-1, offset=0) = 0x7000"
        );
        assert_eq!(
            shown(0x7777, &[1, 255], u64::MAX - 37),
            "call 0x7777(0x1, 0xff) = ENOSYS (no such system call)"
        );
        assert_eq!(shown(39, &[], 7), "getpid() = 7");
        assert_eq!(shown(1, &[1], 0), "write(fd=1) = 0");
        let from = shown(number("openat"), &[(-100_i64).cast_unsigned(), 0, 0, 0o644], 3);
        assert_eq!(from, "openat(folder=working folder, path=null, flags=0x0, mode=0x1a4) = 3");
    }

    #[test]
    fn contents_take_the_place_of_addresses() {
        let mut text = String::new();
        write_call(&mut text, 2, &[0x4000, 0, 0], &mut |to, signature, arguments, index| {
            let is_path = signature.arguments[index].class == Class::String;
            is_path.then(|| write!(to, "\"at {:#x}\"", arguments[index]))
        })
        .unwrap();
        assert_eq!(text, "open(path=\"at 0x4000\", flags=0x0, mode=0x0)");
    }

    #[test]
    fn errors_are_the_last_numbers() {
        assert_eq!(error(0), None);
        assert_eq!(error(u64::MAX), Some(1));
        assert_eq!(error(4096_u64.wrapping_neg()), None);
        assert_eq!(error(4095_u64.wrapping_neg()), Some(4095));
    }
}
