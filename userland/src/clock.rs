//! The time-stamp counter. Where instructions are counted, one tick is one instruction.

use abi::calls::TimeSpec;

/// The counter now.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor that this system runs on has the counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;

/// So many nanoseconds as Linux's structure.
pub fn span(nanoseconds: u64) -> TimeSpec {
    TimeSpec { seconds: (nanoseconds / SECOND) as i64, nanoseconds: (nanoseconds % SECOND) as i64 }
}

/// Nanoseconds since boot.
pub fn nanoseconds() -> u64 {
    let time = crate::system::monotonic_time();
    time.seconds as u64 * SECOND + time.nanoseconds as u64
}
