//! The report channel: what a booted system tells the harness, one line at a time.
//!
//! One boot may run many checks; each is reported here by its own name, so that the harness shows
//! each as a test of its own. The lines go to a channel of their own (QEMU's debug console, see
//! `abi::ending::REPORT_PORT`), apart from the console that a person reads. Kernel and harness both
//! use this crate, so the two cannot drift apart: the kernel prints a [`Line`] with `Display`, the
//! harness reads it back with [`Line::parse`].
//!
//! A line is ASCII without control characters, at most [`LINE_MAX`] bytes. Names are one word.

#![no_std]
#![forbid(unsafe_code)]

use core::fmt;

/// Longest line, in bytes, without its line feed. A writer cuts free text to fit.
pub const LINE_MAX: usize = 512;

/// One line of the report channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A check starts. If nothing else follows for it, the system died in it.
    Begin {
        /// The check's name.
        check: &'a str,
    },
    /// A check passed.
    Passed {
        /// The check's name.
        check: &'a str,
    },
    /// A check failed.
    Failed {
        /// The check's name.
        check: &'a str,
        /// What was expected and what was found.
        why: &'a str,
    },
    /// A measured value.
    Value {
        /// The value's name, as in the benchmark table.
        name: &'a str,
        /// Its unit, one word.
        unit: &'a str,
        /// The value.
        value: u64,
    },
    /// An event of the trace (crate `trace`).
    Event {
        /// The processor.
        processor: u16,
        /// The event's number there, from 1.
        number: u64,
        /// When, in ticks.
        stamp: u64,
        /// The kind's name.
        kind: &'a str,
        /// Its argument.
        argument: u64,
        /// Processor and number of the event that caused it; number 0 for none.
        cause: (u16, u64),
    },
    /// A program ended by itself.
    Exited {
        /// The program's name.
        program: &'a str,
        /// Its status.
        status: u8,
    },
    /// A program was ended by a signal.
    Killed {
        /// The program's name.
        program: &'a str,
        /// The signal's number, as on Linux.
        signal: u8,
    },
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Begin { check } => write!(f, "begin {check}"),
            Line::Passed { check } => write!(f, "passed {check}"),
            Line::Failed { check, why } => write!(f, "failed {check} {why}"),
            Line::Value { name, unit, value } => write!(f, "value {name} {unit} {value}"),
            Line::Event { processor, number, stamp, kind, argument, cause } => {
                let (by, cause) = cause;
                write!(f, "event {processor} {number} {stamp} {kind} {argument} {by} {cause}")
            }
            Line::Exited { program, status } => write!(f, "exited {program} {status}"),
            Line::Killed { program, signal } => write!(f, "killed {program} {signal}"),
        }
    }
}

impl<'a> Line<'a> {
    /// Reads a line as `Display` wrote it; `None` if it is not one.
    pub fn parse(line: &'a str) -> Option<Line<'a>> {
        let clean = line.len() <= LINE_MAX && line.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let (kind, rest) = line.split_once(' ').filter(|_| clean)?;
        let word = |text: &'a str| (!text.is_empty() && !text.contains(' ')).then_some(text);
        let pair = |text: &'a str| text.split_once(' ').filter(|(first, _)| !first.is_empty());
        Some(match kind {
            "begin" => Line::Begin { check: word(rest)? },
            "passed" => Line::Passed { check: word(rest)? },
            "failed" => {
                let (check, why) = pair(rest)?;
                Line::Failed { check, why }
            }
            "value" => {
                let (name, rest) = pair(rest)?;
                let (unit, value) = pair(rest)?;
                Line::Value { name, unit, value: value.parse().ok()? }
            }
            "event" => {
                let mut words = rest.split(' ');
                let event = Line::Event {
                    processor: words.next()?.parse().ok()?,
                    number: words.next()?.parse().ok()?,
                    stamp: words.next()?.parse().ok()?,
                    kind: words.next().and_then(word)?,
                    argument: words.next()?.parse().ok()?,
                    cause: (words.next()?.parse().ok()?, words.next()?.parse().ok()?),
                };
                if words.next().is_some() {
                    return None;
                }
                event
            }
            "exited" => {
                let (program, status) = pair(rest)?;
                Line::Exited { program, status: status.parse().ok()? }
            }
            "killed" => {
                let (program, signal) = pair(rest)?;
                Line::Killed { program, signal: signal.parse().ok()? }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::Line;
    use proptest::prelude::*;
    use std::string::ToString;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(name in "[!-~]{1,30}", text in "[ -~]{0,60}", value: u64, byte: u8) {
            for line in [
                Line::Begin { check: &name },
                Line::Passed { check: &name },
                Line::Failed { check: &name, why: &text },
                Line::Value { name: &name, unit: "instructions", value },
                Line::Event {
                    processor: u16::from(byte),
                    number: value,
                    stamp: value,
                    kind: &name,
                    argument: value,
                    cause: (u16::from(byte), value),
                },
                Line::Exited { program: &name, status: byte },
                Line::Killed { program: &name, signal: byte },
            ] {
                let written = line.to_string();
                prop_assert_eq!(Line::parse(&written), Some(line));
            }
        }

        #[test]
        fn anything_may_be_parsed(text in ".{0,200}") {
            let _ = Line::parse(&text);
        }
    }

    #[test]
    fn lines_that_are_none_are_refused() {
        for line in [
            "",
            "begin",
            "begin ",
            "begin two words",
            "passed",
            "value a b",
            "value a b x",
            "exited a 256",
            "begin a\n",
        ] {
            assert_eq!(Line::parse(line), None, "{line:?}");
        }
    }
}
