//! The music: what is in the file, and what it sounds like. All of it is made by rules, so that every block can be checked.
//!
//! A block of the file is 4 KiB of words. To decode it takes a dictionary of 4 MiB, in which each block looks in a
//! few places that depend on what is in the block; so most of it lies unused for a while, and goes to swap space first.

use alloc::vec::Vec;

/// Words of a block.
pub const WORDS: usize = 512;
/// Blocks of the file: 8 MiB.
pub const BLOCKS: u64 = 2048;
/// Words that are decoded with one place of the dictionary.
const RUN: usize = 32;
/// Words of the dictionary.
const DICTIONARY: usize = 512 * 1024;
/// How often each word is mixed.
const ROUNDS: usize = 16;

/// A block, of the file or decoded.
#[derive(Clone)]
#[repr(C)]
pub struct Block {
    /// Its place in what is played.
    pub number: u64,
    pub words: [u64; WORDS],
}

impl Block {
    /// Nothing is in it.
    pub fn new(number: u64) -> Block {
        Block { number, words: [0; WORDS] }
    }

    /// One number for all of it.
    pub fn digest(&self) -> u64 {
        self.words.iter().fold(self.number, |digest, word| add(digest, *word))
    }
}

fn add(digest: u64, word: u64) -> u64 {
    (digest ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(29)
}

/// From a number to one that looks like chance (the end of splitmix64).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 27
}

/// A word of the file.
pub fn word_of_file(block: u64, place: usize) -> u64 {
    mix((block % BLOCKS) * WORDS as u64 + place as u64)
}

/// A word of the dictionary.
fn word_of_dictionary(place: usize) -> u64 {
    mix(!(place as u64))
}

/// Where in the dictionary a word is looked up, by the first word of its run.
fn place_in_dictionary(first: u64, place: usize) -> usize {
    (first >> 20) as usize % (DICTIONARY / RUN) * RUN + place % RUN
}

fn decoded(word: u64, from_dictionary: u64) -> u64 {
    (0..ROUNDS).fold(word ^ from_dictionary, |word, _| mix(word))
}

/// The digest that a block must have when it is decoded: from the rules alone, without any memory.
pub fn expected(number: u64) -> u64 {
    (0..WORDS).fold(number, |digest, place| {
        let first = word_of_file(number, place - place % RUN);
        let word = word_of_dictionary(place_in_dictionary(first, place));
        add(digest, decoded(word_of_file(number, place), word))
    })
}

/// The dictionary.
pub struct Dictionary(Vec<u64>);

impl Dictionary {
    /// Writes it.
    pub fn new() -> Dictionary {
        Dictionary((0..DICTIONARY).map(word_of_dictionary).collect())
    }

    /// Decodes a block in place.
    pub fn decode(&self, block: &mut Block) {
        for run in block.words.chunks_mut(RUN) {
            let first = run[0];
            for (place, word) in run.iter_mut().enumerate() {
                *word = decoded(*word, self.0[place_in_dictionary(first, place)]);
            }
        }
    }
}
