//! A list of words, in a room of fixed size; each has a null byte behind it, as `execve` wants it.

use crate::Full;

/// Room for all words, in bytes.
const ROOM: usize = 12 << 10;
/// Most words.
const COUNT_MAX: usize = 1024;

/// A list of words.
#[derive(Clone, Debug)]
pub struct Words {
    bytes: [u8; ROOM],
    used: usize,
    /// Where each begins.
    starts: [u16; COUNT_MAX],
    count: usize,
}

impl Default for Words {
    fn default() -> Words {
        Words::new()
    }
}

impl Words {
    /// An empty one.
    pub const fn new() -> Words {
        Words { bytes: [0; ROOM], used: 0, starts: [0; COUNT_MAX], count: 0 }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds a word; it ends at a null byte.
    pub fn add(&mut self, word: &[u8]) -> Result<(), Full> {
        let word = word.split(|&byte| byte == 0).next().unwrap_or_default();
        if self.used + word.len() + 1 > ROOM || self.count == COUNT_MAX {
            return Err(Full);
        }
        self.bytes[self.used..][..word.len()].copy_from_slice(word);
        self.bytes[self.used + word.len()] = 0;
        self.starts[self.count] = self.used as u16;
        self.used += word.len() + 1;
        self.count += 1;
        Ok(())
    }

    /// The word at a place with its null byte.
    pub fn with_null(&self, place: usize) -> Option<&[u8]> {
        let start = *self.starts[..self.count].get(place)?;
        self.bytes[usize::from(start)..self.used].split_inclusive(|&byte| byte == 0).next()
    }

    /// The word at a place.
    pub fn get(&self, place: usize) -> Option<&[u8]> {
        self.with_null(place)?.strip_suffix(b"\0")
    }

    /// The words from a place on.
    pub fn from(&self, place: usize) -> impl Iterator<Item = &[u8]> + Clone {
        (place..self.count).filter_map(|place| self.get(place))
    }

    /// Puts the words from a place on in order.
    pub fn sort_from(&mut self, place: usize) {
        let Words { bytes, used, starts, count } = self;
        let word = |start: u16| bytes[usize::from(start)..*used].split(|&byte| byte == 0).next();
        if let Some(starts) = starts[..*count].get_mut(place..) {
            starts.sort_unstable_by(|&one, &other| word(one).cmp(&word(other)));
        }
    }
}
