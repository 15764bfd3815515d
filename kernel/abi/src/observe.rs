//! What kernel and programs agree on about observing processes: the calls `observe`, `observe_wait`,
//! `observe_continue`, `observe_read`.
//!
//! A process that observes another hears of its calls, its signals and its end. An LWP that stops stands still until the
//! observer lets it go on, until the observer ends, or until its own process is to end: then it goes at once.
//!
//! A call that a signal or a stop of its process has interrupted begins again, and then stops again: the observer hears
//! of it once more. A call that does not come back (`exit`, `rt_sigreturn`) has no stop after it; `execve` has one if it
//! fails, and one in the new program if it does not.

/// `observe`: stop before each call.
pub const OBSERVE_BEFORE: u32 = 1 << 0;
/// `observe`: stop after each call.
pub const OBSERVE_AFTER: u32 = 1 << 1;
/// `observe`: stop before a signal is acted on. (Those that are ignored are not acted on; SIGKILL is at once.)
pub const OBSERVE_SIGNALS: u32 = 1 << 2;
/// `observe`: hear of the process's end.
pub const OBSERVE_END: u32 = 1 << 3;
/// `observe`: observe children that the process makes from now on, in the same way.
pub const OBSERVE_CHILDREN: u32 = 1 << 4;
/// All of them.
pub const OBSERVE_ALL: u32 = (1 << 5) - 1;

/// [`ObserveEvent::kind`]: an LWP stands before a call.
pub const BEFORE_CALL: u32 = 1;
/// [`ObserveEvent::kind`]: it stands after one.
pub const AFTER_CALL: u32 = 2;
/// [`ObserveEvent::kind`]: it stands before it acts on a signal.
pub const AT_SIGNAL: u32 = 3;
/// [`ObserveEvent::kind`]: a process has come to its end. Nobody stands.
pub const AT_END: u32 = 4;

/// `observe_continue`: go on; a signal is acted on.
pub const GO_ON: u32 = 0;
/// `observe_continue`: go on with what [`ObserveChange`] says: before a call with another number and other arguments
/// (the LWP's registers stay as they are), after it with another result, which is final: nothing begins again.
pub const CHANGE: u32 = 1;
/// `observe_continue`, before a call: it is not made, and returns EINTR.
pub const ABORT: u32 = 2;
/// `observe_continue`, at a signal: nobody acts on it.
pub const SWALLOW: u32 = 3;

/// What `observe_wait` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ObserveEvent {
    /// What has happened.
    pub kind: u32,
    /// The signal; at an end, the one that has ended the process.
    pub signal: u32,
    /// The process.
    pub process: u64,
    /// The LWP; 0 at an end.
    pub lwp: u64,
    /// The call's number. An indirect call is the call that it makes.
    pub number: u64,
    /// The call's arguments; of a signal the first is where it comes from (Linux's code), the second the process that
    /// sent it, or the address of a fault.
    pub arguments: [u64; 6],
    /// After a call: what `rax` has. At an end: the status, as `wait4` says it.
    pub result: u64,
    /// When, in nanoseconds since boot.
    pub time: u64,
    /// The time that the LWP has spent in calls by now, in nanoseconds.
    pub in_calls: u64,
}

/// What `observe_continue` changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ObserveChange {
    /// Before a call: its number.
    pub number: u64,
    /// Before a call: its arguments.
    pub arguments: [u64; 6],
    /// After a call: its result, as `rax` is to have it.
    pub result: u64,
}
