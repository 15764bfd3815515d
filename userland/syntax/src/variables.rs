//! Named values, in a room of fixed size.

use crate::Full;

/// Room for all names and values, in bytes.
const ROOM: usize = 8192;

const KEPT: u8 = b'-';
const EXPORTED: u8 = b'+';

/// Named values, of which some are for the programs that are started.
///
/// Each is [`KEPT`] or [`EXPORTED`], `NAME=value` and a null byte, as `execve` wants it from the second byte on.
#[derive(Clone, Debug)]
pub struct Variables {
    bytes: [u8; ROOM],
    length: usize,
}

impl Default for Variables {
    fn default() -> Variables {
        Variables::new()
    }
}

/// Whether this can be a name: letters, digits and `_`, no digit in the first place.
pub fn is_name(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    text.first().is_some_and(|first| !first.is_ascii_digit()) && text.iter().all(is_part)
}

impl Variables {
    /// There are none.
    pub const fn new() -> Variables {
        Variables { bytes: [0; ROOM], length: 0 }
    }

    fn entries(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes[..self.length].split_inclusive(|&byte| byte == 0)
    }

    /// All of them in the order in which they were set: name, value, whether programs get it.
    pub fn all(&self) -> impl Iterator<Item = (&[u8], &[u8], bool)> {
        self.entries().filter_map(|entry| {
            let (mark, text) = entry.split_first()?;
            let text = text.strip_suffix(b"\0")?;
            let end = text.iter().position(|&byte| byte == b'=')?;
            Some((&text[..end], &text[end + 1..], *mark == EXPORTED))
        })
    }

    /// Those for programs: `NAME=value` and a null byte each.
    pub fn exported(&self) -> impl Iterator<Item = &[u8]> {
        self.entries().filter_map(|entry| entry.strip_prefix(&[EXPORTED]))
    }

    /// A value.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.all().find(|(found, ..)| *found == name).map(|(_, value, _)| value)
    }

    fn is_exported(&self, name: &[u8]) -> bool {
        self.all().any(|(found, _, exported)| found == name && exported)
    }

    /// Sets a value; programs get it if they got the one before, or if `export` says so. The name must be one
    /// ([`is_name`]); a value ends at a null byte.
    pub fn set(&mut self, name: &[u8], value: &[u8], export: bool) -> Result<(), Full> {
        let value = value.split(|&byte| byte == 0).next().unwrap_or_default();
        let mark = if export || self.is_exported(name) { EXPORTED } else { KEPT };
        let old = self.get(name).map_or(0, |old| old.len() + name.len() + 3);
        let length = name.len() + value.len() + 3;
        if !is_name(name) || self.length - old + length > ROOM {
            return Err(Full);
        }
        self.unset(name);
        for part in [&[mark], name, b"=", value, b"\0"] {
            self.bytes[self.length..][..part.len()].copy_from_slice(part);
            self.length += part.len();
        }
        Ok(())
    }

    /// Forgets a name.
    pub fn unset(&mut self, name: &[u8]) {
        let Some(place) = self.all().position(|(found, ..)| found == name) else { return };
        let start: usize = self.entries().take(place).map(<[u8]>::len).sum();
        let length = self.entries().nth(place).map_or(0, <[u8]>::len);
        self.bytes.copy_within(start + length..self.length, start);
        self.length -= length;
    }
}
