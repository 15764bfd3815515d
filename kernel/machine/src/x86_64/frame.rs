//! The one trap frame, made by every way into the kernel: exceptions, interrupts, system calls.
//!
//! The last five words are what the processor pushes; the error code is its too, or the stub's 0;
//! the rest is the stub's. Whoever changes the frame changes the state that the return restores.

use core::fmt;

/// The value of [`TrapFrame::vector`] for a system call, which has no vector.
pub const SYSTEM_CALL: u64 = 0x100;

/// The state of whatever was running before the kernel was entered. See the module.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[expect(missing_docs, reason = "the registers speak for themselves")]
pub struct TrapFrame {
    /// For a page fault the address, from CR2, as it was at entry.
    pub fault_address: u64,
    /// 1 if the entry exchanged `gs` and the return has to do so again.
    pub swapped: u64,
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rcx: u64,
    pub rax: u64,
    /// The vector, or [`SYSTEM_CALL`].
    pub vector: u64,
    /// The processor's error code; for a system call its number.
    pub error: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
}

/// The size of a frame, in bytes: a multiple of 16, so that a frame keeps a stack aligned.
pub const SIZE: usize = size_of::<TrapFrame>();
const _: () = assert!(SIZE.is_multiple_of(16));

impl TrapFrame {
    /// The registers of user mode in the order that programs find them in: a signal's context and a save slot have
    /// Linux' order.
    pub fn context_registers(&self) -> [u64; 18] {
        [
            self.r8,
            self.r9,
            self.r10,
            self.r11,
            self.r12,
            self.r13,
            self.r14,
            self.r15,
            self.rdi,
            self.rsi,
            self.rbp,
            self.rbx,
            self.rdx,
            self.rax,
            self.rcx,
            self.rsp,
            self.rip,
            self.rflags,
        ]
    }

    /// Whether user mode was interrupted.
    #[inline]
    pub fn is_user(&self) -> bool {
        self.cs & 3 == 3
    }
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  rip {:#018x}  rsp {:#018x}  rflags {:#x}", self.rip, self.rsp, self.rflags)?;
        writeln!(f, "  rax {:016x} rbx {:016x} rcx {:016x}", self.rax, self.rbx, self.rcx)?;
        writeln!(f, "  rdx {:016x} rsi {:016x} rdi {:016x}", self.rdx, self.rsi, self.rdi)?;
        writeln!(f, "  rbp {:016x} r8  {:016x} r9  {:016x}", self.rbp, self.r8, self.r9)?;
        writeln!(f, "  r10 {:016x} r11 {:016x} r12 {:016x}", self.r10, self.r11, self.r12)?;
        writeln!(f, "  r13 {:016x} r14 {:016x} r15 {:016x}", self.r13, self.r14, self.r15)?;
        write!(f, "  cs {:#x} ss {:#x} error {:#x}", self.cs, self.ss, self.error)
    }
}
