//! Makes one system call again and again, for the kernel's check of the way back to user mode.
//!
//! `sweep sysretq|iretq|again number|clock`: the call is `getpid`, a `rt_sigreturn` to behind itself, or `lwp_continue`
//! for the only LWP. The first instruction behind it loads the number of signals that have been handled, or reads the
//! clock; that is in `r14` at the next call. A mark in `r15` tells these calls from the handler's. Ends only when the
//! kernel ends it.

#![no_std]
#![no_main]

use abi::signals::{SA_RESTORER, SigAction, SigFrame, SigInfo, UserContext};
use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::AtomicU64;
use userland::{Arguments, eprintln, lwp, program, signal};

program!(main);

const MARK: u64 = 0x5eeb_0000_0001;
const SIGUSR1: i32 = 10;

/// Signals that have been handled.
static HANDLED: AtomicU64 = AtomicU64::new(0);

#[unsafe(naked)]
unsafe extern "C" fn handler() {
    naked_asm!("inc qword ptr [rip + {handled}]", "ret", handled = sym HANDLED)
}

/// Where the handler returns to. Its call has no mark.
#[unsafe(naked)]
unsafe extern "C" fn restorer() -> ! {
    naked_asm!("xor r15d, r15d", "mov eax, 15", "syscall", "ud2")
}

/// A loop: a call, the first instruction behind it, and what brings that one's result to `r14`.
macro_rules! rounds {
    ($name:ident: [$($call:literal),*] $first:literal [$($then:literal),*]) => {
        /// # Safety
        ///
        /// Nothing but this and the handler runs any longer; the frame is the caller's.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(frame: *mut SigFrame, own: u64) -> ! {
            naked_asm!(
                "mov rbx, rdi",
                "mov r12, rsi",
                "movabs r15, {mark}",
                // For `rt_sigreturn`: it returns to behind the call, with the registers as they are.
                "lea rax, [rip + 3f]",
                "mov [rbx + {registers} + 8 * 16], rax",
                "mov [rbx + {registers} + 8 * 15], rsp",
                "mov [rbx + {registers} + 8 * 11], rbx",
                "mov [rbx + {registers} + 8 * 4], r12",
                "mov [rbx + {registers} + 8 * 7], r15",
                "2:",
                $($call,)*
                "syscall",
                "3:",
                $first,
                $($then,)*
                "jmp 2b",
                // A comment, so that it is used by all.
                "/* {handled} */",
                registers = const REGISTERS,
                mark = const MARK,
                handled = sym HANDLED,
            )
        }
    };
}

macro_rules! both {
    ($number:ident, $clock:ident: $call:tt) => {
        rounds!($number: $call "mov r14, [rip + {handled}]" []);
        rounds!($clock: $call "rdtsc" ["shl rdx, 32", "or rdx, rax", "mov r14, rdx"]);
    };
}

both!(sysretq_number, sysretq_clock: ["mov eax, 39"]);
// The frame's first word is taken already, as by a handler's return.
both!(iretq_number, iretq_clock: ["lea rsp, [rbx + 8]", "mov eax, 15"]);
both!(again_number, again_clock: ["mov rdi, r12", "mov eax, 0x100b"]);

/// From the beginning of a signal's frame to the registers in it.
const REGISTERS: usize = offset_of!(SigFrame, context) + offset_of!(UserContext, registers);

fn main(arguments: Arguments) -> i32 {
    let mut words = arguments.words();
    let rounds = match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
        ("sysretq", "number") => sysretq_number,
        ("sysretq", "clock") => sysretq_clock,
        ("iretq", "number") => iretq_number,
        ("iretq", "clock") => iretq_clock,
        ("again", "number") => again_number,
        ("again", "clock") => again_clock,
        _ => {
            eprintln!("usage: sweep sysretq|iretq|again number|clock");
            return 2;
        }
    };
    let action = SigAction {
        handler: handler as *const () as u64,
        flags: SA_RESTORER,
        restorer: restorer as *const () as u64,
        mask: 0,
    };
    signal::set_action(SIGUSR1, &action).expect("it can be handled");
    let mut frame = SigFrame {
        restorer: 0,
        context: UserContext::default(),
        information: SigInfo { signal: 0, error: 0, code: 0, padding: 0, fields: [0; 14] },
    };
    // SAFETY: this function never goes on; the frame stays where it is.
    unsafe { rounds(&raw mut frame, lwp::own()) }
}
