//! Random bytes: good enough for tests, ports and seeds; no secret depends on them. They are different in every run that
//! is not replayed.
//!
//! Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, 2014.

use machine::{SpinLock, time};

/// Where random bytes come from.
pub struct Random(SpinLock<u64, 13>);

impl Random {
    /// One that has not been asked yet.
    pub fn new() -> Random {
        Random(SpinLock::new(0))
    }

    /// Fills a place.
    pub fn fill(&self, to: &mut [u8]) {
        for part in to.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
    }

    fn next(&self) -> u64 {
        let mut state = {
            let mut state = self.0.lock_anywhere();
            // When somebody asks is the part that cannot be foreseen.
            *state = (*state ^ time::now()).wrapping_add(0x9e37_79b9_7f4a_7c15);
            *state
        };
        state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ state >> 31
    }
}
