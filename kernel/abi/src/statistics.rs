//! What the kernel says about its processors: words of 64 bits, to which later kernels may add more at the end. A
//! program says how many bytes it knows.

/// `processor_bind`: bind to no processor.
pub const BIND_NONE: i64 = -1;
/// `processor_bind`: ask only.
pub const BIND_QUERY: i64 = -2;
/// `p_online`: take it off line.
pub const OFF_LINE: u32 = 0;
/// `p_online`: put it on line.
pub const ON_LINE: u32 = 1;
/// `p_online`: ask only.
pub const ASK: u32 = 2;

/// What [`processor_info`](crate::system_calls) says of a processor. Times are in ticks of the clock; their four kinds
/// add up to the time since the processor came up. Everything counts from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ProcessorInfo {
    /// Its number.
    pub number: u64,
    /// 1 if it is on line, otherwise 0.
    pub on_line: u64,
    /// The set that it is in.
    pub set: u64,
    /// Ticks of the clock in a second.
    pub frequency: u64,
    /// Time in user mode. That of a program which runs there now may be missing since the last clock tick, and is in
    /// `system` so long.
    pub user: u64,
    /// Time in the kernel.
    pub system: u64,
    /// Time without anything to run.
    pub idle: u64,
    /// Time off line.
    pub off_line: u64,
    /// Threads that were switched to.
    pub switches: u64,
    /// Times that a thread's processor was taken away.
    pub preemptions: u64,
    /// Threads that were taken from another processor's queue.
    pub steals: u64,
    /// System calls.
    pub calls: u64,
    /// The timer's interrupts.
    pub timer_interrupts: u64,
    /// Pokes received.
    pub pokes: u64,
}

impl ProcessorInfo {
    /// All words are 0.
    pub const NOTHING: ProcessorInfo = ProcessorInfo {
        number: 0,
        on_line: 0,
        set: 0,
        frequency: 0,
        user: 0,
        system: 0,
        idle: 0,
        off_line: 0,
        switches: 0,
        preemptions: 0,
        steals: 0,
        calls: 0,
        timer_interrupts: 0,
        pokes: 0,
    };

    /// All of its time.
    pub fn total(&self) -> u64 {
        self.user + self.system + self.idle + self.off_line
    }
}
