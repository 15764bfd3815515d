//! Interrupts that have not been taken yet: what the request register of an interrupt controller
//! holds, one per processor.
//!
//! Anybody may raise a wire. The thread that holds the processor takes the highest that is let
//! through. A wire that is raised twice before it is taken is raised once.
//!
//! Whoever raises a wire has written before what the interrupt is about; taking it makes that
//! visible, also if the wire was raised already. The mutex does both.

use super::flavour::{Condvar, Mutex, lock, wait_until};
use crate::Pil;
use atomics::{AtomicU32, Ordering};

/// Per level, bit `n` set: line `n` is raised.
struct Lines([u16; 16]);

impl Lines {
    fn levels(&self) -> u32 {
        (0..16).filter(|&level| self.0[level] != 0).map(|level| 1 << level).sum()
    }
}

/// A processor's wires.
pub(crate) struct Wires {
    /// The levels of `lines`, so that the look at an interrupt point costs one load. It may be out
    /// of date, as an interrupt may be late.
    levels: AtomicU32,
    lines: Mutex<Lines>,
    raised: Condvar,
}

/// The levels above `held`.
fn above(held: Pil) -> u32 {
    u32::MAX << (held.number() + 1)
}

impl Wires {
    pub(crate) fn new() -> Wires {
        Wires {
            levels: AtomicU32::new(0),
            lines: Mutex::new(Lines([0; 16])),
            raised: Condvar::new(),
        }
    }

    /// Raises a wire.
    pub(crate) fn raise(&self, level: Pil, line: u8) {
        let mut lines = lock(&self.lines);
        lines.0[usize::from(level.number())] |= 1 << line;
        self.levels.store(lines.levels(), Ordering::Release);
        drop(lines);
        self.raised.notify_one();
    }

    /// Takes the highest wire above `held`.
    pub(crate) fn take(&self, held: Pil) -> Option<(Pil, u8)> {
        if self.levels.load(Ordering::Acquire) & above(held) == 0 {
            return None;
        }
        let mut lines = lock(&self.lines);
        let level = (lines.levels() & above(held)).checked_ilog2()? as u8;
        let of_level = &mut lines.0[usize::from(level)];
        let line = of_level.trailing_zeros() as u8;
        *of_level &= !(1 << line);
        self.levels.store(lines.levels(), Ordering::Release);
        Some((Pil::new(level), line))
    }

    /// Waits until a wire above `held` is raised.
    pub(crate) fn wait(&self, held: Pil, index: usize) {
        let what = || std::format!("processor {index} has halted and nothing wakes it");
        drop(wait_until(&self.lines, &self.raised, what, |lines| {
            lines.levels() & above(held) != 0
        }));
    }
}
