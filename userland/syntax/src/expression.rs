//! Patterns for `grep`: `.` any character, `*` any number of the one before, `^` the beginning, `$` the end, `\\` the
//! next character as it is.

/// A pattern.
#[derive(Clone, Copy, Debug)]
pub struct Expression<'a> {
    pattern: &'a [u8],
    is_fixed: bool,
    ignores_case: bool,
}

/// One character of a pattern.
#[derive(Clone, Copy)]
enum Atom {
    Any,
    Byte(u8),
}

impl<'a> Expression<'a> {
    /// A pattern; if it is fixed, every character stands for itself.
    pub fn new(pattern: &'a [u8], is_fixed: bool, ignores_case: bool) -> Expression<'a> {
        Expression { pattern, is_fixed, ignores_case }
    }

    /// Whether it fits some part of a line.
    pub fn fits(&self, line: &[u8]) -> bool {
        if !self.is_fixed
            && let Some(rest) = self.pattern.strip_prefix(b"^")
        {
            return self.here(rest, line);
        }
        (0..=line.len()).any(|start| self.here(self.pattern, &line[start..]))
    }

    fn is(&self, atom: Atom, byte: u8) -> bool {
        match atom {
            Atom::Any => true,
            Atom::Byte(wanted) if self.ignores_case => wanted.eq_ignore_ascii_case(&byte),
            Atom::Byte(wanted) => wanted == byte,
        }
    }

    /// Whether a pattern fits the beginning of a text.
    fn here(&self, pattern: &[u8], text: &[u8]) -> bool {
        let (mut pattern, mut text) = (pattern, text);
        loop {
            let (atom, rest) = match *pattern {
                [] => return true,
                [b'$'] if !self.is_fixed => return text.is_empty(),
                [b'\\', byte, ..] if !self.is_fixed => (Atom::Byte(byte), &pattern[2..]),
                [b'.', ..] if !self.is_fixed => (Atom::Any, &pattern[1..]),
                [byte, ..] => (Atom::Byte(byte), &pattern[1..]),
            };
            if !self.is_fixed
                && let Some(rest) = rest.strip_prefix(b"*")
            {
                let most = text.iter().take_while(|&&byte| self.is(atom, byte)).count();
                return (0..=most).any(|count| self.here(rest, &text[count..]));
            }
            match text.split_first() {
                Some((&byte, behind)) if self.is(atom, byte) => text = behind,
                _ => return false,
            }
            pattern = rest;
        }
    }
}
