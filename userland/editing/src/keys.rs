//! Bytes become keys: UTF-8, and the escape sequences that terminals send for keys without a character.
//!
//! A sequence that nobody knows is passed over as a whole, and so are bytes that are no UTF-8.

/// What was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character that can be shown.
    Character(char),
    /// Control with a letter, which is given in upper case.
    Control(char),
    /// Alt with a character.
    Alt(char),
    /// Enter, or Ctrl-J.
    Enter,
    /// Tab.
    Tab,
    /// What takes back the character before the cursor.
    Backspace,
    /// What removes the character under the cursor.
    Delete,
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// Arrow with Control.
    WordLeft,
    /// Arrow with Control.
    WordRight,
    /// To the beginning.
    Home,
    /// To the end.
    End,
}

/// How far a key has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is open.
    Ground,
    /// Escape has come.
    Escape,
    /// Escape and `[` have come, and this number, and the one before it.
    Sequence { number: u16, before: u16 },
    /// Escape and `O` have come.
    Short,
    /// So many bytes of a character have come, of so many.
    Character { bytes: [u8; 4], come: u8, all: u8 },
}

/// Makes keys of bytes.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

impl Decoder {
    /// No byte has come yet.
    pub const fn new() -> Decoder {
        Decoder { state: State::Ground }
    }

    /// A byte has come; the key, if one is complete.
    pub fn byte(&mut self, byte: u8) -> Option<Key> {
        match self.state {
            State::Ground => self.first(byte),
            State::Escape => {
                self.state = State::Ground;
                match byte {
                    0x1b => self.state = State::Escape,
                    b'[' => self.state = State::Sequence { number: 0, before: 0 },
                    b'O' => self.state = State::Short,
                    0x20..0x7f => return Some(Key::Alt(char::from(byte))),
                    _ => return self.first(byte),
                }
                None
            }
            State::Sequence { number, before } => self.sequence(byte, number, before),
            State::Short => {
                self.state = State::Ground;
                Self::named(byte, 0)
            }
            State::Character { bytes, come, all } => self.character(byte, bytes, come, all),
        }
    }

    /// The first byte of a key.
    fn first(&mut self, byte: u8) -> Option<Key> {
        let all = match byte {
            b'\r' | b'\n' => return Some(Key::Enter),
            b'\t' => return Some(Key::Tab),
            8 | 0x7f => return Some(Key::Backspace),
            0x1b => {
                self.state = State::Escape;
                return None;
            }
            0 => return None,
            1..=0x1f => return Some(Key::Control(char::from(byte | 0x40))),
            0x20..0x7f => return Some(Key::Character(char::from(byte))),
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => return None,
        };
        self.state = State::Character { bytes: [byte, 0, 0, 0], come: 1, all };
        None
    }

    /// A further byte of a character.
    fn character(&mut self, byte: u8, mut bytes: [u8; 4], come: u8, all: u8) -> Option<Key> {
        self.state = State::Ground;
        if byte & 0xc0 != 0x80 {
            // The character has been broken off; this is the first of the next.
            return self.first(byte);
        }
        bytes[usize::from(come)] = byte;
        let come = come + 1;
        if come < all {
            self.state = State::Character { bytes, come, all };
            return None;
        }
        let text = core::str::from_utf8(&bytes[..usize::from(all)]).ok()?;
        text.chars().next().filter(|character| !character.is_control()).map(Key::Character)
    }

    /// A further byte of an escape sequence.
    fn sequence(&mut self, byte: u8, number: u16, before: u16) -> Option<Key> {
        match byte {
            b'0'..=b'9' => {
                let number = number.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                self.state = State::Sequence { number, before };
                None
            }
            b';' => {
                self.state = State::Sequence { number: 0, before: number };
                None
            }
            0x20..=0x3f => None,
            b'~' => {
                self.state = State::Ground;
                match if before > 0 { before } else { number } {
                    1 | 7 => Some(Key::Home),
                    4 | 8 => Some(Key::End),
                    3 => Some(Key::Delete),
                    _ => None,
                }
            }
            0x40..=0x7e => {
                self.state = State::Ground;
                Self::named(byte, if before > 0 { number } else { 0 })
            }
            _ => {
                self.state = State::Ground;
                self.first(byte)
            }
        }
    }

    /// The key that a letter stands for at the end of a sequence; `with` says what else is held down.
    fn named(byte: u8, with: u16) -> Option<Key> {
        /// Alt, Control.
        const WORDS: [u16; 2] = [3, 5];
        Some(match byte {
            b'A' => Key::Up,
            b'B' => Key::Down,
            b'C' if WORDS.contains(&with) => Key::WordRight,
            b'D' if WORDS.contains(&with) => Key::WordLeft,
            b'C' => Key::Right,
            b'D' => Key::Left,
            b'H' => Key::Home,
            b'F' => Key::End,
            _ => return None,
        })
    }
}
