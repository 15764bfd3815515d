//! What the kernel tells of processes, LWPs and processors (`process_info`, `lwp_info`, `processor_info`).
//!
//! The structures are made of words, without gaps. They may grow at their ends: who asks says how much room there is,
//! and a kernel refuses less than it has to say.

/// What structures of words are made of.
pub trait Words: Copy {
    /// All of them are 0.
    const ZEROS: Self;
}

impl Words for u64 {
    const ZEROS: u64 = 0;
}

impl<const LENGTH: usize> Words for [u64; LENGTH] {
    const ZEROS: [u64; LENGTH] = [0; LENGTH];
}

impl<const LENGTH: usize> Words for [u8; LENGTH] {
    const ZEROS: [u8; LENGTH] = [0; LENGTH];
}

macro_rules! structures_of_words {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[repr(C)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }

            impl Words for $name {
                const ZEROS: $name = $name { $($field: <$type as Words>::ZEROS),* };
            }

            impl Default for $name {
                fn default() -> $name {
                    <$name as Words>::ZEROS
                }
            }

            const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$type>())*, "there are no gaps");
        )*
    };
}

/// How many microstates there are; see [`MICROSTATE_NAMES`].
pub const MICROSTATES: usize = 10;

/// What an LWP spends its time on, in the order of [`LwpInfo::times`].
pub const MICROSTATE_NAMES: [&str; MICROSTATES] = [
    "user",
    "system",
    "trap",
    "text-fault",
    "data-fault",
    "kernel-fault",
    "user-lock",
    "sleep",
    "wait-cpu",
    "stopped",
];

/// Names of [`LwpInfo::state`].
pub const STATE_NAMES: [&str; 6] = ["new", "sleeps", "waits", "runs", "ended", "stopped"];

/// In place of a processor's index: none.
pub const NO_PROCESSOR: u64 = u64::MAX;

/// Longest name, with its null byte.
pub const NAME_MAX: usize = 32;

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

structures_of_words! {
    /// A trap, as [`trap_trace`](crate::system_calls) tells it.
    TrapRecord {
        /// When it came, in ticks of the clock.
        stamp: u64,
        /// The vector: an exception below 32, otherwise an interrupt.
        vector: u64,
        /// The error code.
        error: u64,
        /// The instruction.
        rip: u64,
        /// The stack pointer.
        rsp: u64,
        /// Of a page fault: the address.
        fault_address: u64,
        /// A register.
        rax: u64,
        /// A register.
        rdi: u64,
        /// The LWP that ran; 0 if none did.
        lwp: u64,
        /// 1 if user mode was interrupted.
        from_user: u64,
    }
    /// What [`processor_info`](crate::system_calls) says of a processor. Times are in ticks of the clock; their four kinds
    /// add up to the time since the processor came up. Everything counts from there.
    ProcessorInfo {
        /// Its number.
        number: u64,
        /// 1 if it is on line, otherwise 0.
        on_line: u64,
        /// The set that it is in.
        set: u64,
        /// Ticks of the clock in a second.
        frequency: u64,
        /// Time in user mode. That of a program which runs there now may be missing since the last clock tick, and is in
        /// `system` so long.
        user: u64,
        /// Time in the kernel.
        system: u64,
        /// Time without anything to run.
        idle: u64,
        /// Time off line.
        off_line: u64,
        /// Threads that were switched to.
        switches: u64,
        /// Times that a thread's processor was taken away.
        preemptions: u64,
        /// Threads that were taken from another processor's queue.
        steals: u64,
        /// System calls.
        calls: u64,
        /// The timer's interrupts.
        timer_interrupts: u64,
        /// Pokes received.
        pokes: u64,
    }
    /// An LWP.
    LwpInfo {
        /// Its number.
        number: u64,
        /// Its process.
        process: u64,
        /// What its thread does: an index of [`STATE_NAMES`].
        state: u64,
        /// What its time goes on: an index of [`MICROSTATE_NAMES`].
        microstate: u64,
        /// The time that has gone on each, in ticks. Their sum is the lifetime, to the tick.
        times: [u64; MICROSTATES],
        /// Ticks of a second.
        ticks_per_second: u64,
        /// When it began, by the clock of ticks.
        began: u64,
        /// How long it has lived, in ticks.
        lifetime: u64,
        /// Its system calls.
        calls: u64,
        /// Page faults that did not wait for a device.
        minor_faults: u64,
        /// Page faults that did.
        major_faults: u64,
        /// Signals that it has acted on.
        signals: u64,
        /// How often it has given up its processor.
        voluntary_switches: u64,
        /// How often its processor was taken from it.
        involuntary_switches: u64,
        /// The processor that it runs on or ran on last, or [`NO_PROCESSOR`].
        processor: u64,
        /// Its priority.
        priority: u64,
        /// Its class: 0 time sharing, 1 the system's, 2 real time.
        class: u64,
        /// Its name, up to a null byte.
        name: [u8; NAME_MAX],
    }

    /// A process.
    ProcessInfo {
        /// Its number.
        id: u64,
        /// Its parent's number; 0: it has none.
        parent: u64,
        /// Its group of processes.
        group: u64,
        /// Its session.
        session: u64,
        /// 0: it runs; 1: a signal has stopped it; 2: it is about to end.
        state: u64,
        /// LWPs that have not ended.
        lwps: u64,
        /// LWPs that have.
        ended_lwps: u64,
        /// Ticks of a second.
        ticks_per_second: u64,
        /// When it began, by the clock of ticks.
        began: u64,
        /// Pages that it has in memory.
        resident: u64,
        /// Pages that it has in swap space only.
        swapped: u64,
        /// The times of all its LWPs, those that have ended included; see [`LwpInfo::times`].
        times: [u64; MICROSTATES],
        /// Those of the ended ones alone.
        ended_times: [u64; MICROSTATES],
        /// Of all its LWPs: system calls, minor and major page faults, signals.
        counts: [u64; 4],
        /// The same of the ended ones alone.
        ended_counts: [u64; 4],
        /// Of all its LWPs: processors given up, and taken away.
        switches: [u64; 2],
        /// The same of the ended ones alone.
        ended_switches: [u64; 2],
        /// The name of its program, up to a null byte.
        name: [u8; NAME_MAX],
    }
}

/// A name up to its null byte.
pub fn name(bytes: &[u8; NAME_MAX]) -> &str {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(NAME_MAX);
    core::str::from_utf8(&bytes[..end]).unwrap_or("?")
}

impl ProcessorInfo {
    /// All words are 0.
    pub const NOTHING: ProcessorInfo = <ProcessorInfo as Words>::ZEROS;

    /// All of its time.
    pub fn total(&self) -> u64 {
        self.user + self.system + self.idle + self.off_line
    }
}
