//! Physical memory: frames of 512 words, by their physical addresses.
//!
//! Nothing says which frames there are: who uses an address uses memory. A frame that nobody has written
//! is full of garbage, another in every word of every frame, never 0: who relies on fresh frames being
//! empty is found.
//!
//! Each word that is used is an atomic of the flavour's, so that checkers see the accesses; which words
//! there are is bookkeeping. A word comes into being at its first use: a loom model uses its words
//! before it starts the threads that share them.

use super::baton::current_system;
use atomics::{AtomicU64, Ordering};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::Vec;

/// Bytes of a frame.
const FRAME: u64 = 4096;
/// Bytes of a word.
const WORD: u64 = 8;

/// What the words of a frame hold that nobody has used one by one.
#[derive(Clone, Copy)]
enum Background {
    /// Garbage that depends on this number.
    Garbage(u64),
    /// Zeros.
    Clear,
}

impl Background {
    fn word(self, index: u16) -> u64 {
        match self {
            Background::Clear => 0,
            // Any odd number mixes well enough.
            Background::Garbage(seed) => {
                (seed + u64::from(index)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
            }
        }
    }
}

/// A frame.
struct Frame {
    background: Background,
    words: BTreeMap<u16, Arc<AtomicU64>>,
}

impl Frame {
    fn fresh(frame: u64) -> Frame {
        Frame { background: Background::Garbage(frame), words: BTreeMap::new() }
    }

    fn word(&mut self, index: u16) -> Arc<AtomicU64> {
        let background = self.background;
        let word = self.words.entry(index);
        Arc::clone(word.or_insert_with(|| Arc::new(AtomicU64::new(background.word(index)))))
    }
}

/// The physical memory of a system.
pub(crate) struct Memory(Mutex<BTreeMap<u64, Frame>>);

impl Memory {
    pub(crate) fn new() -> Memory {
        Memory(Mutex::new(BTreeMap::new()))
    }

    /// Does something with a frame, in one step as far as the checkers are concerned.
    fn with<R>(&self, frame: u64, act: impl FnOnce(&mut Frame) -> R) -> R {
        assert!(frame.is_multiple_of(FRAME), "{frame:#x} is not the address of a frame");
        let mut frames = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(frames.entry(frame).or_insert_with(|| Frame::fresh(frame)))
    }

    /// The word at a physical address.
    pub(crate) fn word(&self, address: u64) -> Arc<AtomicU64> {
        assert!(address.is_multiple_of(WORD), "{address:#x} is not the address of a word");
        let index = (address % FRAME / WORD) as u16;
        self.with(address & !(FRAME - 1), |frame| frame.word(index))
    }

    /// The word at a physical address, if it has been used; if not, what is there.
    pub(crate) fn used_word(&self, address: u64) -> Result<Arc<AtomicU64>, u64> {
        let index = (address % FRAME / WORD) as u16;
        self.with(address & !(FRAME - 1), |frame| {
            frame.words.get(&index).cloned().ok_or(frame.background.word(index))
        })
    }

    /// Fills a frame with zeros, word by word.
    pub(crate) fn clear(&self, frame: u64) {
        let words: Vec<_> = self.with(frame, |frame| {
            frame.background = Background::Clear;
            frame.words.values().cloned().collect()
        });
        for word in words {
            word.store(0, Ordering::Release);
        }
    }

    /// Fills a frame with zeros from a byte on, word by word.
    pub(crate) fn clear_from(&self, frame: u64, byte: u64) {
        for address in (frame + byte / WORD * WORD..frame + FRAME).step_by(WORD as usize) {
            let word = self.word(address);
            // The first word may have bytes that stay: the lower ones.
            let kept = (frame + byte).saturating_sub(address).min(WORD) * 8;
            word.store(word.load(Ordering::Acquire) & ((1 << kept) - 1), Ordering::Release);
        }
    }

    /// Copies bytes out of a frame.
    pub(crate) fn read(&self, address: u64, to: &mut [u8]) {
        for (address, byte) in (address..).zip(to) {
            let word = self.word(address / WORD * WORD).load(Ordering::Acquire);
            *byte = word.to_le_bytes()[(address % WORD) as usize];
        }
    }

    /// Copies bytes into a frame.
    pub(crate) fn write(&self, address: u64, from: &[u8]) {
        for (address, byte) in (address..).zip(from) {
            let word = self.word(address / WORD * WORD);
            let mut bytes = word.load(Ordering::Acquire).to_le_bytes();
            bytes[(address % WORD) as usize] = *byte;
            word.store(u64::from_le_bytes(bytes), Ordering::Release);
        }
    }

    /// Copies a frame, word by word.
    pub(crate) fn copy(&self, from: u64, to: u64) {
        let (background, words) = self.with(from, |from| (from.background, from.words.clone()));
        let places: Vec<_> = self.with(to, |to| {
            for &index in words.keys() {
                to.word(index);
            }
            to.background = background;
            to.words.iter().map(|(&index, place)| (index, Arc::clone(place))).collect()
        });
        for (index, place) in places {
            let word = words.get(&index);
            let value = word.map_or(background.word(index), |word| word.load(Ordering::Acquire));
            place.store(value, Ordering::Release);
        }
    }
}

/// The word at a physical address of the current system's.
pub fn load(address: u64) -> u64 {
    current_system().backend.memory.word(address).load(Ordering::Acquire)
}

/// Sets it.
pub fn store(address: u64, value: u64) {
    current_system().backend.memory.word(address).store(value, Ordering::Release);
}
