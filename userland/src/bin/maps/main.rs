//! Prints what is mapped: entries, the objects under them with their chains of shadows, and their pages.
//!
//! ```text
//! maps [json] [NUMBER]    all of one's own memory, or a process's
//! maps [json] DEMO        a small family of processes, and what a piece of their memory is made of
//! ```
//!
//! With `json` each description is one line, an object with `moment`, `process`, `name` and `memory`. The drawings in
//! `docs/` are made of these lines (`cargo upcall maps`).

#![no_std]
#![no_main]

mod demo;
mod family;

use abi::calls::DescribeCursor;
use abi::errno::Errno;
use userland::system::{self, raw};
use userland::{Arguments, eprintln, print, println, program};

program!(main);

/// The status after a wrong word.
const WRONG_USE: i32 = 2;
/// The status when something could not be described.
const FAILED: i32 = 1;

/// How often a description begins again that others have disturbed.
const TRIES: u32 = 16;

/// How descriptions are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text = 0,
    /// For programs.
    Json = 1,
}

/// A range of addresses.
pub type Range = core::ops::Range<u64>;

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words().peekable();
    let format = match words.next_if(|word| matches!(*word, "json" | "text")) {
        Some("json") => Format::Json,
        _ => Format::Text,
    };
    let word = words.next().unwrap_or("0");
    let result = match word.parse::<u64>() {
        Ok(process) => describe(format, "now", "process", process, 0..u64::MAX),
        Err(_) => match demo::run(word, format) {
            Some(result) => result,
            None => return wrong_use(word),
        },
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("maps: {word}: {}", error.text());
            FAILED
        }
    }
}

fn wrong_use(word: &str) -> i32 {
    eprintln!(
        "maps: '{word}' is not understood: [json], and a process's number or one of {}",
        demo::NAMES
    );
    WRONG_USE
}

/// Prints what a range of a process's memory is made of, 0 for one's own.
pub fn describe(
    format: Format,
    moment: &str,
    name: &str,
    process: u64,
    range: Range,
) -> Result<(), Errno> {
    let number = if process == 0 { system::getpid() } else { process };
    let mut tries = 0;
    loop {
        if format == Format::Json {
            print!(
                "{{\"moment\":\"{moment}\",\"process\":{number},\"name\":\"{name}\",\"memory\":"
            );
        } else {
            println!("--- {moment}: {name} {number}");
        }
        let result = pieces(format, process, &range);
        if format == Format::Json {
            println!("{}", if result.is_ok() { "}" } else { "" });
        }
        tries += 1;
        if result != Err(Errno::EAGAIN) || tries == TRIES {
            return result;
        }
    }
}

/// Whether a process has not ended yet.
pub fn is_there(process: u64) -> bool {
    let mut cursor = DescribeCursor::new(0, 0);
    let mut buffer = [1u8; DescribeCursor::PIECE_MIN];
    // SAFETY: both are the call's to write.
    let result = unsafe {
        raw::describe(
            process,
            Format::Text as u32,
            &raw mut cursor,
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    };
    result != Err(Errno::ESRCH)
}

fn pieces(format: Format, process: u64, range: &Range) -> Result<(), Errno> {
    // Filled before, or the kernel's writing would be the first touch, and change the map that it describes.
    let mut buffer = [1u8; 2 * DescribeCursor::PIECE_MIN];
    core::hint::black_box(&mut buffer);
    let mut cursor = DescribeCursor::new(range.start, range.end);
    loop {
        // SAFETY: both are the call's to write.
        let length = unsafe {
            raw::describe(
                process,
                format as u32,
                &raw mut cursor,
                buffer.as_mut_ptr(),
                buffer.len(),
            )
        }?;
        if length == 0 {
            return Ok(());
        }
        let mut rest = &buffer[..length as usize];
        while !rest.is_empty() {
            let written = system::write(userland::print::OUTPUT, rest)?;
            rest = &rest[written..];
        }
    }
}
