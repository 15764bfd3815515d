//! The system calls: one table for everybody.
//!
//! [`system_calls!`](crate::system_calls) hands the table below to a macro of the caller's
//! choosing. The kernel makes its dispatch tables from it, user programs their stubs, the trace its
//! names, and the host tool `docs/syscalls.md`. There is no second list anywhere.
//!
//! Ordinary calls have Linux's x86-64 numbers, argument order, structures and errors. The calls
//! that only this kernel has form a dense table of their own from [`OWN_BASE`]; its first number is
//! kept for the indirect call.
//!
//! Registers, as on Linux: number in `rax`; arguments in `rdi rsi rdx r10 r8 r9`; result in `rax`,
//! an error as `-errno`; `rcx` and `r11` are lost.

/// First number of this kernel's own calls.
pub const OWN_BASE: u64 = 0x1000;

/// The call does not come back to its caller.
pub const NO_RETURN: u32 = 1 << 0;
/// The call has a second result in `rdx`.
pub const TWO_RESULTS: u32 = 1 << 1;

/// Calls `$callback!` with the whole table:
/// `{ number name(argument: type, ...) flags "one line"; }` per call, in order of number.
///
/// Types are for the stubs: `u64`, `i64`, `*const u8` and so on; each fills one register.
#[macro_export]
macro_rules! system_calls {
    ($callback:ident) => {
        $callback! {
            1 write(fd: i32, buffer: *const u8, length: usize) 0
                "Write bytes to a file descriptor; returns how many were written.";
            2 open(path: *const u8, flags: i32, mode: u32) 0
                "Open a file of the archive, for reading.";
            3 close(fd: i32) 0
                "Close a file descriptor.";
            9 mmap(address: u64, length: u64, protection: i32, flags: i32, fd: i32, offset: u64) 0
                "Map anonymous memory or a file; returns the address.";
            10 mprotect(address: u64, length: u64, protection: i32) 0
                "Change what may be done with a range of memory.";
            11 munmap(address: u64, length: u64) 0
                "Unmap a range of memory.";
            12 brk(end: u64) 0
                "Move the end of the heap; returns where it is.";
            24 sched_yield() 0
                "Let other threads of the same priority run first.";
            28 madvise(address: u64, length: u64, advice: i32) 0
                "Say what a range of memory will be used for, or that it will not.";
            39 getpid() 0
                "The number of the calling process.";
            57 fork() 0
                "Make a child: a copy of the calling process, which gets 0; returns the child's number.";
            59 execve(path: *const u8, arguments: *const *const u8, environment: *const *const u8) 0
                "Become another program.";
            60 exit(status: i32) $crate::calls::NO_RETURN
                "End the calling LWP; the last one ends the process.";
            61 wait4(process: i32, status: *mut i32, options: i32, usage: *mut u8) 0
                "Wait for the end of a child; returns its number.";
            63 uname(buffer: *mut u8) 0
                "Name and version of the system, in Linux's `struct utsname`.";
            149 mlock(address: u64, length: u64) 0
                "Bring a range of memory in and keep it there.";
            150 munlock(address: u64, length: u64) 0
                "Let a range of memory be paged out again.";
            228 clock_gettime(clock: i32, time: *mut $crate::calls::TimeSpec) 0
                "Read a clock: CLOCK_MONOTONIC (1), the time since boot.";
            231 exit_group(status: i32) $crate::calls::NO_RETURN
                "End the calling process.";
            0x1001 counter(which: u32) 0
                "Read one of the kernel's counters (see `abi::calls::Counter`).";
            0x1002 report(line: *const u8, length: usize) 0
                "Put one line (a check's outcome or a measured value) on the report channel.";
            0x1003 minherit(address: u64, length: u64, inheritance: i32) 0
                "Say what a child gets of a range: the same memory (0), a copy (1) or nothing (2).";
            0x1004 describe(process: u64, format: u32, cursor: *mut $crate::calls::DescribeCursor, buffer: *mut u8, length: usize) 0
                "Describe a process's memory (0: one's own), as text (0) or JSON (1), piece by piece; returns the bytes of this piece.";
            0x1005 stacks(count: u64, stride: u64, guard: u64) 0
                "Map an array of stacks, each `stride` bytes long (64 KiB at most), of which the lowest `guard` bytes cannot be reached; returns the address. Memory comes when it is touched; `madvise` (4) gives a stack back.";
        }
    };
}

/// Longest stride of [`stacks`](crate::system_calls), in bytes.
pub const STACK_STRIDE_MAX: u64 = 64 << 10;

/// Linux's `struct timespec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TimeSpec {
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub nanoseconds: i64,
}

/// How far [`describe`](crate::system_calls) has come. Begin with the range of addresses and zeros; the entries that
/// have an address of it are described.
///
/// Each call writes whole lines, or whole parts of JSON's one line, and goes on where the last one ended; at the end
/// it returns 0. Errors: `ESRCH`: there is no such process. `EFAULT`: cursor or buffer cannot be reached. `EINVAL`: no
/// such format, a cursor that is none, or a buffer of less than [`DescribeCursor::PIECE_MIN`] bytes. `EAGAIN`: what is
/// mapped has changed since the description began, so that the pieces would not fit together: begin again. (Writing
/// to memory that has not been touched is such a change. The buffer should have been.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DescribeCursor {
    /// The first address.
    pub start: u64,
    /// The first address behind the range.
    pub end: u64,
    /// The kernel's; zeros at the beginning.
    pub progress: [u64; 5],
}

impl DescribeCursor {
    /// The shortest buffer, in bytes.
    pub const PIECE_MIN: usize = 2048;

    /// For everything that has an address of a range.
    pub const fn new(start: u64, end: u64) -> DescribeCursor {
        DescribeCursor { start, end, progress: [0; 5] }
    }
}

/// What [`counter`](crate::system_calls) can read. All count from boot, over all processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// The time-stamp counter at the kernel's first instruction.
    KernelStart = 0,
    /// Processors on line.
    Processors = 1,
    /// Returns to user mode from a system call, and first entries of programs.
    SystemCalls = 2,
    /// Calls with a number that no call has.
    BadCalls = 3,
    /// Entries through `int 0x80` and `sysenter`, all refused. (Code that could make a 32-bit
    /// `syscall` has no segment to run in.)
    RefusedEntries = 4,
    /// Returns from a system call by `iretq`, because `sysretq` would not have been safe.
    IretqReturns = 5,
    /// Frames of memory that are free.
    FreeFrames = 6,
    /// Pokes (inter-processor interrupts) received.
    Pokes = 7,
    /// Anonymous memory objects there are.
    AnonymousObjects = 8,
    /// Map entries that lead to an anonymous object.
    AnonymousEntries = 9,
    /// Objects merged into their only shadow.
    Collapses = 10,
    /// Objects that a shadow looks past.
    Bypasses = 11,
    /// Pages read from a disk.
    PageIns = 12,
    /// Pages written to swap space.
    PageOuts = 13,
    /// Slots of swap space.
    SwapSlots = 14,
    /// Of these, those that are free.
    FreeSwapSlots = 15,
    /// Programs that were killed because there was no memory left.
    Victims = 16,
    /// How far down a chain of shadows a fault has had to go at most; 15 and more are one.
    DeepestWalk = 17,
    /// By how many there are more anonymous objects than chains of shadows may have at rest: 0 if there are not, or
    /// if nothing can be said because a chain is being changed, or a collapse has once been given up for want of memory.
    ObjectsTooMany = 18,
}

impl Counter {
    /// Every counter.
    pub const ALL: &'static [Counter] = &[
        Counter::KernelStart,
        Counter::Processors,
        Counter::SystemCalls,
        Counter::BadCalls,
        Counter::RefusedEntries,
        Counter::IretqReturns,
        Counter::FreeFrames,
        Counter::Pokes,
        Counter::AnonymousObjects,
        Counter::AnonymousEntries,
        Counter::Collapses,
        Counter::Bypasses,
        Counter::PageIns,
        Counter::PageOuts,
        Counter::SwapSlots,
        Counter::FreeSwapSlots,
        Counter::Victims,
        Counter::DeepestWalk,
        Counter::ObjectsTooMany,
    ];

    /// The counter with this number.
    pub fn from_number(number: u32) -> Option<Counter> {
        Self::ALL.iter().copied().find(|counter| *counter as u32 == number)
    }
}
