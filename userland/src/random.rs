//! Numbers that look like chance, and are the same in every run with the same seed.

/// A row of them.
pub struct Random(pub u64);

impl Random {
    /// The row of one of many who have the same seed.
    pub fn of(seed: u64, who: u64) -> Random {
        // D. Knuth's multiplier: neighbours get rows that have nothing in common. 0 would stay 0.
        let mixed =
            (seed ^ who.rotate_left(32)).wrapping_add(1).wrapping_mul(6_364_136_223_846_793_005);
        let mut random = Random(mixed | 1);
        random.below(1);
        random
    }

    /// The next 53 bits.
    fn bits(&mut self) -> u64 {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    /// The next one, below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    /// The next one, between -1 and 1.
    pub fn signed(&mut self) -> f64 {
        // 53 bits: every number is exact.
        self.bits() as f64 / (1_u64 << 52) as f64 - 1.0
    }
}
