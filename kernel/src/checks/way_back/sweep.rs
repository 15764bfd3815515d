//! Stepping an LWP through a system call, instruction by instruction, and holding its processor at one of them.
//!
//! The program `sweep` makes the same call again and again. Such a *round* begins at a breakpoint at the first
//! instruction of the entry; the mark in `r15` tells its calls from others. From there on each instruction causes a
//! debug exception. At the one whose number is asked for the processor is held, interrupts off, until the request has
//! been made; then the call goes on unstepped. Where the next round begins, `r14` says what the first instruction of user
//! mode found.
//!
//! ```text
//!           +------------------------ next round ------------------------+
//!           v                                                            |
//!  ARMED -> STEPPING -> HELD -> GO -> DONE             STEPPING -> PAST -+   the path is shorter
//!                        +----> LOST                                         nobody made a request
//! ```
//!
//! Instructions are left out at which the interrupt level is raised: the dispatcher's locks are held there, so nobody
//! could make a request.

use crate::kernel::Kernel;
use crate::lwp;
use crate::system_call::entry_address;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use dispatch::Semaphore;
use machine::x86_64::breakpoint::{RESUME_FLAG, TRAP_FLAG};
use machine::x86_64::frame::TrapFrame;
use machine::{Cpu, Pil};

/// What the program has in `r15` when a round's call is made.
const MARK: u64 = 0x5eeb_0000_0001;

/// How long a processor is held at most, in nanoseconds.
const HELD_MAX: u64 = 10_000_000_000;

/// What a debug exception does.
pub mod state {
    /// It is nobody's here.
    pub const OFF: u32 = 0;
    /// Rounds go by.
    pub const IDLE: u32 = 1;
    /// The next round is stepped.
    pub const ARMED: u32 = 2;
    pub const STEPPING: u32 = 3;
    pub const HELD: u32 = 4;
    /// The request has been made.
    pub const GO: u32 = 5;
    /// The next round has begun.
    pub const DONE: u32 = 6;
    /// The round was over before the instruction came.
    pub const PAST: u32 = 7;
    /// The processor was held for too long.
    pub const LOST: u32 = 8;
}

/// Who is stepped, and where it is. See the module.
pub struct Sweep {
    state: AtomicU32,
    /// The number of the LWP.
    pub lwp: AtomicU64,
    /// The instruction at which it is held: counted from 1, an instruction that repeats itself once.
    pub target: AtomicU64,
    counted: AtomicU64,
    /// Where it is held.
    pub place: AtomicU64,
    /// What the first instruction of user mode found in the last round.
    pub found: AtomicU64,
    /// Rounds that have begun on the last processor.
    pub rounds: AtomicU64,
    /// Wakes the thread that preempts; when it ran last, and how often.
    pub wake: Semaphore,
    /// See [`Sweep::wake`].
    pub ran_at: AtomicU64,
    /// See [`Sweep::wake`].
    pub ran: AtomicU64,
}

impl Sweep {
    /// Nobody is stepped.
    pub fn new() -> Sweep {
        Sweep {
            state: AtomicU32::new(state::OFF),
            lwp: AtomicU64::new(0),
            target: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            place: AtomicU64::new(0),
            found: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
            wake: Semaphore::new(0),
            ran_at: AtomicU64::new(0),
            ran: AtomicU64::new(0),
        }
    }

    /// How far it is.
    pub fn state(&self) -> u32 {
        self.state.load(Ordering::Acquire)
    }

    /// Goes on.
    pub fn set(&self, state: u32) {
        self.state.store(state, Ordering::Release);
    }

    /// A debug exception has come, on its entry stack, interrupts off. Says whether it is the sweep's.
    pub fn debug_exception(&self, cpu: &Cpu, frame: &mut TrapFrame) -> bool {
        if self.state() == state::OFF {
            return false;
        }
        let is_meant =
            lwp::on(cpu).is_some_and(|lwp| lwp.number() == self.lwp.load(Ordering::Relaxed));
        if !frame.is_user() && frame.rip == entry_address() {
            frame.rflags |= RESUME_FLAG;
            if is_meant && frame.r15 == MARK {
                self.round_begins(frame);
            }
            return true;
        }
        if frame.is_user() && (!is_meant || frame.rflags & TRAP_FLAG != 0) {
            return false;
        }
        if !is_meant || self.state() != state::STEPPING {
            frame.rflags &= !TRAP_FLAG;
            return true;
        }
        // An instruction that repeats itself traps each time, and does not count again.
        let is_new = self.place.swap(frame.rip, Ordering::Relaxed) != frame.rip;
        if is_new && Pil::current() == Pil::NONE {
            let counted = self.counted.load(Ordering::Relaxed) + 1;
            self.counted.store(counted, Ordering::Relaxed);
            if counted == self.target.load(Ordering::Relaxed) {
                frame.rflags &= !TRAP_FLAG;
                self.hold();
            }
        }
        true
    }

    fn round_begins(&self, frame: &mut TrapFrame) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        match self.state() {
            state::ARMED => {
                self.counted.store(0, Ordering::Relaxed);
                self.place.store(0, Ordering::Relaxed);
                frame.rflags |= TRAP_FLAG;
                self.set(state::STEPPING);
            }
            state::STEPPING => self.set(state::PAST),
            state::GO => {
                self.found.store(frame.r14, Ordering::Relaxed);
                self.set(state::DONE);
            }
            _ => {}
        }
    }

    /// Keeps the processor until the request has been made.
    fn hold(&self) {
        let kernel = Kernel::current();
        let deadline = kernel.uptime_nanoseconds() + HELD_MAX;
        self.set(state::HELD);
        while self.state() == state::HELD {
            if kernel.uptime_nanoseconds() > deadline {
                return self.set(state::LOST);
            }
            core::hint::spin_loop();
        }
    }
}
