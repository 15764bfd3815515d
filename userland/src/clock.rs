//! The time-stamp counter. Where instructions are counted, one tick is one instruction.

/// The counter now.
#[inline(always)]
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor that this system runs on has the counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}
