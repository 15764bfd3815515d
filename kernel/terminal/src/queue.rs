//! What has been typed and not read: a ring of bytes, some of which end a line.
//!
//! Positions are counted on for ever. Invariants: `read <= edited <= written`, and `written - read` is at most
//! [`CAPACITY`]; lines lie before `edited`, behind it what is being typed. Every line ends with a marked byte; one that
//! is marked as an end of input is not read.

/// Most bytes that are kept.
pub const CAPACITY: usize = 4096;
const WORDS: usize = CAPACITY / 64;

/// A bit for each place.
struct Marks([u64; WORDS]);

impl Marks {
    fn get(&self, place: usize) -> bool {
        self.0[place / 64] & 1 << (place % 64) != 0
    }

    fn set(&mut self, place: usize, value: bool) {
        let bit = 1 << (place % 64);
        if value {
            self.0[place / 64] |= bit;
        } else {
            self.0[place / 64] &= !bit;
        }
    }
}

pub struct Queue {
    bytes: [u8; CAPACITY],
    /// These end a line.
    ends: Marks,
    /// These end a line and are no part of it.
    empty: Marks,
    read: usize,
    edited: usize,
    written: usize,
}

impl Queue {
    pub const fn new() -> Queue {
        Queue {
            bytes: [0; CAPACITY],
            ends: Marks([0; WORDS]),
            empty: Marks([0; WORDS]),
            read: 0,
            edited: 0,
            written: 0,
        }
    }

    /// How many bytes there are, marks of an end of input included.
    pub fn length(&self) -> usize {
        self.written - self.read
    }

    /// Whether there is room for so many bytes.
    pub fn has_room(&self, count: usize) -> bool {
        self.length() + count <= CAPACITY
    }

    pub fn clear(&mut self) {
        self.read = self.written;
        self.edited = self.written;
    }

    /// Adds a byte, for which there is room.
    pub fn push(&mut self, byte: u8) {
        let place = self.written % CAPACITY;
        self.bytes[place] = byte;
        self.ends.set(place, false);
        self.empty.set(place, false);
        self.written += 1;
    }

    /// Adds the end of the input, for which there is room: what is being typed is complete without it.
    pub fn push_end(&mut self) {
        self.push(0);
        self.empty.set((self.written - 1) % CAPACITY, true);
        self.end_line();
    }

    /// Ends the line with the byte that was added last.
    pub fn end_line(&mut self) {
        if self.written > self.read {
            self.ends.set((self.written - 1) % CAPACITY, true);
        }
        self.edited = self.written;
    }

    /// What is being typed, from its first byte.
    pub fn edited(&self) -> impl Iterator<Item = u8> + '_ {
        (self.edited..self.written).map(|at| self.bytes[at % CAPACITY])
    }

    /// A byte of what is being typed.
    pub fn edited_at(&self, place: usize) -> Option<u8> {
        let at = self.edited + place;
        (at < self.written).then(|| self.bytes[at % CAPACITY])
    }

    /// The last byte of what is being typed.
    pub fn last(&self) -> Option<u8> {
        (self.written > self.edited).then(|| self.bytes[(self.written - 1) % CAPACITY])
    }

    /// Takes the last byte of what is being typed back.
    pub fn pop(&mut self) {
        debug_assert!(self.written > self.edited, "there is nothing to take back");
        self.written -= 1;
    }

    pub fn has_line(&self) -> bool {
        self.edited > self.read
    }

    /// Bytes of complete lines.
    pub fn bytes_in_lines(&self) -> usize {
        (self.read..self.edited).filter(|at| !self.empty.get(at % CAPACITY)).count()
    }

    /// Takes as much of the first line as fits.
    pub fn take_line(&mut self, to: &mut [u8]) -> usize {
        let mut count = 0;
        while self.read < self.edited {
            let place = self.read % CAPACITY;
            if self.empty.get(place) {
                self.read += 1;
                break;
            }
            let Some(byte) = to.get_mut(count) else { break };
            *byte = self.bytes[place];
            self.read += 1;
            count += 1;
            if self.ends.get(place) {
                break;
            }
        }
        count
    }

    /// Takes as many bytes as there are and fit, whatever they end.
    pub fn take(&mut self, to: &mut [u8]) -> usize {
        let mut count = 0;
        while count < to.len() && self.read < self.written {
            let place = self.read % CAPACITY;
            self.read += 1;
            if !self.empty.get(place) {
                to[count] = self.bytes[place];
                count += 1;
            }
        }
        self.edited = self.edited.max(self.read);
        count
    }
}
