//! All lines of a text at once.

use crate::room::room;
use crate::stream::Reader;
use abi::errno::Errno;
use core::cmp::Ordering;

/// Room for the text, in bytes.
const TEXT: usize = 32 << 20;
/// Most lines.
const LINES: usize = 4 << 20;
/// Bytes of a place in the text.
const PLACE: usize = size_of::<u32>();

/// Lines.
pub struct Lines {
    text: &'static mut [u8],
    length: usize,
    /// Where each begins and how long it is.
    lines: &'static mut [[u8; 2 * PLACE]],
    count: usize,
}

fn place(line: &[u8; 2 * PLACE]) -> (usize, usize) {
    let packed = u64::from_le_bytes(*line);
    ((packed >> 32) as usize, packed as u32 as usize)
}

impl Lines {
    /// None.
    pub fn new() -> Result<Lines, Errno> {
        let (lines, _) = room(LINES * 2 * PLACE)?.as_chunks_mut();
        Ok(Lines { text: room(TEXT)?, length: 0, lines, count: 0 })
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        (self.length, self.count) = (0, 0);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.lines[..self.count].iter().map(|line| {
            let (start, length) = place(line);
            &self.text[start..start + length]
        })
    }

    /// Adds those of an input. `ENOMEM`: there are too many.
    pub fn read(&mut self, input: &mut Reader) -> Result<(), Errno> {
        while let Some((line, is_whole)) = input.line(&mut self.text[self.length..])? {
            let start = self.length;
            self.length += line.len();
            if !is_whole && self.length == self.text.len() {
                return Err(Errno::ENOMEM);
            }
            self.add(start)?;
        }
        if self.length == self.text.len() { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// The text from a place on is a line.
    fn add(&mut self, start: usize) -> Result<(), Errno> {
        let line = self.lines.get_mut(self.count).ok_or(Errno::ENOMEM)?;
        *line = ((start as u64) << 32 | (self.length - start) as u64).to_le_bytes();
        self.count += 1;
        Ok(())
    }

    /// Puts them in order.
    pub fn sort(&mut self, order: impl Fn(&[u8], &[u8]) -> Ordering) {
        let text = &*self.text;
        let line = |packed: &[u8; 2 * PLACE]| {
            let (start, length) = place(packed);
            &text[start..start + length]
        };
        self.lines[..self.count].sort_unstable_by(|one, other| order(line(one), line(other)));
    }
}
