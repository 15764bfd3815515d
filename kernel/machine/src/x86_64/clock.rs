//! The time-stamp counter, its calibration, the one-shot timer.
//!
//! The counter is taken to run at one speed, the same on all processors, as on every processor of
//! the last fifteen years and under QEMU. Its speed, and that of the local APICs' timers, is
//! measured once at boot against the ACPI power-management timer, or, without one, against channel
//! 2 of the legacy interval timer.

use super::private::current_system;
use super::trap::vector;
use crate::Atomic;
use crate::time::{Frequency, TIMER_LEVEL, TIMER_LINE};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU64, Ordering};
use x86_64::instructions::port::{Port, PortReadOnly};

/// How fast the ACPI power-management timer runs.
const PM_TIMER_HERTZ: u64 = 3_579_545;
/// How fast the legacy interval timer runs.
const INTERVAL_TIMER_HERTZ: u64 = 1_193_182;
/// How long to measure: long against the time that one reading takes, short against a boot.
const MEASURE_NANOSECONDS: u64 = 1_000_000;

/// The measured speeds, in hertz; 0 until they are known. Set once, before there is a second
/// processor.
pub struct Clock {
    counter: AtomicU64,
    apic_timer: AtomicU64,
}

#[inline]
pub(crate) fn now() -> u64 {
    // SAFETY: reads a counter that every processor of this kind has.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// What the speeds are measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// The ACPI power-management timer at this port.
    PmTimer {
        /// Its I/O port.
        port: u16,
    },
    /// The legacy interval timer.
    IntervalTimer,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { counter: AtomicU64::new(0), apic_timer: AtomicU64::new(0) }
    }

    /// The speed of [`crate::time::now`], once it is known.
    pub fn frequency(&self) -> Option<Frequency> {
        Frequency::from_hertz(self.counter.load(Ordering::Acquire))
    }

    /// Measures both speeds. On the first processor, its local APIC on, before there are others.
    /// Says whether the result is sane.
    pub fn calibrate(&self, reference: Reference) -> bool {
        let apic = &current_system().backend.local_apic;
        apic.start_timer(None, u32::MAX);
        let (nanoseconds, ticks, apic_ticks) = match reference {
            Reference::PmTimer { port } => against_pm_timer(port),
            Reference::IntervalTimer => against_interval_timer(),
        };
        apic.start_timer(None, 0);
        let hertz =
            |count: u64| (u128::from(count) * 1_000_000_000 / u128::from(nanoseconds)) as u64;
        self.counter.store(hertz(ticks), Ordering::Release);
        self.apic_timer.store(hertz(apic_ticks), Ordering::Release);
        self.frequency().is_some() && hertz(apic_ticks) != 0
    }
}

/// One look at all three clocks at as nearly the same moment as can be had: of a few, the one that
/// took the shortest time, because a virtual processor may lose its host at any point.
fn look(reference: impl Fn() -> u64) -> (u64, u64, u64) {
    let apic = &current_system().backend.local_apic;
    let mut best = (u64::MAX, (0, 0, 0));
    for _ in 0..5 {
        let before = now();
        let seen = reference();
        let apic_count = u64::from(u32::MAX - apic.timer_count());
        let after = now();
        if after - before < best.0 {
            best = (after - before, (seen, before + (after - before) / 2, apic_count));
        }
    }
    best.1
}

fn against_pm_timer(port: u16) -> (u64, u64, u64) {
    /// The counter has 24 bits at least.
    const MASK: u64 = (1 << 24) - 1;
    let read = || {
        let mut port = PortReadOnly::<u32>::new(port);
        // SAFETY: the port that the firmware names; reading it has no effect.
        u64::from(unsafe { port.read() }) & MASK
    };
    let target = PM_TIMER_HERTZ * MEASURE_NANOSECONDS / 1_000_000_000;
    let (first, ticks, apic) = look(read);
    while (read().wrapping_sub(first) & MASK) < target {
        spin_loop();
    }
    let (last, later_ticks, later_apic) = look(read);
    let elapsed = last.wrapping_sub(first) & MASK;
    (elapsed * 1_000_000_000 / PM_TIMER_HERTZ, later_ticks - ticks, later_apic - apic)
}

fn against_interval_timer() -> (u64, u64, u64) {
    let mut gate = Port::<u8>::new(0x61);
    let mut command = Port::<u8>::new(0x43);
    let mut channel = Port::<u8>::new(0x42);
    // Gate of channel 2 on, speaker off; mode 0, counting down from the top.
    // SAFETY: the legacy timer's ports; channel 2 drives the speaker and nothing else.
    let before = unsafe { gate.read() };
    // SAFETY: as above.
    unsafe { gate.write(before & !2 | 1) };
    // SAFETY: as above.
    unsafe { command.write(0xb0) };
    for _ in 0..2 {
        // SAFETY: as above; low byte, then high byte.
        unsafe { channel.write(0xff) };
    }
    let read = || {
        let mut command = Port::<u8>::new(0x43);
        let mut channel = Port::<u8>::new(0x42);
        // SAFETY: latches channel 2's count.
        unsafe { command.write(0x80) };
        // SAFETY: reads the latched count, low byte first.
        let low = unsafe { channel.read() };
        // SAFETY: as above.
        let high = unsafe { channel.read() };
        u64::from(u16::MAX - u16::from_le_bytes([low, high]))
    };
    let target = INTERVAL_TIMER_HERTZ * MEASURE_NANOSECONDS / 1_000_000_000;
    let (first, ticks, apic) = look(read);
    while read().wrapping_sub(first) & 0xffff < target {
        spin_loop();
    }
    let (last, later_ticks, later_apic) = look(read);
    // SAFETY: the gate as it was.
    unsafe { gate.write(before) };
    let elapsed = (last.wrapping_sub(first) & 0xffff) * 1_000_000_000 / INTERVAL_TIMER_HERTZ;
    (elapsed, later_ticks - ticks, later_apic - apic)
}

pub(crate) fn set_timer(_: &Atomic, deadline: u64) {
    let state = &current_system().backend;
    let counter = state.clock.counter.load(Ordering::Acquire);
    let apic = state.clock.apic_timer.load(Ordering::Acquire);
    assert!(counter != 0 && apic != 0, "a timer is set before the clock is calibrated");
    let ticks = deadline.saturating_sub(now());
    // At least 1, as 0 would stop the timer. One that is too far away runs out early; whoever set
    // it looks at the clock.
    let count = (u128::from(ticks) * u128::from(apic)).div_ceil(u128::from(counter));
    let count = count.clamp(1, u128::from(u32::MAX)) as u32;
    state.local_apic.start_timer(Some(vector(TIMER_LEVEL, TIMER_LINE)), count);
}

pub(crate) fn stop_timer(_: &Atomic) {
    current_system().backend.local_apic.start_timer(None, 0);
}
