//! The lines before: each once, at the place where it was given last.

use crate::line::LINE_MAX;

/// Room for all lines, in bytes.
const ROOM: usize = 8 * LINE_MAX;

/// What separates lines.
const END: u8 = b'\n';

/// The lines before, from the oldest to the newest. For a new one the oldest make room.
#[derive(Clone, Debug)]
pub struct History {
    /// Each line with [`END`] behind it.
    bytes: [u8; ROOM],
    length: usize,
    count: usize,
}

impl Default for History {
    fn default() -> History {
        History::new()
    }
}

impl History {
    /// There are none.
    pub const fn new() -> History {
        History { bytes: [0; ROOM], length: 0, count: 0 }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// All of them, the oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        let text = core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default();
        text.split_terminator('\n')
    }

    /// The line at a place, counted from the oldest.
    pub fn get(&self, place: usize) -> Option<&str> {
        self.lines().nth(place)
    }

    /// Adds a line. Empty ones, and ones that cannot be a line, are not kept.
    pub fn add(&mut self, line: &str) {
        if line.trim().is_empty() || line.len() > LINE_MAX || line.contains('\n') {
            return;
        }
        let same = self.lines().position(|old| old == line);
        if let Some(place) = same {
            self.forget(place);
        }
        while self.length + line.len() + 1 > ROOM {
            self.forget(0);
        }
        self.bytes[self.length..][..line.len()].copy_from_slice(line.as_bytes());
        self.length += line.len();
        self.bytes[self.length] = END;
        self.length += 1;
        self.count += 1;
    }

    fn forget(&mut self, place: usize) {
        let start: usize = self.lines().take(place).map(|line| line.len() + 1).sum();
        let Some(length) = self.get(place).map(|line| line.len() + 1) else { return };
        self.bytes.copy_within(start + length..self.length, start);
        self.length -= length;
        self.count -= 1;
    }

    /// The newest line older than `before` that contains a text; its place.
    pub fn find(&self, text: &str, before: usize) -> Option<usize> {
        let lines = self.lines().take(before).enumerate();
        lines.filter(|(_, line)| line.contains(text)).last().map(|(place, _)| place)
    }
}
