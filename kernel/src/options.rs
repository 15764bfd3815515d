//! The boot options: words of the kernel's command line. Its grammar is in `abi::boot`.
//!
//! The options point into the kernel's own copy of the line, which lives for ever.

use crate::panic_kinds::PanicKind;
use crate::{bench, checks};
use core::fmt;
use log::LevelFilter;
use trace::Groups;
use vm::describe::print::Format;
use vm::history::Bug;

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// `log=off|error|warn|info|debug|trace`: what goes to the console.
    pub log: LevelFilter,
    /// `check=all` or `check=NAME,NAME`: run these checks instead of a program.
    pub check: Option<&'static str>,
    /// `bench=all` or `bench=GROUP`: measure parts of the kernel, after the program if there is one.
    pub bench: Option<&'static str>,
    /// `scale=N`: how many times longer than usual the checks that are about chance go on.
    pub scale: u64,
    /// `counted=1`: one tick of the clock is one instruction, so checks may demand exact times.
    pub counted: bool,
    /// `trace=GROUPS`: the groups of events that are noted; `all`, `none`, or names with commas.
    pub trace: Groups,
    /// `trace-dump=1`: at the end, put what is left of the trace on the report channel.
    pub trace_dump: bool,
    /// `maps=none|text|json`: when a process ends, print what its memory was made of. Not printed if nobody says.
    pub maps: Option<Format>,
    /// `bug=NAME`: the historical bug to bring back, in a build that has it.
    pub bug: Option<Bug>,
    /// `collapse=on|off`: whether chains of shadows are kept short.
    pub collapse: bool,
    /// `panic=KIND`: panic in this way, to see the report.
    pub panic: Option<PanicKind>,
    /// `cpus=N`: start no more processors than this.
    pub cpus: usize,
    /// The program and its arguments, as written after `--`; empty for the shell.
    pub command: &'static str,
}

/// A word that cannot be taken.
#[derive(Clone, Copy, Debug)]
pub enum BadOption {
    /// No option has this name.
    Unknown(&'static str),
    /// The option has no such value.
    Value {
        /// The whole word.
        word: &'static str,
        /// What could have stood there.
        expected: &'static str,
    },
    /// The line is not UTF-8 text.
    NotText,
}

impl fmt::Display for BadOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadOption::Unknown(word) => {
                write!(
                    f,
                    "'{word}' is not known; there are log=, check=, scale=, counted=, bench=, panic=, cpus=, maps=, \
                     collapse=, bug=, trace=, trace-dump="
                )
            }
            BadOption::Value { word, expected } => write!(f, "'{word}': expected {expected}"),
            BadOption::NotText => f.write_str("the command line is not text"),
        }
    }
}

/// What is traced if nobody says: in debug builds everything but system calls; in what users run only what
/// is rare, since each event takes as long as half a switch.
const TRACED: Groups = if cfg!(debug_assertions) {
    Groups::ALL.without(Groups::CALL)
} else {
    Groups::FAULT.with(Groups::PROGRAM).with(Groups::BIND)
};

impl Options {
    /// Reads the command line.
    pub fn parse(line: &'static str) -> Result<Options, BadOption> {
        let mut options = Options {
            log: LevelFilter::Info,
            check: None,
            scale: 1,
            counted: false,
            bench: None,
            trace: TRACED,
            trace_dump: false,
            maps: None,
            bug: None,
            collapse: true,
            panic: None,
            cpus: machine::system::CPU_MAX,
            command: "",
        };
        let mut rest = line;
        loop {
            rest = rest.trim_start_matches(' ');
            let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
            if word.is_empty() {
                return Ok(options);
            }
            if word == "--" {
                options.command = behind.trim_matches(' ');
                return Ok(options);
            }
            rest = behind;
            options.take(word)?;
        }
    }

    fn take(&mut self, word: &'static str) -> Result<(), BadOption> {
        let (name, value) = word.split_once('=').ok_or(BadOption::Unknown(word))?;
        let bad = |expected| BadOption::Value { word, expected };
        match name {
            "log" => {
                self.log = value.parse().map_err(|_| {
                    bad("log=off, log=error, log=warn, log=info, log=debug or log=trace")
                })?;
            }
            "check" => {
                if value != "all" && value.split(',').any(|name| checks::find(name).is_none()) {
                    return Err(bad(
                        "check=all or names of checks (`cargo upcall check` lists them)",
                    ));
                }
                self.check = Some(value);
            }
            "scale" => {
                let scale = value.parse().ok().filter(|scale| (1..=1_000_000).contains(scale));
                self.scale = scale.ok_or(bad("scale=1 to scale=1000000"))?;
            }
            "counted" => {
                self.counted = match value {
                    "0" => false,
                    "1" => true,
                    _ => return Err(bad("counted=0 or counted=1")),
                };
            }
            "bench" => {
                if !bench::is_known(value) {
                    return Err(bad("bench=all, bench=disp or bench=smp"));
                }
                self.bench = Some(value);
            }
            "trace" => {
                self.trace = Groups::parse(value)
                    .ok_or(bad("trace=all, trace=none, or groups of events with commas"))?;
            }
            "trace-dump" => {
                self.trace_dump = match value {
                    "0" => false,
                    "1" => true,
                    _ => return Err(bad("trace-dump=0 or trace-dump=1")),
                };
            }
            "maps" => {
                self.maps = match value {
                    "none" => None,
                    "text" => Some(Format::Text),
                    "json" => Some(Format::Json),
                    _ => return Err(bad("maps=text, maps=json or maps=none")),
                };
            }
            "bug" => {
                self.bug = Some(Bug::find(value).ok_or(bad(
                    "bug=cow-2019, bug=cow-d23155, bug=cow-restart or bug=cow-tlb, and a build with them: --profile history",
                ))?);
            }
            "collapse" => {
                self.collapse = match value {
                    "on" => true,
                    "off" => false,
                    _ => return Err(bad("collapse=on or collapse=off")),
                };
            }
            "panic" => {
                self.panic = Some(PanicKind::parse(value).ok_or(bad(PanicKind::EXPECTED))?);
            }
            "cpus" => {
                self.cpus = value
                    .parse()
                    .ok()
                    .filter(|count| (1..=machine::system::CPU_MAX).contains(count))
                    .ok_or(bad("cpus=1 to cpus=64"))?;
            }
            _ => return Err(BadOption::Unknown(word)),
        }
        Ok(())
    }
}

/// The words of a command, quotes taken into account; each is given to `take` as its bytes.
///
/// A word between double quotes keeps its spaces; `\` before `"` or `\` takes it as it is.
pub fn words(command: &str, mut take: impl FnMut(&mut dyn Iterator<Item = u8>)) {
    let mut bytes = command.bytes().peekable();
    loop {
        while bytes.next_if_eq(&b' ').is_some() {}
        if bytes.peek().is_none() {
            return;
        }
        let mut quoted = false;
        let mut ended = false;
        let mut word = core::iter::from_fn(|| {
            while !ended {
                match bytes.next() {
                    None => ended = true,
                    Some(b' ') if !quoted => ended = true,
                    Some(b'"') => quoted = !quoted,
                    Some(b'\\') if matches!(bytes.peek(), Some(b'"' | b'\\')) => {
                        return bytes.next();
                    }
                    Some(byte) => return Some(byte),
                }
            }
            None
        });
        take(&mut word);
        while word.next().is_some() {}
    }
}
