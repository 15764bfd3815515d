//! What a word says when its quotes are taken away and variables put in.

use crate::variables::is_name;
use crate::{Full, token::Wrong};

/// Longest word, in bytes.
pub const FIELD_MAX: usize = 2048;

/// What a word says. Of each byte it is known whether it was outside of quotes, where `*` and `?` are patterns.
#[derive(Clone, Debug)]
pub struct Field {
    bytes: [u8; FIELD_MAX],
    is_active: [bool; FIELD_MAX],
    length: usize,
    has_quotes: bool,
}

impl Default for Field {
    fn default() -> Field {
        Field::new()
    }
}

impl Field {
    /// Nothing.
    pub const fn new() -> Field {
        Field { bytes: [0; FIELD_MAX], is_active: [false; FIELD_MAX], length: 0, has_quotes: false }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// For each byte whether it may be part of a pattern.
    pub fn active(&self) -> &[bool] {
        &self.is_active[..self.length]
    }

    /// Whether it is a word at all: an empty one without quotes is not.
    pub fn is_word(&self) -> bool {
        self.length > 0 || self.has_quotes
    }

    /// Whether it has a `*` or `?` outside of quotes.
    pub fn is_pattern(&self) -> bool {
        let mut bytes = self.bytes().iter().zip(self.active());
        bytes.any(|(byte, active)| *active && b"*?".contains(byte))
    }

    fn add(&mut self, bytes: &[u8], is_active: bool) -> Result<(), Full> {
        let end = self.length + bytes.len();
        self.bytes.get_mut(self.length..end).ok_or(Full)?.copy_from_slice(bytes);
        self.is_active[self.length..end].fill(is_active);
        self.length = end;
        Ok(())
    }
}

/// Who knows values.
pub trait Values {
    /// The value of a variable; also of `?` and `$`.
    fn value(&self, name: &[u8]) -> Option<&[u8]>;
}

impl From<Full> for Wrong {
    fn from(_: Full) -> Wrong {
        Wrong::TooLong
    }
}

/// Takes quotes away and puts variables in.
pub fn expand(word: &[u8], values: &impl Values) -> Result<Field, Wrong> {
    let mut field = Field::new();
    let mut rest = word;
    let mut quote = None;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match (quote, byte) {
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                field.has_quotes = true;
            }
            (Some(open), byte) if open == byte => quote = None,
            (None, b'\\') => {
                let (next, behind) = rest.split_first().ok_or(Wrong::Quote)?;
                field.add(&[*next], false)?;
                rest = behind;
            }
            (Some(b'"'), b'\\') => match rest.split_first() {
                Some((next @ (b'$' | b'"' | b'\\'), behind)) => {
                    field.add(&[*next], false)?;
                    rest = behind;
                }
                _ => field.add(b"\\", false)?,
            },
            (None | Some(b'"'), b'$') => {
                let (name, behind) = name(rest);
                rest = behind;
                match name {
                    Some(name) => field.add(values.value(name).unwrap_or_default(), false)?,
                    None => field.add(b"$", false)?,
                }
            }
            (quote, byte) => field.add(&[byte], quote.is_none())?,
        }
    }
    if quote.is_some() { Err(Wrong::Quote) } else { Ok(field) }
}

/// The name behind a `$`, if there is one, and what follows it.
fn name(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    if let Some(inner) = text.strip_prefix(b"{")
        && let Some(end) = inner.iter().position(|&byte| byte == b'}')
        && (is_name(&inner[..end]) || matches!(&inner[..end], b"?" | b"$"))
    {
        return (Some(&inner[..end]), &inner[end + 1..]);
    }
    let length = match text.first() {
        Some(b'?' | b'$') => 1,
        _ => {
            let end = text.iter().position(|&byte| !byte.is_ascii_alphanumeric() && byte != b'_');
            end.unwrap_or(text.len())
        }
    };
    let (name, rest) = text.split_at(length);
    if matches!(name, b"?" | b"$") || is_name(name) { (Some(name), rest) } else { (None, text) }
}
