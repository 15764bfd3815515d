//! Numbers that look like chance, and are the same in every run with the same seed.

/// Marsaglia's xorshift.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// With a seed.
    pub const fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Between -1 and 1.
    pub fn signed(&mut self) -> f64 {
        // 53 bits: every number is exact.
        (self.bits() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}
