//! What handlers find, what their flags do, what is held back while they run, and the registers that they leave alone.

use crate::{SIGHUP, SIGKILL, SIGSTOP, SIGUSR1, SIGUSR2, count, counted, done, forget, same};
use abi::errno::Errno;
use abi::signals::{
    MINSIGSTKSZ, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SIG_DFL, SIG_IGN, SS_DISABLE, SS_ONSTACK,
    SigAction, SigInfo, SigStack, UserContext,
};
use core::arch::asm;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::lwp::{self, Stack};
use userland::report::{Checks, Why};
use userland::signal::{self, bit, handle, handle_masked, set_mask, set_simple};
use userland::system::{self, raw};

/// What the last handler noted.
static NOTED: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
static DEPTH: AtomicU64 = AtomicU64::new(0);
static DEEPEST: AtomicU64 = AtomicU64::new(0);

fn noted(place: usize) -> u64 {
    NOTED[place].load(SeqCst)
}

extern "C" fn note(signal: i32, information: &SigInfo, context: &mut UserContext) {
    NOTED[0].store(information.code as u64, SeqCst);
    NOTED[1].store(information.fields[0], SeqCst);
    NOTED[2].store(context.mask, SeqCst);
    NOTED[3].store(ptr::from_ref(&signal) as u64, SeqCst);
    count(signal, information, context);
}

extern "C" fn raise_once_more(signal: i32, information: &SigInfo, context: &mut UserContext) {
    let depth = DEPTH.fetch_add(1, SeqCst) + 1;
    DEEPEST.fetch_max(depth, SeqCst);
    count(signal, information, context);
    if counted(signal) == 1 {
        signal::raise(signal);
    }
    DEPTH.fetch_sub(1, SeqCst);
}

extern "C" fn raise_the_other(signal: i32, information: &SigInfo, context: &mut UserContext) {
    signal::raise(SIGUSR2);
    // Whether the other has been handled by now.
    NOTED[0].store(counted(SIGUSR2), SeqCst);
    count(signal, information, context);
}

/// Lets what was interrupted go on with nothing held back.
extern "C" fn let_go(signal: i32, information: &SigInfo, context: &mut UserContext) {
    context.mask = 0;
    count(signal, information, context);
}

static OTHER_STACK: Stack<16384> = Stack::new();

extern "C" fn on_other_stack(signal: i32, information: &SigInfo, context: &mut UserContext) {
    note(signal, information, context);
    let refused = signal::set_stack(&SigStack { flags: SS_DISABLE, ..SigStack::default() });
    NOTED[0].store(u64::from(refused == Err(Errno::EPERM)), SeqCst);
}

/// Uses every register of floating point and vectors, and other settings for them.
extern "C" fn use_registers(signal: i32, information: &SigInfo, context: &mut UserContext) {
    let mut control = 0_u32;
    // SAFETY: reads a register.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack)) };
    NOTED[0].store(u64::from(control), SeqCst);
    let other = 0x7f80_u32;
    let x87 = 0x0f7f_u16;
    // SAFETY: nothing after it in the handler computes with them; the return brings back what was there.
    unsafe {
        asm!("fninit", "fldpi", "fldpi", "fldpi", "ldmxcsr [{}]", "fldcw [{}]",
            "pcmpeqd xmm0, xmm0", "pcmpeqd xmm7, xmm7", "pcmpeqd xmm15, xmm15",
            in(reg) &raw const other, in(reg) &raw const x87,
            out("xmm0") _, out("xmm7") _, out("xmm15") _, options(nostack));
    }
    count(signal, information, context);
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-handler-is-told-what-and-from-whom"), || {
        forget();
        done("sigaction", handle(SIGUSR1, note, 0))?;
        set_mask(bit(SIGHUP));
        signal::raise(SIGUSR1);
        set_mask(0);
        same("handled", counted(SIGUSR1), 1)?;
        same("code", noted(0), 0)?;
        same("process", noted(1) & 0xffff_ffff, system::getpid())?;
        same("mask", noted(2), bit(SIGHUP))?;
        done("tgkill", signal::kill_lwp(lwp::own(), SIGUSR1))?;
        same("code", noted(0) as i32, -6)
    });
    checks.check(format_args!("a-signal-is-held-back-while-it-is-handled"), || {
        for (flags, depth) in [(0, 1), (SA_NODEFER, 2)] {
            forget();
            DEEPEST.store(0, SeqCst);
            done("sigaction", handle(SIGUSR1, raise_once_more, flags))?;
            signal::raise(SIGUSR1);
            same("handled", counted(SIGUSR1), 2)?;
            same("one in the other", DEEPEST.load(SeqCst), depth)?;
        }
        Ok(())
    });
    checks.check(format_args!("a-handler-holds-others-back"), || {
        done("sigaction", handle(SIGUSR2, count, 0))?;
        for (mask, within) in [(0, 1), (bit(SIGUSR2), 0)] {
            forget();
            done("sigaction", handle_masked(SIGUSR1, raise_the_other, 0, mask))?;
            signal::raise(SIGUSR1);
            same("handled within", noted(0), within)?;
            same("handled", counted(SIGUSR2), 1)?;
        }
        same("mask", set_mask(0), 0)
    });
    checks.check(format_args!("who-lets-go-acts-at-once"), || {
        forget();
        done("sigaction", handle(SIGUSR1, let_go, 0))?;
        done("sigaction", handle(SIGUSR2, count, 0))?;
        for to_process in [true, false] {
            forget();
            set_mask(bit(SIGUSR2));
            if to_process {
                signal::raise(SIGUSR2);
            } else {
                done("tgkill", signal::kill_lwp(lwp::own(), SIGUSR2))?;
            }
            same("handled", counted(SIGUSR2), 0)?;
            signal::raise(SIGUSR1);
            same("handled after the other's handler", counted(SIGUSR2), 1)?;
        }
        Ok(())
    });
    checks.check(format_args!("a-handler-for-once"), || {
        forget();
        done("sigaction", handle(SIGUSR1, count, SA_RESETHAND))?;
        signal::raise(SIGUSR1);
        let after = done("sigaction", set_simple(SIGUSR1, SIG_DFL))?;
        same("handled", counted(SIGUSR1), 1)?;
        same("what it does then", after.handler, SIG_DFL)
    });
    checks.check(format_args!("held-back-and-pending"), || {
        forget();
        done("sigaction", handle(SIGUSR1, count, 0))?;
        set_mask(bit(SIGUSR1) | bit(SIGUSR2));
        (0..3).for_each(|_| signal::raise(SIGUSR1));
        same("pending", signal::pending(), bit(SIGUSR1))?;
        same("handled", counted(SIGUSR1), 0)?;
        set_mask(0);
        same("handled then", counted(SIGUSR1), 1)?;
        same("pending then", signal::pending(), 0)?;
        // What nobody can hold back.
        set_mask(u64::MAX);
        same("mask", set_mask(0), !(bit(SIGKILL) | bit(SIGSTOP)))
    });
    checks.check(format_args!("ignored-signals-are-gone"), || {
        forget();
        set_mask(bit(SIGUSR1));
        signal::raise(SIGUSR1);
        done("sigaction", set_simple(SIGUSR1, SIG_IGN))?;
        same("pending", signal::pending(), 0)?;
        set_mask(0);
        signal::raise(SIGUSR1);
        done("sigaction", handle(SIGUSR1, count, 0))?;
        same("handled", counted(SIGUSR1), 0)
    });
    checks.check(format_args!("a-handler-on-another-stack"), || {
        forget();
        let base = OTHER_STACK.top() - 16384;
        let stack = SigStack { base, flags: 0, padding: 0, size: 16384 };
        done("sigaltstack", signal::set_stack(&stack))?;
        let is_on_it = || (base..base + 16384).contains(&noted(3));
        done("sigaction", handle(SIGUSR1, on_other_stack, 0))?;
        signal::raise(SIGUSR1);
        same("on it without the flag", is_on_it(), false)?;
        done("sigaltstack", signal::set_stack(&stack))?;
        done("sigaction", handle(SIGUSR1, on_other_stack, SA_ONSTACK))?;
        signal::raise(SIGUSR1);
        same("on it", is_on_it(), true)?;
        same("changing it there is refused", noted(0), 1)?;
        let before = signal::set_stack(&SigStack { flags: SS_DISABLE, ..SigStack::default() });
        same("flags outside", done("sigaltstack", before)?.flags & SS_ONSTACK, 0)?;
        let short = SigStack { size: MINSIGSTKSZ - 1, ..stack };
        same("a short one", signal::set_stack(&short).map(drop), Err(Errno::ENOMEM))?;
        let wrong = SigStack { flags: 8, ..stack };
        same("wrong flags", signal::set_stack(&wrong).map(drop), Err(Errno::EINVAL))
    });
    checks.check(format_args!("floating-point-outlives-a-handler"), || {
        forget();
        done("sigaction", handle(SIGUSR1, use_registers, 0))?;
        registers_are_kept()?;
        same("handled", counted(SIGUSR1), 1)?;
        same("a handler's own control register", noted(0), 0x1f80)
    });
    checks.check(format_args!("wrong-calls-are-errors"), wrong_calls);
}

/// Raises a signal with floating-point registers in use.
fn registers_are_kept() -> Result<(), Why> {
    let mut found = [[0_u64; 2]; 16];
    let (process, mut pi) = (system::getpid(), 0_u64);
    let (mut control, mut sse_control) = (0x27f_u16, 0x1fa0_u32);
    // SAFETY: the call sends a signal, whose handler is there; the registers are put back.
    unsafe {
        asm!(
            "fninit", "fldcw [{control}]", "ldmxcsr [{sse}]", "fldpi",
            "movq xmm0, {seed}", "punpcklqdq xmm0, xmm0",
            "movdqa xmm1, xmm0", "paddq xmm1, xmm0", "movdqa xmm7, xmm1", "paddq xmm7, xmm0",
            "movdqa xmm15, xmm7", "paddq xmm15, xmm0",
            "syscall",
            "movdqu [{found}], xmm0", "movdqu [{found} + 16], xmm1",
            "movdqu [{found} + 32], xmm7", "movdqu [{found} + 48], xmm15",
            "fstp qword ptr [{pi}]", "fnstcw [{control}]", "stmxcsr [{sse}]",
            "fninit",
            control = in(reg) &raw mut control,
            sse = in(reg) &raw mut sse_control,
            seed = in(reg) 0x0123_4567_0000_0001_u64,
            found = in(reg) found.as_mut_ptr(),
            pi = in(reg) &raw mut pi,
            inout("rax") 62_u64 => _,
            in("rdi") process,
            in("rsi") SIGUSR1 as u64,
            out("rcx") _, out("r11") _,
            out("xmm0") _, out("xmm1") _, out("xmm7") _, out("xmm15") _,
        );
    }
    let usual = 0x1f80_u32;
    // SAFETY: the control register as programs have it.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const usual, options(nostack)) };
    let seed = 0x0123_4567_0000_0001_u64;
    for (register, times) in [(0, 1), (1, 2), (2, 3), (3, 4)] {
        same("a vector", found[register], [seed * times; 2])?;
    }
    same("pi", f64::from_bits(pi), core::f64::consts::PI)?;
    same("x87 control", control, 0x27f)?;
    same("SSE control", sse_control, 0x1fa0)
}

fn wrong_calls() -> Result<(), Why> {
    let action = SigAction::default();
    let set = |signal| signal::set_action(signal, &action).map(drop);
    for signal in [0, 65, -1, SIGKILL, SIGSTOP] {
        same("sigaction", set(signal), Err(Errno::EINVAL))?;
    }
    let actions = |at, size| {
        // SAFETY: the calls are refused.
        unsafe { raw::rt_sigaction(SIGUSR1, at, ptr::null_mut(), size) }
    };
    let masks = |how, at| {
        // SAFETY: likewise.
        unsafe { raw::rt_sigprocmask(how, at, ptr::null_mut(), 8) }
    };
    same("a size", actions(ptr::null(), 4), Err(Errno::EINVAL))?;
    let nowhere = actions(ptr::without_provenance(1 << 63), 8);
    same("an action that is not there", nowhere, Err(Errno::EFAULT))?;
    same("a mask that is not there", masks(0, ptr::without_provenance(8)), Err(Errno::EFAULT))?;
    same("what to do with a mask", masks(7, &raw const action.mask), Err(Errno::EINVAL))?;
    let own = system::getpid() as i64;
    same("signal 65", signal::kill(own, 65), Err(Errno::EINVAL))?;
    same("signal 0", signal::kill(own, 0), Ok(()))?;
    same("to nobody", signal::kill(i64::from(i32::MAX), 0), Err(Errno::ESRCH))?;
    same("to no LWP", signal::kill_lwp(i32::MAX as u64, 0), Err(Errno::ESRCH))?;
    same("to LWP 0", signal::kill_lwp(0, 0), Err(Errno::EINVAL))
}
