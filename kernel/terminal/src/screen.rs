//! What bytes look like on the screen, and where the cursor is: without it a tab could not be erased.

use crate::Terminal;
use abi::terminals::{ECHOCTL, OCRNL, ONLCR, OPOST};

const TAB: u8 = b'\t';
const TAB_STOP: usize = 8;
const BACKSPACE: u8 = 8;

/// The cursor.
pub struct Screen {
    column: usize,
    /// The column in which what is being typed began.
    pub line_start: usize,
}

impl Screen {
    pub const fn new() -> Screen {
        Screen { column: 0, line_start: 0 }
    }

    pub fn column(&self) -> usize {
        self.column
    }

    fn moves(&mut self, byte: u8) {
        match byte {
            b'\r' => self.column = 0,
            BACKSPACE => self.column = self.column.saturating_sub(1),
            TAB => self.column = (self.column / TAB_STOP + 1) * TAB_STOP,
            // The later bytes of a character take no place of their own.
            0x20..0x7f | 0xc0.. => self.column += 1,
            _ => {}
        }
    }
}

/// Whether a byte is shown as ^X.
fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// Whether a byte is one of a character's, and not its first.
fn is_later_byte(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// The letter of a control character.
fn letter(byte: u8) -> u8 {
    byte ^ 0x40
}

impl Terminal {
    /// Shows what a program writes: `show` gets it as it goes to the device, part by part.
    pub fn output(&mut self, bytes: &[u8], show: &mut impl FnMut(&[u8])) {
        let output = self.settings.output;
        if output & OPOST == 0 {
            bytes.iter().for_each(|&byte| self.screen.moves(byte));
            return show(bytes);
        }
        let is_changed = |byte| match byte {
            b'\n' => output & ONLCR != 0,
            b'\r' => output & OCRNL != 0,
            _ => false,
        };
        for part in bytes.chunk_by(|&one, &other| !is_changed(one) && !is_changed(other)) {
            match part {
                b"\n" if output & ONLCR != 0 => {
                    self.screen.moves(b'\r');
                    show(b"\r\n");
                }
                b"\r" if output & OCRNL != 0 => show(b"\n"),
                _ => {
                    part.iter().for_each(|&byte| self.screen.moves(byte));
                    show(part);
                }
            }
        }
    }

    /// Shows a byte that was typed.
    pub(crate) fn echo(&mut self, byte: u8, show: &mut impl FnMut(&[u8])) {
        let as_it_is = matches!(byte, b'\n' | TAB) || !is_control(byte) || !self.has(ECHOCTL);
        if as_it_is {
            self.output(&[byte], show);
        } else {
            self.output(&[b'^', letter(byte)], show);
        }
    }

    /// How wide a byte is that stands in a column.
    fn width(&self, byte: u8, column: usize) -> usize {
        match byte {
            TAB => TAB_STOP - column % TAB_STOP,
            _ if is_control(byte) => 2 * usize::from(self.has(ECHOCTL)),
            _ => usize::from(!is_later_byte(byte)),
        }
    }

    /// Makes the last character of what is being typed, with all its bytes, disappear. It is still there.
    pub(crate) fn rub_out(&mut self, show: &mut impl FnMut(&[u8])) {
        let mut column = self.screen.line_start;
        let (mut before, mut last) = (column, 0);
        for byte in self.queue.edited() {
            if !is_later_byte(byte) {
                before = column;
                last = byte;
            }
            column += self.width(byte, column);
        }
        for _ in before..column {
            // A tab leaves nothing to be painted over.
            self.output(if last == TAB { b"\x08" } else { b"\x08 \x08" }, show);
        }
    }
}
