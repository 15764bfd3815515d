//! Text of bounded length, made without an allocator. What does not fit is cut off.

use core::fmt;

/// A text of at most `N` bytes.
#[derive(Clone)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    /// The text that these arguments make, as much of it as fits.
    pub fn new(arguments: fmt::Arguments<'_>) -> Text<N> {
        let mut text = Text { bytes: [0; N], length: 0 };
        // Writing to a text does not fail.
        let _ = fmt::write(&mut text, arguments);
        text
    }

    /// What is in it.
    pub fn as_str(&self) -> &str {
        // Only whole characters are added, so this is never the default.
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let fits = part.floor_char_boundary(N - self.length);
        self.bytes[self.length..][..fits].copy_from_slice(&part.as_bytes()[..fits]);
        self.length += fits;
        Ok(())
    }
}
