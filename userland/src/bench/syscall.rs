//! System calls.

use super::{Bench, per_operation};
use crate::system::raw;
use abi::calls::TRACE_CALLS;
use core::arch::asm;

pub(super) fn measure(bench: &Bench) {
    bench.value("syscall.null", per_operation(null_calls, no_calls));
    // SAFETY: the call writes to no memory of the program's.
    if let Ok(before) = unsafe { raw::trace_groups(TRACE_CALLS) } {
        let value = per_operation(null_calls, no_calls);
        // SAFETY: as above.
        let _ = unsafe { raw::trace_groups(before) };
        bench.value("syscall.traced", value);
    }
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
