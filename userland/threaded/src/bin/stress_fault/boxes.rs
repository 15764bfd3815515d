//! Memory of the library's allocator. Half of the boxes are given back without a look at them: then the first who touches
//! them after a long time is the allocator, in a critical section.

use alloc::boxed::Box;
use alloc::vec::Vec;
use threaded::many::Outcome;
use userland::fail;

/// Words of a box: it has the same size as a page.
const WORDS: usize = 512;

/// A thread's boxes.
pub struct Boxes {
    owner: u64,
    count: u64,
    boxes: Vec<Box<[u64; WORDS]>>,
}

impl Boxes {
    /// None yet, of so many.
    pub fn new(owner: u64, count: u64) -> Boxes {
        Boxes { owner, count, boxes: Vec::with_capacity(count as usize) }
    }

    /// How many there are, after the first round.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Gives all back, and takes as many new ones.
    pub fn exchange(&mut self, round: u64) -> Outcome {
        let outcome = if round == 0 { Ok(()) } else { self.look_at(round, 2) };
        self.boxes.clear();
        for number in 0..self.count {
            // Written where it is: a stack has less room.
            let mut new = Box::<[u64; WORDS]>::new_uninit();
            let words = new.as_mut_ptr().cast::<u64>();
            for word in 0..WORDS {
                // SAFETY: within the box.
                unsafe { words.wrapping_add(word).write(self.word(number, word, round)) };
            }
            // SAFETY: all words were written.
            self.boxes.push(unsafe { new.assume_init() });
        }
        outcome
    }

    /// What a word should be.
    fn word(&self, number: u64, word: usize, round: u64) -> u64 {
        round << 48 | self.owner << 32 | number << 12 | word as u64
    }

    /// Looks at every so manyeth, as the round before this one has left it.
    pub fn look_at(&self, round: u64, step: usize) -> Outcome {
        for (number, found) in self.boxes.iter().enumerate().step_by(step) {
            for word in [0, 1, WORDS / 2, WORDS - 1] {
                let expected = self.word(number as u64, word, round - 1);
                if found[word] != expected {
                    fail!("box {number}, word {word}: {:#x} instead of {expected:#x}", found[word]);
                }
            }
        }
        Ok(())
    }
}
