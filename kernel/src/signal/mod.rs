//! Signals.
//!
//! | file | concept |
//! |---|---|
//! | this one | numbers, names, what comes with a signal |
//! | [`actions`] | what signals do in a process: handlers, defaults |
//! | [`pending`] | signals that have been sent and not acted on |
//! | [`send`] | sending one |
//! | [`deliver`] | acting on one, on the way to user mode |
//! | [`frame`] | what a handler finds on its stack, and the way back from it |
//! | [`alarm`] | a process's timer |
//! | [`jobs`] | terminals and the groups that use them |
//! | [`wait`] | waiting for signals |
//!
//! A signal is pending for a process or for one of its LWPs. Sending notes it and notifies an LWP that does not hold it
//! back; that one takes it on its way to user mode. Who begins to hold a signal back, or ends, passes on what it may
//! have been notified of ([`redistribute`]). Sending needs no memory and never sleeps, so timers and drivers can.
//!
//! A signal that is pending is not noted again: there is one of each at a time, real-time signals included.

pub mod actions;
pub mod alarm;
pub mod deliver;
pub mod frame;
pub mod jobs;
pub mod pending;
pub mod send;
pub mod wait;

pub use actions::OfProcess;
pub use pending::OfLwp;
pub use send::redistribute;

/// Ctrl-C.
pub const SIGINT: u8 = 2;
/// Ctrl-\.
pub const SIGQUIT: u8 = 3;
/// An instruction that does not exist, or is not the program's to execute.
pub const SIGILL: u8 = 4;
/// A breakpoint or a step.
pub const SIGTRAP: u8 = 5;
/// An access that the memory behind it cannot serve.
pub const SIGBUS: u8 = 7;
/// A division by zero, or a floating-point error.
pub const SIGFPE: u8 = 8;
/// The end, whatever the program thinks of it.
pub const SIGKILL: u8 = 9;
/// An access to memory that is not the program's.
pub const SIGSEGV: u8 = 11;
/// A pipe that nobody reads.
pub const SIGPIPE: u8 = 13;
/// A timer.
pub const SIGALRM: u8 = 14;
/// A child has ended, was stopped, or goes on.
pub const SIGCHLD: u8 = 17;
/// Go on.
pub const SIGCONT: u8 = 18;
/// Stop, whatever the program thinks of it.
pub const SIGSTOP: u8 = 19;
/// Ctrl-Z.
pub const SIGTSTP: u8 = 20;
/// A process in the background reads from its terminal.
pub const SIGTTIN: u8 = 21;
/// A process in the background writes to its terminal.
pub const SIGTTOU: u8 = 22;
/// Urgent data.
const SIGURG: u8 = 23;
/// The window has changed.
const SIGWINCH: u8 = 28;

/// Where a signal comes from, with Linux's numbers.
pub mod code {
    pub const USER: i32 = 0;
    pub const KERNEL: i32 = 0x80;
    pub const TKILL: i32 = -6;
    pub const FPE_INTDIV: i32 = 1;
    pub const FPE_FLTINV: i32 = 7;
    pub const TRAP_BRKPT: i32 = 1;
    pub const TRAP_TRACE: i32 = 2;
    pub const ILL_ILLOPN: i32 = 2;
    pub const BUS_ADRALN: i32 = 1;
    pub const BUS_ADRERR: i32 = 2;
    pub const SEGV_MAPERR: i32 = 1;
    pub const SEGV_ACCERR: i32 = 2;
    pub const CLD_EXITED: i32 = 1;
    pub const CLD_KILLED: i32 = 2;
    pub const CLD_STOPPED: i32 = 5;
    pub const CLD_CONTINUED: i32 = 6;
}

/// What comes with a signal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Information {
    /// The signal.
    pub signal: u8,
    /// Where it comes from.
    pub code: i32,
    /// The process that sent it, or that it is about.
    pub process: u64,
    /// Of a fault: where. Not with a process.
    pub address: u64,
    /// A child's status.
    pub value: u64,
}

impl Information {
    /// From the kernel itself.
    pub fn from_kernel(signal: u8) -> Information {
        Information { signal, code: code::KERNEL, ..Information::default() }
    }
}

/// The bit of a signal in a set.
pub const fn bit(signal: u8) -> u64 {
    1 << (signal - 1)
}

const fn set(signals: &[u8]) -> u64 {
    let mut set = 0;
    let mut index = 0;
    while index < signals.len() {
        set |= bit(signals[index]);
        index += 1;
    }
    set
}

/// Those that nobody can hold back, handle or ignore.
pub const UNSTOPPABLE: u64 = set(&[SIGKILL, SIGSTOP]);
/// Those that an instruction causes: they go before others.
pub const SYNCHRONOUS: u64 = set(&[SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE]);
/// Those that stop a process, unless it says otherwise.
pub const STOPS: u64 = set(&[SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU]);
/// Those that do nothing, unless the process says otherwise.
const IGNORED: u64 = set(&[SIGCHLD, SIGURG, SIGWINCH, SIGCONT]);

/// What a signal does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByItself {
    /// It ends the process.
    End,
    /// It stops it.
    Stop,
    /// Nothing. (That SIGCONT lets a process go on happens when it is sent.)
    Ignore,
}

/// What a signal does by itself.
pub fn default_of(signal: u8) -> ByItself {
    match bit(signal) {
        of if of & STOPS != 0 => ByItself::Stop,
        of if of & IGNORED != 0 => ByItself::Ignore,
        _ => ByItself::End,
    }
}
