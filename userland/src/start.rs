//! From the first instruction to the program's `main`, and the end.
//!
//! The kernel enters at [`_start`] with Linux's initial stack: the stack pointer, a multiple of 16,
//! points to the number of arguments ([`crate::arguments`]). No other register means anything.

use crate::Arguments;
use crate::system;
use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// Makes a function `fn(Arguments) -> i32` the program's `main`; what it returns is the program's
/// status.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[unsafe(no_mangle)]
        extern "Rust" fn upcall_program_main(arguments: $crate::Arguments) -> i32 {
            $main(arguments)
        }
    };
}

unsafe extern "Rust" {
    /// What [`program!`](crate::program) makes.
    safe fn upcall_program_main(arguments: Arguments) -> i32;
}

/// See [`first_instruction`].
static FIRST_INSTRUCTION: AtomicU64 = AtomicU64::new(0);

/// The time-stamp counter at the program's first instruction.
pub fn first_instruction() -> u64 {
    FIRST_INSTRUCTION.load(Ordering::Relaxed)
}

/// The program's first instruction: it notes the time before anything else.
///
/// # Safety
///
/// For the kernel alone: it expects the initial stack.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "rdtsc",
        "shl rdx, 32",
        "lea rsi, [rax + rdx]",
        "mov rdi, rsp",
        // The end of every backtrace.
        "xor ebp, ebp",
        // Linux promises it, and compiled code relies on it.
        "and rsp, -16",
        "call {start}",
        "ud2",
        start = sym start,
    )
}

/// # Safety
///
/// `stack` is the initial stack.
unsafe extern "C" fn start(stack: *const u64, first_instruction: u64) -> ! {
    FIRST_INSTRUCTION.store(first_instruction, Ordering::Relaxed);
    // SAFETY: the caller says that it is the initial stack, and nothing ever gives it back.
    let arguments = unsafe { Arguments::from_initial_stack(stack) };
    system::exit_group(upcall_program_main(arguments))
}
