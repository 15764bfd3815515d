//! What kernel and programs agree on about signals: Linux's structures for x86-64.

/// How many signals there are; they are numbered from 1.
pub const SIGNALS: usize = 64;

/// Linux's `struct sigaction`, as the system call takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SigAction {
    /// The handler's address, or [`SIG_DFL`], [`SIG_IGN`].
    pub handler: u64,
    /// `SA_…`.
    pub flags: u64,
    /// Where the handler returns to.
    pub restorer: u64,
    /// Signals that are held back while the handler runs; bit 0 is signal 1.
    pub mask: u64,
}

/// What the signal does by itself.
pub const SIG_DFL: u64 = 0;
/// Nothing.
pub const SIG_IGN: u64 = 1;

/// No SIGCHLD for children that stop or go on.
pub const SA_NOCLDSTOP: u64 = 1;
/// The handler gets information and context (it always does).
pub const SA_SIGINFO: u64 = 4;
/// The restorer is valid.
pub const SA_RESTORER: u64 = 0x0400_0000;
/// The handler runs on the alternate stack.
pub const SA_ONSTACK: u64 = 0x0800_0000;
/// Interrupted calls begin again.
pub const SA_RESTART: u64 = 0x1000_0000;
/// The signal is not held back while its handler runs.
pub const SA_NODEFER: u64 = 0x4000_0000;
/// Back to [`SIG_DFL`] when the handler begins.
pub const SA_RESETHAND: u64 = 0x8000_0000;

/// Linux's `stack_t`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SigStack {
    /// Its lowest address.
    pub base: u64,
    /// [`SS_ONSTACK`] or [`SS_DISABLE`].
    pub flags: u32,
    /// Nothing.
    pub padding: u32,
    /// Its size in bytes.
    pub size: u64,
}

/// The caller runs on it.
pub const SS_ONSTACK: u32 = 1;
/// There is none.
pub const SS_DISABLE: u32 = 2;
/// The smallest alternate stack, in bytes.
pub const MINSIGSTKSZ: u64 = 2048;

/// Linux's `siginfo_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SigInfo {
    /// The signal.
    pub signal: i32,
    /// 0.
    pub error: i32,
    /// Where it comes from.
    pub code: i32,
    /// Nothing.
    pub padding: i32,
    /// By code: the address of a fault; or process and user, and then a status or value.
    pub fields: [u64; 14],
}

/// Linux's `ucontext_t`, as far as the kernel writes and reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct UserContext {
    /// 0.
    pub flags: u64,
    /// 0.
    pub link: u64,
    /// The alternate stack.
    pub stack: SigStack,
    /// `r8` to `r15`, `rdi`, `rsi`, `rbp`, `rbx`, `rdx`, `rax`, `rcx`, `rsp`, `rip`, flags.
    pub registers: [u64; 18],
    /// `cs`, `gs`, `fs`, `ss`.
    pub segments: [u16; 4],
    /// The exception's error code.
    pub error: u64,
    /// Its vector.
    pub trap: u64,
    /// The mask, once more.
    pub old_mask: u64,
    /// The address of a page fault.
    pub fault_address: u64,
    /// Where the floating-point state lies.
    pub fpu: u64,
    /// Nothing.
    pub reserved: [u64; 8],
    /// The signals that were held back.
    pub mask: u64,
}

/// What lies at a handler's stack pointer: Linux's `struct rt_sigframe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SigFrame {
    /// Where the handler returns to.
    pub restorer: u64,
    /// What was interrupted; the handler's third argument points here.
    pub context: UserContext,
    /// The signal; the second argument points here.
    pub information: SigInfo,
}

/// A signal's name.
pub fn name(signal: u32) -> &'static str {
    const NAMES: [&str; 32] = [
        "no signal",
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    NAMES.get(signal as usize).copied().unwrap_or("a real-time signal")
}
