//! Time: ticks, nanoseconds, the one-shot timer.
//!
//! The clock is the processor's time-stamp counter, the same on every processor; under `-icount`
//! one tick is one instruction. Its frequency is measured once at boot.

use crate::capability::Atomic;
use crate::{Pil, backend};

/// The level of the timer's interrupt.
pub const TIMER_LEVEL: Pil = Pil::CLOCK;

/// The line of the timer's interrupt within its level.
pub const TIMER_LINE: u8 = 0;

/// The clock, in ticks since some moment before boot.
#[inline]
pub fn now() -> u64 {
    backend::now()
}

/// A frequency in hertz, prepared so that ticks become nanoseconds by one multiplication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frequency {
    hertz: u64,
    /// Nanoseconds per tick, as a 32.32 fixed-point number.
    nanoseconds_per_tick: u64,
}

impl Frequency {
    /// A frequency of 1 MHz to 1 THz.
    pub const fn from_hertz(hertz: u64) -> Option<Frequency> {
        if hertz < 1_000_000 || hertz > 1_000_000_000_000 {
            return None;
        }
        let nanoseconds_per_tick = ((1_000_000_000u128 << 32) / hertz as u128) as u64;
        Some(Frequency { hertz, nanoseconds_per_tick })
    }

    /// In hertz.
    pub const fn hertz(self) -> u64 {
        self.hertz
    }

    /// How long `ticks` last, rounded down; right to 2^-32 ns a tick.
    pub const fn nanoseconds(self, ticks: u64) -> u64 {
        ((ticks as u128 * self.nanoseconds_per_tick as u128) >> 32) as u64
    }

    /// How many ticks `nanoseconds` last, rounded up.
    pub const fn ticks(self, nanoseconds: u64) -> u64 {
        (nanoseconds as u128 * self.hertz as u128).div_ceil(1_000_000_000) as u64
    }
}

/// Sets the current processor's timer to run out at `deadline` (in ticks of [`now`]); a deadline
/// in the past runs out at once. Replaces the deadline from before.
pub fn set_timer(atomic: &Atomic, deadline: u64) {
    backend::set_timer(atomic, deadline);
}

/// Takes the current processor's deadline away.
pub fn stop_timer(atomic: &Atomic) {
    backend::stop_timer(atomic);
}

#[cfg(test)]
mod tests {
    use super::Frequency;

    #[test]
    fn ticks_and_nanoseconds_agree() {
        for hertz in [1_000_000, 19_200_000, 1_000_000_000, 2_099_998_123, 5_000_000_000] {
            let frequency = Frequency::from_hertz(hertz).unwrap();
            for nanoseconds in [0, 1, 999, 1_000_000, 3_600_000_000_000] {
                let back = frequency.nanoseconds(frequency.ticks(nanoseconds));
                let tick = 1_000_000_000 / hertz + 1;
                // The fixed-point error grows with the number of ticks.
                let error = (frequency.ticks(nanoseconds) >> 32) + tick + 1;
                assert!(
                    back.abs_diff(nanoseconds) <= error,
                    "{hertz} Hz, {nanoseconds} ns: {back}"
                );
            }
        }
    }

    #[test]
    fn absurd_frequencies_are_refused() {
        for hertz in [0, 999_999, 1_000_000_000_001] {
            assert_eq!(Frequency::from_hertz(hertz), None);
        }
    }
}
