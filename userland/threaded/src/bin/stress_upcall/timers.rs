//! Timers that ring often: one for each virtual processor, and one for whichever is best.

use abi::activations::{SA_NONE, SA_WHILE_IT_RUNS, SIGEV_SA};
use abi::calls::{TimerEvent, TimerTimes};
use abi::errno::Errno;
use alloc::vec::Vec;
use core::ptr;
use libsa::runtime;
use userland::clock;
use userland::random::Random;
use userland::system::raw;

/// Shortest and longest period, in nanoseconds.
const SHORTEST: u64 = 300_000;
const LONGEST: u64 = 2_000_000;

/// Timers that ring until this is dropped.
pub struct Timers(Vec<i32>);

impl Timers {
    /// Every second of the virtual processors' timers rings only while the program runs there.
    pub fn start(random: &mut Random) -> Result<Timers, Errno> {
        let mut timers = Timers(Vec::new());
        let processors = runtime::scheduler().processors() as u32;
        let each =
            (0..processors).map(|one| if one % 2 == 0 { one | SA_WHILE_IT_RUNS } else { one });
        for whose in each.chain([SA_NONE]) {
            timers.add(whose, SHORTEST + random.below(LONGEST - SHORTEST))?;
        }
        Ok(timers)
    }

    fn add(&mut self, whose: u32, period: u64) -> Result<(), Errno> {
        const MONOTONIC: i32 = 1;
        let event =
            TimerEvent { value: u64::from(whose), notify: SIGEV_SA, ..TimerEvent::default() };
        let mut timer = 0;
        // SAFETY: both are there.
        unsafe { raw::timer_create(MONOTONIC, &raw const event, &raw mut timer) }?;
        self.0.push(timer);
        let period = clock::span(period);
        let times = TimerTimes { interval: period, value: period };
        // SAFETY: the times are there.
        unsafe { raw::timer_settime(timer, 0, &raw const times, ptr::null_mut()) }?;
        Ok(())
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        for timer in &self.0 {
            // SAFETY: the call writes to no memory.
            let deleted = unsafe { raw::timer_delete(*timer) };
            debug_assert!(deleted.is_ok(), "a timer that was made: {deleted:?}");
        }
    }
}
