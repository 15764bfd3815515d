//! Printing: standard output is file descriptor 1, standard error 2.
//!
//! Text is collected until a line is whole or the buffer is full, so that a line is one system call
//! where possible and lines of several writers do not mix. Nothing is kept back between two calls.

use crate::system;
use core::fmt::{self, Write};

/// Standard output.
pub const OUTPUT: i32 = 1;
/// Standard error.
pub const ERROR: i32 = 2;

/// Longest line that is written in one piece, in bytes.
const BUFFER: usize = 256;

/// Collects a line.
struct Lines {
    fd: i32,
    bytes: [u8; BUFFER],
    length: usize,
}

impl Lines {
    fn flush(&mut self) {
        let mut rest = &self.bytes[..self.length];
        while !rest.is_empty() {
            match system::write(self.fd, rest) {
                Ok(written) if written > 0 => rest = &rest[written..],
                // There is nobody to tell.
                _ => break,
            }
        }
        self.length = 0;
    }
}

impl Write for Lines {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.as_bytes().split_inclusive(|&byte| byte == b'\n') {
            let mut part = part;
            while !part.is_empty() {
                let (now, later) = part.split_at(part.len().min(BUFFER - self.length));
                self.bytes[self.length..][..now.len()].copy_from_slice(now);
                self.length += now.len();
                part = later;
                if self.length == BUFFER || now.ends_with(b"\n") {
                    self.flush();
                }
            }
        }
        Ok(())
    }
}

/// Prints to a file descriptor; for the macros.
pub fn print_to(fd: i32, text: fmt::Arguments<'_>, end: &str) {
    let mut lines = Lines { fd, bytes: [0; BUFFER], length: 0 };
    // An error can only come from a `Display` of the program's own; what it has written stands.
    let _ = lines.write_fmt(text);
    let _ = lines.write_str(end);
    lines.flush();
}

/// Prints to standard output.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => {
        $crate::print::print_to($crate::print::OUTPUT, format_args!($($text)*), "")
    };
}

/// Prints a line to standard output.
#[macro_export]
macro_rules! println {
    () => { $crate::println!("") };
    ($($text:tt)*) => {
        $crate::print::print_to($crate::print::OUTPUT, format_args!($($text)*), "\n")
    };
}

/// Prints a line to standard error.
#[macro_export]
macro_rules! eprintln {
    ($($text:tt)*) => {
        $crate::print::print_to($crate::print::ERROR, format_args!($($text)*), "\n")
    };
}
