//! Signals that an instruction causes: code, address, and going on behind it.

use crate::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
use abi::signals::{SA_ONSTACK, SigInfo, SigStack, UserContext};
use core::arch::asm;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};
use userland::lwp::Stack;
use userland::report::Checks;
use userland::system::raw;
use userland::{child, fail, signal, system};

static SIGNAL: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static ADDRESS: AtomicU64 = AtomicU64::new(0);
static SKIP: AtomicU64 = AtomicU64::new(0);
static ALTERNATE: Stack<16384> = Stack::new();

/// The place of the instruction pointer among a context's registers.
const RIP: usize = 16;

/// Notes what it was, and goes on behind the instruction.
extern "C" fn skips(number: i32, information: &SigInfo, context: &mut UserContext) {
    SIGNAL.store(number, SeqCst);
    CODE.store(information.code, SeqCst);
    ADDRESS.store(information.fields[0], SeqCst);
    context.registers[RIP] += SKIP.load(SeqCst);
}

extern "C" fn leaves(_: i32, _: &SigInfo, _: &mut UserContext) {
    system::exit_group(21);
}

fn caught(length: u64, act: impl FnOnce()) -> (i32, i32, u64) {
    SIGNAL.store(0, SeqCst);
    SKIP.store(length, SeqCst);
    act();
    (SIGNAL.load(SeqCst), CODE.load(SeqCst), ADDRESS.load(SeqCst))
}

/// Reads from an address, by an instruction of three bytes.
fn touch(address: u64) {
    // SAFETY: if there is nothing, the handler goes on behind it.
    unsafe { asm!("mov rax, [rdi]", in("rdi") address, out("rax") _, options(nostack)) };
}

fn overflow(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    let room = core::hint::black_box([depth; 512]);
    overflow(depth + 1) + room[depth as usize % 512]
}

pub fn run(checks: &mut Checks) {
    for number in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP] {
        let _ = signal::handle(number, skips, 0);
    }
    checks.check(format_args!("accesses-say-where-and-why"), || {
        let nowhere = 0x1234_5000;
        let found = caught(3, || touch(nowhere));
        if found != (SIGSEGV, 1, nowhere) {
            fail!("nothing there: {found:?}");
        }
        // SAFETY: fresh memory.
        let page = unsafe { raw::mmap(0, 4096, 0, 0x22, -1, 0) }.unwrap_or(0);
        let found = caught(3, || touch(page + 8));
        if found != (SIGSEGV, 2, page + 8) && found != (SIGSEGV, 1, page + 8) {
            fail!("not to be read: {found:?}");
        }
        let found = caught(3, || touch(1 << 63));
        if found.0 != SIGSEGV {
            fail!("no address: {found:?}");
        }
        Ok(())
    });
    checks.check(format_args!("instructions-say-what-was-wrong"), || {
        // SAFETY: the handler goes on behind the instruction.
        let illegal = caught(2, || unsafe { asm!("ud2", options(nostack)) });
        // SAFETY: likewise.
        let divided = caught(3, || unsafe {
            asm!("xor edx, edx", "xor ecx, ecx", "div rcx", out("rdx") _, out("rcx") _, inout("rax") 1_u64 => _)
        });
        // SAFETY: likewise; a breakpoint is behind it already.
        let breakpoint = caught(0, || unsafe { asm!("int3", options(nostack)) });
        // SAFETY: likewise.
        let privileged = caught(1, || unsafe { asm!("hlt", options(nostack)) });
        if (illegal.0, divided.0, divided.1, breakpoint.0, privileged.0)
            != (SIGILL, SIGFPE, 1, SIGTRAP, SIGSEGV)
        {
            fail!("{illegal:?}, {divided:?}, {breakpoint:?}, {privileged:?}");
        }
        Ok(())
    });
    checks.check(format_args!("a-stack-that-is-full-is-told-on-another"), || {
        let status = child::run(|| {
            let stack =
                SigStack { base: ALTERNATE.top() - 16384, flags: 0, padding: 0, size: 16384 };
            let _ = signal::set_stack(&stack);
            let _ = signal::handle(SIGSEGV, leaves, SA_ONSTACK);
            overflow(0) as i32
        })?;
        if status != child::exited(21) {
            fail!("the child came to {status:#x}");
        }
        Ok(())
    });
    checks.check(format_args!("a-handler-without-a-place-ends-the-process"), || {
        let status = child::run(|| {
            let _ = signal::handle(SIGSEGV, leaves, 0);
            overflow(0) as i32
        })?;
        if status != SIGSEGV {
            fail!("the child came to {status:#x}");
        }
        Ok(())
    });
    checks.check(format_args!("a-fault-cannot-be-held-back-or-ignored"), || {
        for ignored in [false, true] {
            let status = child::run(|| {
                if ignored {
                    let _ = signal::set_simple(SIGSEGV, abi::signals::SIG_IGN);
                } else {
                    signal::set_mask(!0);
                }
                touch(0x1234_5000);
                1
            })?;
            if status != SIGSEGV {
                fail!("the child came to {status:#x}");
            }
        }
        Ok(())
    });
    for number in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP] {
        let _ = signal::set_simple(number, abi::signals::SIG_DFL);
    }
}
