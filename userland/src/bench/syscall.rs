//! System calls.

use super::{Bench, per_operation};
use core::arch::asm;

pub(super) fn measure(bench: &Bench) {
    bench.value("syscall.null", per_operation(null_calls, no_calls));
}

/// `getpid` so many times: the way into the kernel and back, and next to nothing in between.
#[inline(never)]
fn null_calls(turns: u64) {
    // SAFETY: the call changes `rax`, `rcx` and `r11`, and no memory.
    unsafe {
        asm!(
            "2: mov eax, 39",
            "syscall",
            "sub {turns}, 1",
            "jnz 2b",
            turns = inout(reg) turns => _,
            out("rax") _,
            out("rcx") _,
            out("r11") _,
            options(nomem, nostack),
        )
    };
}

/// The same without the call.
#[inline(never)]
fn no_calls(turns: u64) {
    // SAFETY: counts down, and nothing else.
    unsafe {
        asm!(
            "2: mov eax, 39",
            "sub {turns}, 1",
            "jnz 2b",
            turns = inout(reg) turns => _,
            out("rax") _,
            out("rcx") _,
            out("r11") _,
            options(nomem, nostack),
        )
    };
}
