//! What small tools share: options, complaints with the tool's name, inputs, and the status.
//!
//! Statuses: 0, 1 when something could not be done (or was not found), 2 after wrong use.

use crate::clock::SECOND;
use crate::paths::Path;
use crate::stream::Reader;
use crate::{eprintln, files, lwp, paths};
use abi::errno::Errno;
use abi::files::O_RDONLY;
use core::cell::Cell;

/// The status when something failed.
pub const FAILED: i32 = 1;
/// The status after wrong use.
pub const WRONG_USE: i32 = 2;

/// A tool at work.
pub struct Tool {
    name: &'static str,
    usage: &'static str,
    status: Cell<i32>,
}

/// Options of one letter each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options(u128);

impl Options {
    /// Whether an option was given.
    pub fn has(self, letter: char) -> bool {
        self.0 & 1 << (u32::from(letter) & 0x7f) != 0
    }
}

impl Tool {
    /// A tool of this name; `usage` says how it is called.
    pub fn new(name: &'static str, usage: &'static str) -> Tool {
        Tool { name, usage, status: Cell::new(0) }
    }

    /// Says how it is called; the status.
    pub fn wrong_use(&self) -> i32 {
        eprintln!("usage: {}", self.usage);
        WRONG_USE
    }

    /// Says what went wrong with something; the status will be [`FAILED`].
    pub fn complain(&self, about: &str, error: Errno) {
        self.complain_words(about, error.text());
    }

    /// The same in words.
    pub fn complain_words(&self, about: &str, words: &str) {
        eprintln!("{}: {about}: {words}", self.name);
        self.status.set(FAILED);
    }

    /// What was done with something worked, or is complained about.
    pub fn check<T>(&self, about: &str, result: Result<T, Errno>) -> Option<T> {
        result.map_err(|error| self.complain(about, error)).ok()
    }

    /// The status.
    pub fn status(&self) -> i32 {
        self.status.get()
    }

    /// Takes options off the beginning of the words; `None` if there is one that is not among the letters.
    pub fn options<'a, W>(&self, words: W, letters: &str) -> Option<(Options, W)>
    where
        W: Iterator<Item = &'a str> + Clone,
    {
        let (mut options, mut rest) = (Options::default(), words);
        loop {
            let mut next = rest.clone();
            match next.next() {
                Some("--") => return Some((options, next)),
                Some(word) if word.len() > 1 && word.starts_with('-') => {
                    for letter in word[1..].chars() {
                        if !letters.contains(letter) {
                            return None;
                        }
                        options.0 |= 1 << (u32::from(letter) & 0x7f);
                    }
                    rest = next;
                }
                _ => return Some((options, rest)),
            }
        }
    }

    /// Acts on each file that is named but the last, which is where it is to go: another name, or a folder. Returns the
    /// status.
    pub fn each_target<'a>(
        &self,
        words: impl Iterator<Item = &'a str> + Clone,
        mut act: impl FnMut(&[u8], &[u8]) -> Result<(), Errno>,
    ) -> i32 {
        let Some((_, words)) = self.options(words, "") else { return self.wrong_use() };
        let count = words.clone().count();
        let Some(to) = words.clone().last().filter(|_| count >= 2) else { return self.wrong_use() };
        let is_folder = paths::is_folder(to.as_bytes());
        if count > 2 && !is_folder {
            self.complain_words(to, "not a folder");
            return self.status();
        }
        for from in words.take(count - 1) {
            let done = Path::new(from.as_bytes()).and_then(|path| {
                let target = match is_folder {
                    true => Path::join(to.as_bytes(), path.name())?,
                    false => Path::new(to.as_bytes())?,
                };
                act(path.bytes(), target.bytes())
            });
            self.check(from, done);
        }
        self.status()
    }

    /// Acts once, or as often and so many seconds apart as the words say. Returns the status.
    pub fn at_intervals<'a>(
        &self,
        words: impl Iterator<Item = &'a str>,
        mut act: impl FnMut(),
    ) -> i32 {
        let mut words = words.map(str::parse::<u64>);
        let (interval, count) = match (words.next(), words.next(), words.next()) {
            (None, None, None) => (0, 1),
            (Some(Ok(interval @ 1..)), Some(Ok(count @ 1..)), None) => (interval, count),
            _ => return self.wrong_use(),
        };
        for round in 0..count {
            if round != 0 && lwp::sleep(interval.saturating_mul(SECOND)).is_err() {
                return FAILED;
            }
            act();
        }
        self.status()
    }

    /// Acts on each file that is named, or on standard input if none is; `-` is standard input, too.
    pub fn inputs<'a>(
        &self,
        words: impl Iterator<Item = &'a str>,
        mut act: impl FnMut(&mut Reader, &str) -> Result<(), Errno>,
    ) {
        let mut words = words.peekable();
        let default = words.peek().is_none().then_some("-");
        for name in default.into_iter().chain(words) {
            let opened = if name == "-" { Ok(0) } else { paths::open(name.as_bytes(), O_RDONLY) };
            let Some(fd) = self.check(name, opened) else { continue };
            self.check(name, act(&mut Reader::new(fd), name));
            if fd > 0 {
                // It was only read: nothing can be lost.
                let _ = files::close(fd);
            }
        }
    }
}

/// Text for people; what is no UTF-8 becomes a single sign.
pub fn readable(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or("\u{fffd}")
}

/// Takes a count off the beginning of the words: `-n N` or `-N`; `usual` if there is none. `None`: it is no number.
pub fn counted<'a, W: Iterator<Item = &'a str> + Clone>(
    words: W,
    usual: usize,
) -> Option<(usize, W)> {
    let mut rest = words.clone();
    match rest.next().and_then(|word| word.strip_prefix('-')) {
        Some("n") => Some((rest.next()?.parse().ok()?, rest)),
        Some("") | None => Some((usual, words)),
        Some(count) => Some((count.parse().ok()?, rest)),
    }
}
