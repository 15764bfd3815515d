//! What a byte does that was typed.

use crate::{Signal, Terminal, Typed};
use abi::terminals::{
    ECHO, ECHOE, ECHOK, ECHOKE, ECHONL, ICANON, ICRNL, IEXTEN, IGNCR, INLCR, ISIG, ISTRIP, IUTF8,
    NOFLSH, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VQUIT, VREPRINT, VSUSP, VWERASE,
};

/// Readable, without a signal.
const READABLE: Typed = Typed { signal: None, readable: true };
/// Neither.
const NOTHING: Typed = Typed { signal: None, readable: false };

impl Terminal {
    /// Takes a byte that was typed; `show` gets what is to be shown for it.
    pub fn input(&mut self, byte: u8, show: &mut impl FnMut(&[u8])) -> Typed {
        let input = self.settings.input;
        let mut byte = if input & ISTRIP != 0 { byte & 0x7f } else { byte };
        if core::mem::take(&mut self.literal) {
            return self.add(byte, show);
        }
        match byte {
            b'\r' if input & IGNCR != 0 => return NOTHING,
            b'\r' if input & ICRNL != 0 => byte = b'\n',
            b'\n' if input & INLCR != 0 => byte = b'\r',
            _ => {}
        }
        if self.has(ISIG)
            && let Some(signal) = self.signal_of(byte)
        {
            if !self.has(NOFLSH) {
                self.forget_input();
            }
            if self.has(ECHO) {
                self.echo(byte, show);
            }
            return Typed { signal: Some(signal), readable: false };
        }
        if self.has(IEXTEN) && self.is(VLNEXT, byte) {
            self.literal = true;
            if self.has(ECHO) && self.has(ICANON) {
                self.output(b"^\x08", show);
            }
            return NOTHING;
        }
        if self.has(ICANON) { self.edit(byte, show) } else { self.add(byte, show) }
    }

    /// Whether a byte is one of the characters that do something; 0 is none.
    fn is(&self, which: usize, byte: u8) -> bool {
        byte != 0 && self.settings.characters[which] == byte
    }

    fn signal_of(&self, byte: u8) -> Option<Signal> {
        let keys = [(VINTR, Signal::Interrupt), (VQUIT, Signal::Quit), (VSUSP, Signal::Suspend)];
        keys.into_iter().find(|&(which, _)| self.is(which, byte)).map(|(_, signal)| signal)
    }

    /// With lines: a byte that is not taken as it is.
    fn edit(&mut self, byte: u8, show: &mut impl FnMut(&[u8])) -> Typed {
        let extended = self.has(IEXTEN);
        if self.is(VERASE, byte) {
            self.erase(show);
        } else if self.is(VKILL, byte) {
            self.kill(byte, show);
        } else if extended && self.is(VWERASE, byte) {
            self.erase_word(show);
        } else if extended && self.is(VREPRINT, byte) {
            self.show_again(byte, show);
        } else if self.is(VEOF, byte) {
            if !self.queue.has_room(1) {
                return NOTHING;
            }
            self.queue.push_end();
            return READABLE;
        } else if byte == b'\n' {
            if !self.queue.has_room(1) {
                return NOTHING;
            }
            if self.has(ECHO) || self.has(ECHONL) {
                self.echo(byte, show);
            }
            self.queue.push(byte);
            self.queue.end_line();
            return READABLE;
        } else if [VEOL, VEOL2].iter().any(|&which| self.is(which, byte)) {
            let typed = self.add(byte, show);
            if self.queue.last() == Some(byte) {
                self.queue.end_line();
                return READABLE;
            }
            return typed;
        } else {
            return self.add(byte, show);
        }
        NOTHING
    }

    /// Keeps a byte as it is. Who types faster than anybody reads loses what does not fit; of a line all but its end.
    fn add(&mut self, byte: u8, show: &mut impl FnMut(&[u8])) -> Typed {
        let lines = self.has(ICANON);
        if !self.queue.has_room(if lines { 2 } else { 1 }) {
            return NOTHING;
        }
        if self.queue.last().is_none() {
            self.screen.line_start = self.screen.column();
        }
        if self.has(ECHO) {
            self.echo(byte, show);
        }
        self.queue.push(byte);
        if lines { NOTHING } else { READABLE }
    }

    /// Takes the last character back.
    fn erase(&mut self, show: &mut impl FnMut(&[u8])) {
        let Some(mut byte) = self.queue.last() else { return };
        if self.has(ECHO) {
            if self.has(ECHOE) {
                self.rub_out(show);
            } else {
                self.echo(self.settings.characters[VERASE], show);
            }
        }
        self.queue.pop();
        // The bytes before the last of a character's.
        while self.settings.input & IUTF8 != 0
            && byte & 0xc0 == 0x80
            && let Some(before) = self.queue.last()
        {
            byte = before;
            self.queue.pop();
        }
    }

    /// Takes the last word back, and blanks behind it.
    fn erase_word(&mut self, show: &mut impl FnMut(&[u8])) {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        while self.queue.last().is_some_and(|byte| !is_part(byte)) {
            self.erase(show);
        }
        while self.queue.last().is_some_and(is_part) {
            self.erase(show);
        }
    }

    /// Takes the line back.
    fn kill(&mut self, byte: u8, show: &mut impl FnMut(&[u8])) {
        if self.has(ECHO) && !(self.has(ECHOK) && self.has(ECHOKE) && self.has(ECHOE)) {
            self.echo(byte, show);
            if self.has(ECHOK) {
                self.output(b"\n", show);
            }
            while self.queue.last().is_some() {
                self.queue.pop();
            }
        }
        while self.queue.last().is_some() {
            self.erase(show);
        }
    }

    /// Shows the line again, in the next one.
    fn show_again(&mut self, byte: u8, show: &mut impl FnMut(&[u8])) {
        if !self.has(ECHO) {
            return;
        }
        self.echo(byte, show);
        self.output(b"\n", show);
        self.screen.line_start = self.screen.column();
        for place in 0.. {
            let Some(byte) = self.queue.edited_at(place) else { break };
            self.echo(byte, show);
        }
    }
}
