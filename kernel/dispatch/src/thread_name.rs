//! A thread's name: for people, in reports.
//!
//! Anybody may ask for the name of any thread at any time, also in a panic, while the thread's object is
//! being made into another thread. So it is kept in a few words in the thread: who reads meanwhile gets a
//! mixture of two names, and never memory that is not the thread's.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

/// Longest name of a thread, in bytes; longer ones are cut.
pub const NAME_MAX: usize = 24;

/// Bytes in a word.
const WORD: usize = size_of::<u64>();

/// The name, in the thread. Core's atomics in every flavour: nothing depends on it.
pub(crate) struct NameCell {
    /// Bytes of ASCII, the first one lowest; 0 from the end on.
    words: [AtomicU64; NAME_MAX / WORD],
}

impl NameCell {
    pub(crate) fn new() -> NameCell {
        NameCell { words: [const { AtomicU64::new(0) }; NAME_MAX / WORD] }
    }

    /// Changes the name; what is not ASCII is shown as `?`.
    pub(crate) fn set(&self, name: &str) {
        let mut bytes = [0; NAME_MAX];
        for (place, letter) in bytes.iter_mut().zip(name.chars()) {
            *place = if matches!(letter, ' '..='~') { letter as u8 } else { b'?' };
        }
        for (word, bytes) in self.words.iter().zip(bytes.as_chunks::<WORD>().0) {
            word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
        }
    }

    pub(crate) fn get(&self) -> ThreadName {
        let mut name = [0; NAME_MAX];
        for (word, bytes) in self.words.iter().zip(name.as_chunks_mut::<WORD>().0) {
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
        ThreadName(name)
    }
}

/// A copy of a thread's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ThreadName([u8; NAME_MAX]);

impl ThreadName {
    /// As text.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(NAME_MAX);
        core::str::from_utf8(&self.0[..end]).unwrap_or("?")
    }
}

impl fmt::Display for ThreadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ThreadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::{NAME_MAX, NameCell};

    #[test]
    fn names_are_kept_cut_and_replaced() {
        let cell = NameCell::new();
        assert_eq!(cell.get().as_str(), "");
        cell.set("a thread with a name that is longer than that");
        assert_eq!(
            cell.get().as_str(),
            "a thread with a name that is longer than that".split_at(NAME_MAX).0
        );
        cell.set("short, ä\n");
        assert_eq!(cell.get().as_str(), "short, ??");
    }
}
