//! Microstate accounting: what an LWP spends its time on, always on, to the tick.
//!
//! An LWP is in one [`Microstate`] at any moment. [`Accounts`] has the time spent in each, and since when it is in the
//! one that it is in now. A change adds the time since then to the old state and begins the new one at the same tick,
//! so *the sum of the states is the LWP's lifetime*: nothing is sampled, nothing lost.
//!
//! ```text
//!   user mode: User        --call-->  System  --copy that faults-->  KernelFault
//!                          --trap-->  Trap, TextFault, DataFault
//!   any of them, without a processor: Sleep (or UserLock, Stopped; faults stay faults), then WaitCpu
//! ```
//!
//! Who writes: the LWP itself, or the processor that leaves or enters its thread, one after the other. So no step needs
//! a locked instruction. Who reads meanwhile ([`Accounts::snapshot`]) tries until what has been read adds up.
//!
//! Solaris: `struct mstate`, `new_mstate`, `syscall_mstate`.

#![no_std]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// What an LWP does, or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Microstate {
    /// It runs in user mode: LWP_USER. In all others it is LWP_SYS.
    User,
    /// It runs in a system call, or does what was asked of it on the way back.
    System,
    /// It runs in another trap.
    Trap,
    /// A page of its code is not there. Includes the wait for it.
    TextFault,
    /// A page of its data is not there. Includes the wait for it.
    DataFault,
    /// A page is not there that a system call copies from or to. Includes the wait for it.
    KernelFault,
    /// It is parked: it waits for a lock of its process's own.
    UserLock,
    /// It sleeps for anything else.
    Sleep,
    /// It could run, and has no processor.
    WaitCpu,
    /// It is stopped, or suspended.
    Stopped,
}

/// How many microstates there are.
pub const MICROSTATES: usize = 10;

impl Microstate {
    /// All, in order of number.
    pub const ALL: [Microstate; MICROSTATES] = [
        Microstate::User,
        Microstate::System,
        Microstate::Trap,
        Microstate::TextFault,
        Microstate::DataFault,
        Microstate::KernelFault,
        Microstate::UserLock,
        Microstate::Sleep,
        Microstate::WaitCpu,
        Microstate::Stopped,
    ];

    fn from_number(number: u8) -> Microstate {
        *Self::ALL.get(usize::from(number)).unwrap_or(&Microstate::System)
    }

    /// Whether a page fault is being handled.
    fn is_fault(self) -> bool {
        matches!(self, Microstate::TextFault | Microstate::DataFault | Microstate::KernelFault)
    }
}

/// Why a thread leaves its processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// To sleep.
    ToSleep,
    /// Because others are to run.
    Preempted,
    /// To be stopped.
    Stopped,
}

/// The time of an LWP in each state, in ticks of the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times(pub [u64; MICROSTATES]);

impl Times {
    /// The time in one state.
    pub fn of(&self, state: Microstate) -> u64 {
        self.0[state as usize]
    }

    /// All of it.
    pub fn sum(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The time in the kernel that counts as work: system calls, traps, faults.
    pub fn system(&self) -> u64 {
        use Microstate::{DataFault, KernelFault, System, TextFault, Trap};
        [System, Trap, TextFault, DataFault, KernelFault].map(|state| self.of(state)).iter().sum()
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Times) {
        for (to, from) in self.0.iter_mut().zip(other.0) {
            *to += from;
        }
    }
}

/// The accounts of an LWP. See the module.
pub struct Accounts {
    /// When the state began that it is in.
    since: AtomicU64,
    /// That state.
    state: AtomicU8,
    /// What it goes back to when it has a processor again.
    resumes: AtomicU8,
    /// What its sleeps count as.
    sleeps_as: AtomicU8,
    /// When it began.
    began: AtomicU64,
    /// Time in each state, without the present one.
    times: [AtomicU64; MICROSTATES],
}

impl Accounts {
    /// Of an LWP that is made now and waits for its first processor.
    pub fn new(now: u64) -> Accounts {
        Accounts {
            since: AtomicU64::new(now),
            state: AtomicU8::new(Microstate::WaitCpu as u8),
            resumes: AtomicU8::new(Microstate::System as u8),
            sleeps_as: AtomicU8::new(Microstate::Sleep as u8),
            began: AtomicU64::new(now),
            times: [const { AtomicU64::new(0) }; MICROSTATES],
        }
    }

    /// Where entry stubs find [`Microstate`]'s number and the time since when, in bytes.
    pub const STATE: usize = core::mem::offset_of!(Accounts, state);
    /// See [`Accounts::STATE`].
    pub const SINCE: usize = core::mem::offset_of!(Accounts, since);
    /// Where they find the time in [`Microstate::User`], and in [`Microstate::System`].
    pub const TIME_IN_USER: usize =
        core::mem::offset_of!(Accounts, times) + 8 * Microstate::User as usize;
    /// See [`Accounts::TIME_IN_USER`].
    pub const TIME_IN_SYSTEM: usize =
        core::mem::offset_of!(Accounts, times) + 8 * Microstate::System as usize;

    /// Ends the time in `from`, the state that it is in, and begins `to`. The counters of two processors may differ by
    /// a little: time does not go back for that.
    #[inline(always)]
    fn pass(&self, from: Microstate, to: Microstate, now: u64) {
        let since = self.since.load(Relaxed);
        let now = now.max(since);
        let time = &self.times[from as usize];
        time.store(time.load(Relaxed) + (now - since), Relaxed);
        self.since.store(now, Relaxed);
        self.state.store(to as u8, Relaxed);
    }

    /// A system call begins, from user mode.
    #[inline(always)]
    pub fn call_begins(&self, now: u64) {
        self.pass(Microstate::User, Microstate::System, now);
    }

    /// It goes to user mode, from a system call.
    #[inline(always)]
    pub fn call_ends(&self, now: u64) {
        self.pass(Microstate::System, Microstate::User, now);
    }

    /// The state that it is in.
    pub fn state(&self) -> Microstate {
        Microstate::from_number(self.state.load(Relaxed))
    }

    /// Goes to another state; returns the one before, to go back to.
    pub fn enter(&self, state: Microstate, now: u64) -> Microstate {
        let before = self.state();
        self.pass(before, state, now);
        before
    }

    /// Says what its sleeps count as from here on; returns what they did.
    pub fn sleeps_as(&self, state: Microstate) -> Microstate {
        let before = Microstate::from_number(self.sleeps_as.load(Relaxed));
        self.sleeps_as.store(state as u8, Relaxed);
        before
    }

    /// Its processor leaves it.
    pub fn leaves(&self, why: Leaves, now: u64) {
        let state = self.state();
        self.resumes.store(state as u8, Relaxed);
        let off = match why {
            Leaves::Preempted => Microstate::WaitCpu,
            Leaves::Stopped => Microstate::Stopped,
            Leaves::ToSleep if state.is_fault() => state,
            Leaves::ToSleep => Microstate::from_number(self.sleeps_as.load(Relaxed)),
        };
        self.pass(state, off, now);
    }

    /// A processor comes to it. `runnable_at`: when it was last woken.
    pub fn arrives(&self, runnable_at: u64, now: u64) {
        let state = self.state();
        if state != Microstate::WaitCpu {
            let since = self.since.load(Relaxed);
            self.pass(state, Microstate::WaitCpu, runnable_at.clamp(since, now.max(since)));
        }
        let resumes = Microstate::from_number(self.resumes.load(Relaxed));
        self.pass(Microstate::WaitCpu, resumes, now);
    }

    /// The time in user mode, without the present stretch. It never goes back, whoever asks.
    #[inline]
    pub fn past_user_time(&self) -> u64 {
        self.times[Microstate::User as usize].load(Relaxed)
    }

    /// When it began.
    pub fn began(&self) -> u64 {
        self.began.load(Relaxed)
    }

    /// The times up to now, which may be another processor's now, and the state. `None`: they have changed too often
    /// while they were read.
    pub fn snapshot(&self, now: u64) -> Option<(Times, Microstate)> {
        const TRIES: u32 = 1000;
        for _ in 0..TRIES {
            let since = self.since.load(Relaxed);
            let state = self.state();
            let mut times = Times(self.times.each_ref().map(|time| time.load(Relaxed)));
            // Where a change was half done, this does not add up.
            let adds_up = times.sum() == since - self.began();
            if adds_up && self.since.load(Relaxed) == since && self.state() == state {
                times.0[state as usize] += now.max(since) - since;
                return Some((times, state));
            }
            core::hint::spin_loop();
        }
        None
    }

    /// The same, from the LWP itself, or for one that is over.
    pub fn own(&self, now: u64) -> Times {
        let mut times = Times(self.times.each_ref().map(|time| time.load(Relaxed)));
        let since = self.since.load(Relaxed);
        times.0[self.state() as usize] += now.max(since) - since;
        times
    }
}
