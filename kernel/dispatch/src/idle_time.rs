//! How long a processor has had nothing to run, and how long it has been off line.
//!
//! Time is taken where the processor switches to its idle thread and away from it. A processor that goes off line, or
//! comes back, runs a pause thread at that moment ([`crate::pause`]); so what it goes on with afterwards is one stretch
//! of idling or one of being off line, never a mixture. What is neither is busy: *the three add up to the time since
//! the processor came up*. An interrupt that comes while the processor idles counts as idling, unless its handler blocks
//! and goes on later.
//!
//! The processor itself writes, at `DISP_LEVEL`. Whoever reads looks whether the version has changed meanwhile.
//! Core's atomics in every flavour: one writer, and nobody waits for what they say.
//!
//! Solaris: `cpu_mstate_snapshot`, `CMS_IDLE`.

use crate::cpu::CpuDispatch;
use crate::thread::Thread;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU8, AtomicU64, fence};

/// What a processor does.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Doing {
    Runs,
    Idles,
    IsOffLine,
}

/// What a processor's time has gone on, in ticks of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Running threads.
    pub busy: u64,
    /// Idling.
    pub idle: u64,
    /// Being off line.
    pub off_line: u64,
}

impl Times {
    /// The time since the processor came up.
    pub fn sum(&self) -> u64 {
        self.busy + self.idle + self.off_line
    }
}

/// A processor's times. See the module.
pub(crate) struct IdleTime {
    /// Odd while it is written.
    version: AtomicU64,
    /// When the processor came up.
    began: AtomicU64,
    /// Since when it does what it does.
    since: AtomicU64,
    /// A [`Doing`].
    doing: AtomicU8,
    idle: AtomicU64,
    off_line: AtomicU64,
}

impl IdleTime {
    pub(crate) fn new() -> IdleTime {
        IdleTime {
            version: AtomicU64::new(0),
            began: AtomicU64::new(0),
            since: AtomicU64::new(0),
            doing: AtomicU8::new(Doing::Runs as u8),
            idle: AtomicU64::new(0),
            off_line: AtomicU64::new(0),
        }
    }

    /// The processor comes up, and idles or runs a thread.
    pub(crate) fn begin(&self, idles: bool, now: u64) {
        self.change(|| {
            self.began.store(now, Relaxed);
            self.since.store(now, Relaxed);
            let doing = if idles { Doing::Idles } else { Doing::Runs };
            self.doing.store(doing as u8, Relaxed);
        });
    }

    fn change(&self, change: impl FnOnce()) {
        let version = self.version.load(Relaxed);
        self.version.store(version + 1, Relaxed);
        fence(Release);
        change();
        self.version.store(version + 2, Release);
    }

    /// Where the time goes that is spent on this; none for running threads: that is the rest.
    fn spent_on(&self, doing: u8) -> Option<&AtomicU64> {
        match doing {
            it if it == Doing::Idles as u8 => Some(&self.idle),
            it if it == Doing::IsOffLine as u8 => Some(&self.off_line),
            _ => None,
        }
    }

    fn runs(&self) -> bool {
        self.doing.load(Relaxed) == Doing::Runs as u8
    }

    #[inline(never)]
    fn pass(&self, to: Doing, now: u64) {
        let since = self.since.load(Relaxed);
        let now = now.max(since);
        self.change(|| {
            if let Some(spent) = self.spent_on(self.doing.load(Relaxed)) {
                spent.store(spent.load(Relaxed) + (now - since), Relaxed);
            }
            self.since.store(now, Relaxed);
            self.doing.store(to as u8, Relaxed);
        });
    }

    fn times(&self, now: u64) -> Times {
        loop {
            let version = self.version.load(Acquire);
            let (began, since) = (self.began.load(Relaxed), self.since.load(Relaxed));
            let doing = self.doing.load(Relaxed);
            let mut times = Times {
                busy: 0,
                idle: self.idle.load(Relaxed),
                off_line: self.off_line.load(Relaxed),
            };
            fence(Acquire);
            if !version.is_multiple_of(2) || self.version.load(Relaxed) != version {
                machine::spin();
                continue;
            }
            // The counters of two processors may differ by a little.
            let now = now.max(since);
            match doing {
                it if it == Doing::Idles as u8 => times.idle += now - since,
                it if it == Doing::IsOffLine as u8 => times.off_line += now - since,
                _ => {}
            }
            times.busy = now - began - times.idle - times.off_line;
            return times;
        }
    }
}

/// The processor is about to switch to a thread.
#[inline]
pub(crate) fn note_switch(cpu: &CpuDispatch, to: &Thread, now: u64) {
    let idles = cpu.is_idle_thread(to);
    if idles == cpu.idle_time.runs() {
        let doing = match idles {
            false => Doing::Runs,
            true if cpu.is_offline() => Doing::IsOffLine,
            true => Doing::Idles,
        };
        cpu.idle_time.pass(doing, now);
    }
}

/// What a processor's time has gone on up to now, which may be another processor's now; nothing if it has not come up.
pub fn times(cpu: &CpuDispatch, now: u64) -> Times {
    if cpu.idle_time.version.load(Acquire) == 0 {
        return Times::default();
    }
    cpu.idle_time.times(now)
}
