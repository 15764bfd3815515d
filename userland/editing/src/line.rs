//! The line and the place in it.
//!
//! Invariants: the bytes are UTF-8 without control characters; the cursor stands at the beginning of a character or at
//! the end. What does not fit is not taken.

use core::ops::Range;

/// Longest line, in bytes.
pub const LINE_MAX: usize = 1024;

/// A line in the making.
#[derive(Clone, Debug)]
pub struct Line {
    bytes: [u8; LINE_MAX],
    length: usize,
    cursor: usize,
}

impl Default for Line {
    fn default() -> Line {
        Line::new()
    }
}

impl Line {
    /// An empty one.
    pub const fn new() -> Line {
        Line { bytes: [0; LINE_MAX], length: 0, cursor: 0 }
    }

    /// What is in it.
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    /// The part before the cursor.
    pub fn before(&self) -> &str {
        &self.text()[..self.cursor]
    }

    /// The part from the cursor on.
    pub fn after(&self) -> &str {
        &self.text()[self.cursor..]
    }

    /// Where the cursor stands, in bytes.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Makes it this text, as much of it as fits, without control characters; the cursor goes to the end.
    pub fn set(&mut self, text: &str) {
        (self.length, self.cursor) = (0, 0);
        self.insert_text(text);
    }

    /// Puts a character at the cursor, which goes behind it; says whether it was taken.
    pub fn insert(&mut self, character: char) -> bool {
        let size = character.len_utf8();
        if character.is_control() || self.length + size > LINE_MAX {
            return false;
        }
        self.bytes.copy_within(self.cursor..self.length, self.cursor + size);
        character.encode_utf8(&mut self.bytes[self.cursor..]);
        self.length += size;
        self.cursor += size;
        true
    }

    /// Puts characters at the cursor until one is not taken for want of room.
    pub fn insert_text(&mut self, text: &str) {
        for character in text.chars().filter(|character| !character.is_control()) {
            if !self.insert(character) {
                return;
            }
        }
    }

    /// Takes a range out that begins and ends with characters.
    fn remove(&mut self, range: Range<usize>) {
        self.bytes.copy_within(range.end..self.length, range.start);
        self.length -= range.len();
        self.cursor = match self.cursor {
            cursor if cursor >= range.end => cursor - range.len(),
            cursor => cursor.min(range.start),
        };
    }

    /// Takes a range out, and makes it the text of another line.
    fn kill(&mut self, range: Range<usize>, to: &mut Line) {
        if !range.is_empty() {
            to.set(&self.text()[range.clone()]);
            self.remove(range);
        }
    }

    /// Removes the character before the cursor.
    pub fn backspace(&mut self) {
        self.remove(self.place_left()..self.cursor);
    }

    /// Removes the character under the cursor.
    pub fn delete(&mut self) {
        self.remove(self.cursor..self.place_right());
    }

    /// Moves everything from the cursor on to another line.
    pub fn kill_to_end(&mut self, to: &mut Line) {
        self.kill(self.cursor..self.length, to);
    }

    /// Moves everything before the cursor to another line.
    pub fn kill_to_start(&mut self, to: &mut Line) {
        self.kill(0..self.cursor, to);
    }

    /// Moves the word before the cursor, up to a space, to another line.
    pub fn kill_word(&mut self, to: &mut Line) {
        let before = self.before();
        let start = before
            .trim_end()
            .rfind(char::is_whitespace)
            .map_or(0, |place| place + before[place..].chars().next().map_or(0, char::len_utf8));
        self.kill(start..self.cursor, to);
    }

    fn place_left(&self) -> usize {
        self.before().char_indices().next_back().map_or(0, |(place, _)| place)
    }

    fn place_right(&self) -> usize {
        self.cursor + self.after().chars().next().map_or(0, char::len_utf8)
    }

    /// One character to the left.
    pub fn left(&mut self) {
        self.cursor = self.place_left();
    }

    /// One character to the right.
    pub fn right(&mut self) {
        self.cursor = self.place_right();
    }

    /// To the beginning of the word that the cursor is in or behind.
    pub fn word_left(&mut self) {
        let before = self.before();
        let end = before.trim_end_matches(|it: char| !it.is_alphanumeric());
        self.cursor = end.trim_end_matches(char::is_alphanumeric).len();
    }

    /// Behind the word that the cursor is in or before.
    pub fn word_right(&mut self) {
        let after = self.after();
        let start = after.trim_start_matches(|it: char| !it.is_alphanumeric());
        self.cursor = self.length - start.trim_start_matches(char::is_alphanumeric).len();
    }

    /// To the beginning.
    pub fn home(&mut self) {
        self.cursor = 0;
    }

    /// To the end.
    pub fn end(&mut self) {
        self.cursor = self.length;
    }
}
