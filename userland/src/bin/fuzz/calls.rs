//! The calls, from the one table of them, and how one is made whatever its arguments.

use core::arch::asm;

macro_rules! table {
    ($($number:literal $name:ident($($argument:ident: $type:ty),*)
        $flag:tt $(:: $rest:ident)* $text:literal;)*) => {
        /// Number and name of every call.
        pub const CALLS: &[(u64, &str)] = &[$(($number, stringify!($name))),*];
    };
}
abi::system_calls!(table);

/// Calls that end or stop a worker, or wait for long, or make another: one in so many of those that are drawn is made.
pub const RARE: &[&str] = &[
    "exit",
    "exit_group",
    "lwp_exit",
    "execve",
    "fork",
    "vfork",
    "clone",
    "pause",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_sigreturn",
    "lwp_park",
    "lwp_wait",
    "lwp_suspend",
    "lwp_create",
    "kill",
    "tkill",
    "tgkill",
    "nanosleep",
    "clock_nanosleep",
    "poll",
    "ppoll",
    "read",
    "readv",
    "wait4",
    "munmap",
    "observe",
    "observe_wait",
    "p_online",
    "alarm",
    "setitimer",
    "mlock",
    "sa_register",
    "sa_enable",
    "sa_yield",
];
/// See [`RARE`].
pub const ONE_IN: u64 = 12;

/// Calls that are for the harness, or for the whole system.
pub const NEVER: &[&str] = &["report", "trace_groups", "setsid"];

/// Calls whose first argument says whom: it may be the worker only.
pub const TO_SOMEBODY: &[&str] = &["kill", "tgkill", "observe"];
/// The same for an LWP.
pub const TO_AN_LWP: &[&str] = &["tkill"];

/// Makes a call; returns what is in `rax`.
pub fn call(number: u64, arguments: [u64; 6]) -> u64 {
    let [first, second, third, fourth, fifth, sixth] = arguments;
    let value;
    // SAFETY: workers make calls that may do anything to them; that is what they are for. Who looks after them is
    // another process.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => value,
            in("rdi") first,
            in("rsi") second,
            inlateout("rdx") third => _,
            in("r10") fourth,
            in("r8") fifth,
            in("r9") sixth,
            out("rcx") _,
            out("r11") _,
        );
    }
    value
}
