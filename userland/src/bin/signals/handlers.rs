//! Handlers: what they get, what is held back meanwhile, and what they leave as it was.

use crate::{LAST, RUNS, SIGKILL, SIGSTOP, SIGUSR1, SIGUSR2, note, runs};
use abi::errno::Errno;
use abi::signals::{
    SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SIG_DFL, SIG_IGN, SS_DISABLE, SigInfo, SigStack,
    UserContext,
};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::lwp::Stack;
use userland::report::Checks;
use userland::signal::{self, bit};
use userland::{child, fail, system};

static DEPTH: AtomicU64 = AtomicU64::new(0);
static DEEPEST: AtomicU64 = AtomicU64::new(0);
static ADDRESS: AtomicU64 = AtomicU64::new(0);
static ALTERNATE: Stack<32768> = Stack::new();

/// Raises its own signal again, a few times.
extern "C" fn again(signal: i32, _: &SigInfo, _: &mut UserContext) {
    let depth = DEPTH.fetch_add(1, SeqCst) + 1;
    DEEPEST.fetch_max(depth, SeqCst);
    if RUNS.fetch_add(1, SeqCst) < 3 {
        signal::raise(signal);
    }
    DEPTH.fetch_sub(1, SeqCst);
}

/// Notes where its stack is.
extern "C" fn where_am_i(_: i32, _: &SigInfo, _: &mut UserContext) {
    let here: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) here, options(nomem, nostack, preserves_flags)) };
    ADDRESS.store(here, SeqCst);
}

/// Spoils vector and floating-point registers.
extern "C" fn spoils(_: i32, _: &SigInfo, _: &mut UserContext) {
    // SAFETY: whoever was interrupted has them back afterwards.
    unsafe {
        asm!("pxor xmm0, xmm0", "pxor xmm7, xmm7", "fninit", "fld1",
            out("xmm0") _, out("xmm7") _, out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _)
    };
    RUNS.fetch_add(1, SeqCst);
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-handler-runs-at-once"), || {
        if let Err(error) = signal::handle(SIGUSR1, note, 0) {
            fail!("sigaction: {}", error.text());
        }
        for turn in 0..1000 {
            let count = runs(|| signal::raise(SIGUSR1));
            if count != 1 || LAST.load(SeqCst) != SIGUSR1 {
                fail!("turn {turn}: {count} runs, the last for {}", LAST.load(SeqCst));
            }
        }
        if crate::FIELD.load(SeqCst) != system::getpid() {
            fail!("it is said to come from {}", crate::FIELD.load(SeqCst));
        }
        Ok(())
    });
    checks.check(format_args!("what-is-held-back-waits"), || {
        let before = signal::set_mask(bit(SIGUSR1));
        let held = runs(|| signal::raise(SIGUSR1));
        let pending = signal::pending();
        // Twice pending is once.
        signal::raise(SIGUSR1);
        let then = runs(|| {
            signal::set_mask(before);
        });
        if (held, pending, then) != (0, bit(SIGUSR1), 1) {
            fail!("{held} runs held back, {pending:#x} pending, then {then}");
        }
        Ok(())
    });
    checks.check(format_args!("a-handler-holds-its-signal-back-unless-told"), || {
        for (flags, expected) in [(0, 1), (SA_NODEFER, 4)] {
            RUNS.store(0, SeqCst);
            DEEPEST.store(0, SeqCst);
            let _ = signal::handle(SIGUSR2, again, flags);
            signal::raise(SIGUSR2);
            let (count, deepest) = (RUNS.load(SeqCst), DEEPEST.load(SeqCst));
            if (count, deepest) != (4, expected) {
                fail!("flags {flags:#x}: {count} runs, {deepest} deep");
            }
        }
        Ok(())
    });
    checks.check(format_args!("a-handler-can-be-for-once"), || {
        let _ = signal::handle(SIGUSR2, note, SA_RESETHAND);
        let count = runs(|| signal::raise(SIGUSR2));
        let after = signal::set_simple(SIGUSR2, SIG_IGN).map(|action| action.handler);
        if (count, after) != (1, Ok(SIG_DFL)) {
            fail!("{count} runs, then {after:?}");
        }
        Ok(())
    });
    checks.check(format_args!("handlers-have-a-stack-of-their-own"), || {
        let top = ALTERNATE.top();
        let stack = SigStack { base: top - 32768, flags: 0, padding: 0, size: 32768 };
        if let Err(error) = signal::set_stack(&stack) {
            fail!("sigaltstack: {}", error.text());
        }
        let mut found = [false; 2];
        for (flags, found) in [0, SA_ONSTACK].into_iter().zip(&mut found) {
            let _ = signal::handle(SIGUSR2, where_am_i, flags);
            signal::raise(SIGUSR2);
            *found = (stack.base..top).contains(&ADDRESS.load(SeqCst));
        }
        let off = SigStack { flags: SS_DISABLE, ..SigStack::default() };
        let last = signal::set_stack(&off);
        let small = signal::set_stack(&SigStack { size: 100, ..stack });
        if found != [false, true] || last != Ok(stack) || small != Err(Errno::ENOMEM) {
            fail!("{found:?}, {last:?}, {small:?}");
        }
        Ok(())
    });
    checks.check(format_args!("vectors-and-floats-come-back"), || {
        let _ = signal::handle(SIGUSR1, spoils, 0);
        let pid = system::getpid();
        for value in 1..500_u64 {
            let (vector, float): (u64, u64);
            // SAFETY: kill(pid, SIGUSR1): the call changes `rax`, `rcx` and `r11` only.
            unsafe {
                asm!(
                    "movq xmm7, {value}",
                    "push {value}",
                    "fild qword ptr [rsp]",
                    "mov eax, 62",
                    "syscall",
                    "fistp qword ptr [rsp]",
                    "pop {float}",
                    "movq {vector}, xmm7",
                    value = in(reg) value,
                    vector = out(reg) vector,
                    float = out(reg) float,
                    in("rdi") pid, in("rsi") SIGUSR1 as u64,
                    out("rax") _, out("rcx") _, out("r11") _, out("xmm7") _, out("st(7)") _,
                );
            }
            if (vector, float) != (value, value) {
                fail!("{value} came back as {vector:#x} and {float:#x}");
            }
        }
        let _ = signal::handle(SIGUSR1, note, 0);
        Ok(())
    });
    checks.check(format_args!("wrong-calls-are-errors"), || {
        let refused = [
            signal::handle(SIGKILL, note, 0).map(drop),
            signal::handle(SIGSTOP, note, 0).map(drop),
            signal::handle(0, note, 0).map(drop),
            signal::handle(65, note, 0).map(drop),
            signal::handle(-1, note, 0).map(drop),
            signal::kill(system::getpid() as i64, 65),
            signal::kill(system::getpid() as i64, -1),
        ];
        if refused != [Err(Errno::EINVAL); 7] {
            fail!("{refused:?}");
        }
        let nobody =
            (signal::kill(1 << 30, 0), signal::kill(-(1 << 30), 0), signal::kill_lwp(1 << 30, 0));
        if nobody != (Err(Errno::ESRCH), Err(Errno::ESRCH), Err(Errno::ESRCH)) {
            fail!("{nobody:?}");
        }
        if signal::kill(system::getpid() as i64, 0) != Ok(()) {
            fail!("it does not find itself");
        }
        Ok(())
    });
    checks.check(format_args!("without-a-handler-it-does-what-it-does"), || {
        for number in (1..=64).filter(|number| !(19..=22).contains(number)) {
            let status = child::run(|| {
                let _ = signal::set_simple(number, SIG_DFL);
                signal::set_mask(0);
                signal::raise(number);
                55
            });
            let expected = match number {
                17 | 18 | 23 | 28 => child::exited(55),
                _ => number,
            };
            let status = status?;
            if status != expected {
                fail!("signal {number} came to {status:#x}");
            }
        }
        Ok(())
    });
}
