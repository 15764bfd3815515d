//! Calls in words: with the strings that they are given, read from the memory of the process that stands.

use abi::calls::NO_RETURN;
use abi::observe::ObserveEvent;
use abi::signature::{self, Class, Signature};
use core::fmt::{self, Write};
use userland::system::raw;

/// Longest line, in bytes; what does not fit is cut.
const LINE: usize = 512;
/// Bytes of a string that are shown.
const SHOWN: usize = 32;
/// Strings of an array that are shown.
const STRINGS: usize = 8;

/// A line that is being written.
pub struct Line {
    bytes: [u8; LINE],
    length: usize,
}

impl Line {
    pub fn new() -> Line {
        Line { bytes: [0; LINE], length: 0 }
    }

    /// Begins with who it is about.
    pub fn begin(&mut self, event: &ObserveEvent) {
        self.add(format_args!("{}", event.process));
        if event.lwp != 0 && event.lwp != event.process {
            self.add(format_args!("/{}", event.lwp));
        }
        self.add(format_args!(": "));
    }

    pub fn add(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a line does not fail.
        let _ = self.write_fmt(text);
    }

    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or("?")
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.floor_char_boundary(LINE - self.length);
        self.bytes[self.length..][..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        Ok(())
    }
}

/// The call after which there is another program.
pub const EXECVE: u64 = 59;

/// Whether there is a stop after a call, at which it can still be shown.
pub fn comes_back(number: u64) -> bool {
    const RT_SIGRETURN: u64 = 15;
    let is_end = signature::of(number).is_some_and(|call| call.flags & NO_RETURN != 0);
    !is_end && number != RT_SIGRETURN && number != EXECVE
}

/// Writes a call with its arguments.
pub fn write_call(line: &mut Line, event: &ObserveEvent) {
    let mut contents = |to: &mut dyn Write, call: &Signature, arguments: &[u64], place: usize| {
        let address = arguments[place];
        let next = arguments.get(place + 1).copied().unwrap_or(0);
        match call.arguments[place].class {
            Class::String => quoted(to, event.process, address, u64::MAX),
            Class::Bytes => quoted(to, event.process, address, next),
            // What a call has written is there when it is over.
            Class::Buffer
                if event.kind == abi::observe::AFTER_CALL && call.name.contains("read") =>
            {
                let written = signature::error(event.result).is_none().then_some(event.result)?;
                quoted(to, event.process, address, written.min(next))
            }
            Class::Strings => strings(to, event.process, address),
            _ => None,
        }
    };
    // Writing to a line does not fail.
    let _ = signature::write_call(line, event.number, &event.arguments, &mut contents);
}

/// Reads memory; returns how much of it could be read.
fn read(process: u64, address: u64, buffer: &mut [u8]) -> usize {
    // SAFETY: the call fills the buffer.
    unsafe { raw::observe_read(process, address, buffer.as_mut_ptr(), buffer.len()) }
        .map_or(0, |length| length as usize)
}

/// Writes so many bytes in quotes, or up to a null byte. `None`: they cannot be read.
fn quoted(to: &mut dyn Write, process: u64, address: u64, length: u64) -> Option<fmt::Result> {
    let mut bytes = [0; SHOWN + 1];
    let is_string = length == u64::MAX;
    let wanted = (SHOWN as u64 + 1).min(length) as usize;
    let found = read(process, address, &mut bytes[..wanted]);
    if found == 0 && wanted > 0 {
        return None;
    }
    let mut text = &bytes[..found];
    if is_string && let Some(end) = text.iter().position(|&byte| byte == 0) {
        text = &text[..end];
    }
    let is_cut = text.len() > SHOWN;
    Some(write_quoted(to, &text[..text.len().min(SHOWN)], is_cut))
}

fn write_quoted(to: &mut dyn Write, text: &[u8], is_cut: bool) -> fmt::Result {
    write!(to, "\"{}\"{}", text.escape_ascii(), if is_cut { "..." } else { "" })
}

/// Writes the strings of an array that null ends.
fn strings(to: &mut dyn Write, process: u64, array: u64) -> Option<fmt::Result> {
    if array == 0 {
        return None;
    }
    let mut result = to.write_char('[');
    for index in 0..=STRINGS as u64 {
        let mut pointer = [0; 8];
        if read(process, array.wrapping_add(8 * index), &mut pointer) < 8 {
            break;
        }
        let address = u64::from_le_bytes(pointer);
        if address == 0 {
            break;
        }
        result = result.and_then(|()| to.write_str(if index > 0 { ", " } else { "" }));
        if index == STRINGS as u64 {
            result = result.and_then(|()| to.write_str("..."));
            break;
        }
        let written = quoted(to, process, address, u64::MAX);
        result = result.and_then(|()| written.unwrap_or_else(|| write!(to, "{address:#x}")));
    }
    Some(result.and_then(|()| to.write_char(']')))
}
