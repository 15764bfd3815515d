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

/// The call never begins again by itself after a signal handler, whatever that asks for.
pub const NO_RESTART: u32 = 1 << 2;

/// The number of the indirect call.
pub const INDIRECT: u64 = OWN_BASE;

/// `trace_groups`: the events of system calls.
pub const TRACE_CALLS: u64 = 1 << 3;

/// `lwp_create`: it begins suspended.
pub const LWP_SUSPENDED: u32 = 1;
/// `lwp_create`: nobody will wait for it.
pub const LWP_DETACHED: u32 = 2;

/// Calls `$callback!` with the whole table:
/// `{ number name(argument: type, ...) flags "one line"; }` per call, in order of number.
///
/// Types are for the stubs: `u64`, `i64`, `*const u8` and so on; each fills one register.
#[macro_export]
macro_rules! system_calls {
    ($callback:ident) => {
        $callback! {
            0 read(fd: i32, buffer: *mut u8, length: usize) 0
                "Read bytes from a file descriptor; returns how many came, 0 at the end.";
            1 write(fd: i32, buffer: *const u8, length: usize) 0
                "Write bytes to a file descriptor; returns how many were written.";
            2 open(path: *const u8, flags: i32, mode: u32) 0
                "Open a file; returns a descriptor.";
            3 close(fd: i32) 0
                "Close a file descriptor.";
            4 stat(path: *const u8, buffer: *mut $crate::files::Stat) 0
                "Describe a file, in Linux's `struct stat`.";
            5 fstat(fd: i32, buffer: *mut $crate::files::Stat) 0
                "Describe an open file.";
            6 lstat(path: *const u8, buffer: *mut $crate::files::Stat) 0
                "Describe a file; a symbolic link itself, if there were any.";
            7 poll(files: *mut $crate::files::PollFd, count: u64, timeout: i32) $crate::calls::NO_RESTART
                "Wait until one of several descriptors is ready, at most so many milliseconds.";
            8 lseek(fd: i32, offset: i64, whence: i32) 0
                "Move the place at which an open file is read and written; returns where it is.";
            9 mmap(address: u64, length: u64, protection: i32, flags: i32, fd: i32, offset: u64) 0
                "Map anonymous memory or a file; returns the address.";
            10 mprotect(address: u64, length: u64, protection: i32) 0
                "Change what may be done with a range of memory.";
            11 munmap(address: u64, length: u64) 0
                "Unmap a range of memory.";
            12 brk(end: u64) 0
                "Move the end of the heap; returns where it is.";
            13 rt_sigaction(signal: i32, action: *const u8, old: *mut u8, size: usize) 0
                "Say what a signal does.";
            14 rt_sigprocmask(how: i32, set: *const u64, old: *mut u64, size: usize) 0
                "Change which signals the calling LWP holds back.";
            15 rt_sigreturn() 0
                "Go back from a signal handler to what it interrupted.";
            16 ioctl(fd: i32, request: u32, argument: u64) 0
                "Ask a device for something of its own.";
            17 pread64(fd: i32, buffer: *mut u8, length: usize, offset: i64) 0
                "Read from a place in a file.";
            18 pwrite64(fd: i32, buffer: *const u8, length: usize, offset: i64) 0
                "Write at a place in a file.";
            19 readv(fd: i32, vector: *const $crate::files::IoVec, count: i32) 0
                "Read into several buffers.";
            20 writev(fd: i32, vector: *const $crate::files::IoVec, count: i32) 0
                "Write from several buffers.";
            21 access(path: *const u8, mode: i32) 0
                "Say whether a file may be used so.";
            22 pipe(fds: *mut i32) 0
                "Make a pipe: a descriptor to read from and one to write to.";
            24 sched_yield() 0
                "Let other threads of the same priority run first.";
            28 madvise(address: u64, length: u64, advice: i32) 0
                "Say what a range of memory will be used for, or that it will not.";
            32 dup(fd: i32) 0
                "Another descriptor for the same open file: the lowest that is free.";
            33 dup2(fd: i32, to: i32) 0
                "Another descriptor for the same open file: this one.";
            34 pause() $crate::calls::NO_RESTART
                "Wait for a signal.";
            35 nanosleep(time: *const $crate::calls::TimeSpec, left: *mut $crate::calls::TimeSpec) $crate::calls::NO_RESTART
                "Sleep for a time; what is left of it, if a signal came.";
            36 getitimer(which: i32, old: *mut u8) 0
                "When the timer's signal is due.";
            37 alarm(seconds: u32) 0
                "Send the caller SIGALRM after so many seconds; returns what was left of the alarm before.";
            38 setitimer(which: i32, new: *const u8, old: *mut u8) 0
                "Send the caller SIGALRM after a time, and then again and again.";
            39 getpid() 0
                "The number of the calling process.";
            56 clone(flags: u64, stack: u64, parent_id: *mut i32, child_id: *mut i32, private: u64) 0
                "Make a child, as `fork` or `vfork` does; LWPs have calls of their own.";
            57 fork() 0
                "Make a child: a copy of the calling process, which gets 0; returns the child's number.";
            58 vfork() 0
                "Make a child, as `fork` does.";
            59 execve(path: *const u8, arguments: *const *const u8, environment: *const *const u8) 0
                "Become another program.";
            60 exit(status: i32) $crate::calls::NO_RETURN
                "End the calling LWP; the last one ends the process.";
            61 wait4(process: i32, status: *mut i32, options: i32, usage: *mut u8) 0
                "Wait for the end of a child; returns its number.";
            62 kill(process: i32, signal: i32) 0
                "Send a signal to a process, or to a group of processes.";
            63 uname(buffer: *mut u8) 0
                "Name and version of the system, in Linux's `struct utsname`.";
            72 fcntl(fd: i32, command: i32, argument: u64) 0
                "Ask for, or change, what a descriptor is.";
            76 truncate(path: *const u8, length: i64) 0
                "Give a file this length.";
            77 ftruncate(fd: i32, length: i64) 0
                "Give an open file this length.";
            79 getcwd(buffer: *mut u8, length: usize) 0
                "The path of the working folder; returns its length, null byte included.";
            80 chdir(path: *const u8) 0
                "Change the working folder.";
            81 fchdir(fd: i32) 0
                "Make an open folder the working folder.";
            82 rename(from: *const u8, to: *const u8) 0
                "Give a file another name.";
            83 mkdir(path: *const u8, mode: u32) 0
                "Make a folder.";
            84 rmdir(path: *const u8) 0
                "Remove an empty folder.";
            85 creat(path: *const u8, mode: u32) 0
                "Make a file, or empty it, and open it for writing.";
            87 unlink(path: *const u8) 0
                "Remove a name of a file; the file goes when nobody has it open.";
            89 readlink(path: *const u8, buffer: *mut u8, length: usize) 0
                "Where a symbolic link leads.";
            96 gettimeofday(time: *mut u8, zone: *mut u8) 0
                "The time of day, in microseconds.";
            97 getrlimit(which: u32, limit: *mut u8) 0
                "A limit of the process's.";
            98 getrusage(who: i32, usage: *mut u8) 0
                "What the process, its ended children or the LWP have used.";
            100 times(buffer: *mut u8) 0
                "Processor time of the process and its ended children; returns the time since boot, in hundredths of a second.";
            102 getuid() 0
                "The user: always 0.";
            104 getgid() 0
                "The group: always 0.";
            107 geteuid() 0
                "The user that counts: always 0.";
            108 getegid() 0
                "The group that counts: always 0.";
            109 setpgid(process: i32, group: i32) 0
                "Put a process into a group of processes.";
            110 getppid() 0
                "The number of the caller's parent.";
            111 getpgrp() 0
                "The caller's group of processes.";
            112 setsid() 0
                "Begin a session of its own, without a terminal.";
            121 getpgid(process: i32) 0
                "A process's group of processes.";
            124 getsid(process: i32) 0
                "A process's session.";
            127 rt_sigpending(set: *mut u64, size: usize) 0
                "Which signals are held back and pending.";
            128 rt_sigtimedwait(set: *const u64, information: *mut u8, timeout: *const $crate::calls::TimeSpec, size: usize) $crate::calls::NO_RESTART
                "Wait for one of several signals, and take it.";
            130 rt_sigsuspend(set: *const u64, size: usize) $crate::calls::NO_RESTART
                "Wait for a signal with another mask.";
            131 sigaltstack(new: *const u8, old: *mut u8) 0
                "Set the stack for signal handlers.";
            149 mlock(address: u64, length: u64) 0
                "Bring a range of memory in and keep it there.";
            150 munlock(address: u64, length: u64) 0
                "Let a range of memory be paged out again.";
            157 prctl(option: i32, second: u64, third: u64, fourth: u64, fifth: u64) 0
                "Set or get the LWP's name (15, 16).";
            158 arch_prctl(code: i32, address: u64) 0
                "Set or get the bases of fs and gs.";
            186 gettid() 0
                "The number of the calling LWP; the first one's is the process's.";
            200 tkill(lwp: i32, signal: i32) 0
                "Send a signal to an LWP.";
            201 time(time: *mut i64) 0
                "The time of day, in seconds.";
            204 sched_getaffinity(process: i32, size: usize, mask: *mut u8) 0
                "The processors that the caller may run on.";
            217 getdents64(fd: i32, buffer: *mut u8, length: usize) 0
                "Read entries of a folder.";
            218 set_tid_address(address: *mut i32) 0
                "The address that is set to 0 when the LWP ends; returns its number.";
            222 timer_create(clock: i32, event: *const $crate::calls::TimerEvent, timer: *mut i32) 0
                "Make a timer whose end is an event of scheduler activations (`SIGEV_SA`).";
            223 timer_settime(timer: i32, flags: i32, new: *const $crate::calls::TimerTimes, old: *mut $crate::calls::TimerTimes) 0
                "Set a timer, to a time from now on or (flag 1) of its clock, and an interval after that.";
            224 timer_gettime(timer: i32, times: *mut $crate::calls::TimerTimes) 0
                "How long until a timer is due, and the interval then.";
            226 timer_delete(timer: i32) 0
                "Delete a timer.";
            228 clock_gettime(clock: i32, time: *mut $crate::calls::TimeSpec) 0
                "Read a clock: CLOCK_MONOTONIC (1), the time since boot.";
            229 clock_getres(clock: i32, resolution: *mut $crate::calls::TimeSpec) 0
                "How fine a clock is.";
            230 clock_nanosleep(clock: i32, flags: i32, time: *const $crate::calls::TimeSpec, left: *mut $crate::calls::TimeSpec) $crate::calls::NO_RESTART
                "Sleep for a time, or until one.";
            231 exit_group(status: i32) $crate::calls::NO_RETURN
                "End the calling process.";
            234 tgkill(process: i32, lwp: i32, signal: i32) 0
                "Send a signal to an LWP of a process.";
            257 openat(folder: i32, path: *const u8, flags: i32, mode: u32) 0
                "Open a file; a path that does not begin with / goes from this folder.";
            258 mkdirat(folder: i32, path: *const u8, mode: u32) 0
                "Make a folder, from a folder.";
            262 newfstatat(folder: i32, path: *const u8, buffer: *mut $crate::files::Stat, flags: i32) 0
                "Describe a file, from a folder.";
            263 unlinkat(folder: i32, path: *const u8, flags: i32) 0
                "Remove a name, from a folder; with flag 0x200 a folder.";
            264 renameat(from_folder: i32, from: *const u8, to_folder: i32, to: *const u8) 0
                "Give a file another name, from folders.";
            267 readlinkat(folder: i32, path: *const u8, buffer: *mut u8, length: usize) 0
                "Where a symbolic link leads, from a folder.";
            269 faccessat(folder: i32, path: *const u8, mode: i32) 0
                "Say whether a file may be used so, from a folder.";
            271 ppoll(files: *mut $crate::files::PollFd, count: u64, timeout: *const $crate::calls::TimeSpec, mask: *const u64, size: usize) $crate::calls::NO_RESTART
                "As poll, with a finer time and another mask of signals.";
            292 dup3(fd: i32, to: i32, flags: i32) 0
                "As dup2; with O_CLOEXEC it is closed by execve.";
            293 pipe2(fds: *mut i32, flags: i32) 0
                "Make a pipe, with flags.";
            302 prlimit64(process: i32, which: u32, new: *const u8, old: *mut u8) 0
                "Read a limit of the process's; limits cannot be changed.";
            318 getrandom(buffer: *mut u8, length: usize, flags: u32) 0
                "Fill a buffer with random bytes.";
            332 statx(folder: i32, path: *const u8, flags: i32, mask: u32, buffer: *mut $crate::folders::Statx) 0
                "Describe a file, in Linux's `struct statx`.";
            0x1000 indirect(number: u64, first: u64, second: u64, third: u64, fourth: u64, fifth: u64) 0
                "Make the call with this number, of at most five arguments, with that call's flags; not another indirect call.";
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
            0x1006 lwp_create(entry: u64, stack: u64, argument: u64, private: u64, flags: u32) 0
                "Make an LWP of the calling process: it begins at an address with a stack pointer, an argument in rdi and a base of fs; flag 1: suspended, 2: detached. Returns its number.";
            0x1007 lwp_exit(status: u64) $crate::calls::NO_RETURN
                "End the calling LWP; who waits for it gets the status. The last one's end is the process's.";
            0x1008 lwp_wait(lwp: u64, status: *mut u64) 0
                "Wait for the end of an LWP of the process (0: of any that can be waited for); returns its number.";
            0x1009 lwp_self() $crate::calls::TWO_RESULTS
                "The number of the calling LWP, and in the second result its private pointer.";
            0x100a lwp_suspend(lwp: u64) 0
                "Stop an LWP of the process; returns when it is stopped.";
            0x100b lwp_continue(lwp: u64) 0
                "Let a suspended LWP go on.";
            0x100c lwp_park(timeout: *const $crate::calls::TimeSpec) $crate::calls::NO_RESTART
                "Wait until somebody unparks the calling LWP; at once if somebody has. A time to wait at most, or null.";
            0x100d lwp_unpark(lwp: u64) 0
                "End an LWP's parking, or its next one.";
            0x100e lwp_private(address: u64) 0
                "Set the private pointer (the base of fs) of the calling LWP.";
            0x100f lwp_name(lwp: u64, name: *const u8, length: usize) 0
                "Name an LWP of the process.";
            0x1010 lwp_info(process: u64, lwp: u64, buffer: *mut $crate::statistics::LwpInfo, length: usize) 0
                "Describe an LWP of a process (0: the caller's): name, state, microstates, counts; the first whose number is not lower (0, 0: the caller). Returns its number.";
            0x1011 observe(process: u64, what: u32) 0
                "Observe a process: its LWPs stop before calls (1), after them (2) and at signals (4), its end (8) is heard of, and so are its children (16); 0 ends it.";
            0x1012 observe_wait(event: *mut $crate::observe::ObserveEvent, length: usize, timeout: *const $crate::calls::TimeSpec) $crate::calls::NO_RESTART
                "Wait for the next stop of a process that the caller observes. A time to wait at most, or null.";
            0x1013 observe_continue(lwp: u64, action: u32, change: *const $crate::observe::ObserveChange) 0
                "Let a stopped LWP go on (0), with another call or result (1), without the call (2), without the signal (3).";
            0x1014 observe_read(process: u64, address: u64, buffer: *mut u8, length: usize) 0
                "Read memory of an observed process of which an LWP stands still; returns how many bytes can be read.";
            0x1015 processor_bind(lwp: u64, processor: i64) 0
                "Bind an LWP of the process (0: the caller) to a processor; -1 unbinds, -2 asks. Returns what was, as processor plus 1.";
            0x1016 p_online(processor: u32, what: u32) 0
                "Take a processor off line (0), put it on line (1), or ask (2); returns what it was.";
            0x1017 processor_info(processor: u32, buffer: *mut u8, length: usize) 0
                "Describe a processor: state, set, times in each state, counts.";
            0x1018 pset_create() 0
                "Make a set of processors; returns its number.";
            0x1019 pset_destroy(set: u32) 0
                "Give a set's processors and LWPs back to the default set.";
            0x101a pset_assign(set: u32, processor: u32) 0
                "Put a processor into a set (0: the default one); returns the set that it was in.";
            0x101b pset_bind(set: u32, lwp: u64) 0
                "Let an LWP of the process (0: the caller) run on a set's processors only (0: the default set's); returns the set before.";
            0x101c process_info(process: u64, buffer: *mut $crate::statistics::ProcessInfo, length: usize) 0
                "Describe a process, or the first whose number is not lower. Returns its number.";
            0x101d trap_trace(processor: u32, buffer: *mut $crate::statistics::TrapRecord, length: usize) 0
                "Read the last traps of a processor; returns how many bytes.";
            0x101e trace_groups(groups: u64) 0
                "Choose which groups of events are noted in the trace; returns those before.";
            0x101f sa_register(library: *const $crate::activations::SaLibrary, areas: *mut $crate::activations::SaAreas) 0
                "Say where upcalls begin; the kernel says where it shares memory with the library.";
            0x1020 sa_stacks(stacks: *const $crate::activations::SaStack, count: u32) 0
                "Lend the kernel stacks for upcalls; with none: something has been given back that it waits for.";
            0x1021 sa_enable() 0
                "Begin: the caller goes on when the library says so.";
            0x1022 sa_setconcurrency(count: u32) 0
                "Ask for more virtual processors; returns how many more run the library.";
            0x1023 sa_yield(upcall: u32, flags: u32) 0
                "There is nothing to do on this virtual processor; this upcall's stack comes back. The next one begins when there is something to tell.";
            0x1024 sa_preempt(processor: u32) 0
                "Interrupt what a virtual processor runs by an upcall.";
            0x1025 sa_unblockyield(activation: u32, block: u32, upcall: u32) 0
                "Give the virtual processor back to a thread that has blocked; returns a slot if the upcall was interrupted.";
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

/// Linux's `struct itimerspec`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TimerTimes {
    /// From one time that the timer is due to the next; 0: there is no next.
    pub interval: TimeSpec,
    /// Until the first; 0: the timer is not set.
    pub value: TimeSpec,
}

/// Linux's `struct sigevent`, for `timer_create`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TimerEvent {
    /// The event's value.
    pub value: u64,
    /// For a signal.
    pub signal: i32,
    /// What the event is: [`SIGEV_SA`](crate::activations::SIGEV_SA).
    pub notify: u32,
    /// Nothing.
    pub rest: [u64; 6],
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
    /// Processors that have been started.
    Processors = 1,
    /// System calls.
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
    /// Open files there are, each counted once however many descriptors it has.
    OpenFiles = 19,
    /// Pipes there are.
    Pipes = 20,
    /// Pages of files that are in memory and swap space only.
    FilePages = 21,
    /// Files, folders and devices that have a name or are in use.
    Names = 22,
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
        Counter::OpenFiles,
        Counter::Pipes,
        Counter::FilePages,
        Counter::Names,
    ];

    /// The counter with this number.
    pub fn from_number(number: u32) -> Option<Counter> {
        Self::ALL.iter().copied().find(|counter| *counter as u32 == number)
    }
}
