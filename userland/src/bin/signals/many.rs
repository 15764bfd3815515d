//! Several LWPs, several senders, handlers in handlers.

use crate::{MILLISECOND, SIGHUP, SIGUSR1, SIGUSR2, count, counted, done, forget, same, until};
use abi::signals::{SA_RESTART, SigInfo, UserContext};
use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use userland::lwp::{self, Attributes, Stack};
use userland::report::{Checks, Why};
use userland::signal::{self, bit, handle, set_mask};
use userland::{child, system};

const LWPS: usize = 4;

static STACKS: [Stack<32768>; LWPS] = [const { Stack::new() }; LWPS];
static OVER: AtomicBool = AtomicBool::new(false);
static READY: AtomicU64 = AtomicU64::new(0);
/// The LWP that has handled something.
static WHO: AtomicU64 = AtomicU64::new(0);
static ORDER: AtomicU64 = AtomicU64::new(0);

extern "C" fn note_who(signal: i32, information: &SigInfo, context: &mut UserContext) {
    WHO.store(lwp::own(), SeqCst);
    count(signal, information, context);
}

extern "C" fn holds_back(mask: u64) -> u64 {
    set_mask(mask);
    READY.fetch_add(1, SeqCst);
    while !OVER.load(SeqCst) {
        // Some sleep, some compute.
        if mask & bit(SIGUSR2) != 0 {
            let _ = lwp::sleep(MILLISECOND);
        }
    }
    set_mask(0);
    0
}

/// Computes with all registers until it is over; says whether one of them has changed.
extern "C" fn computes(seed: u64) -> u64 {
    READY.fetch_add(1, SeqCst);
    let mut wrong = 0;
    while !OVER.load(SeqCst) {
        let changed: u64;
        // SAFETY: computes in registers.
        unsafe {
            asm!(
                "mov r8, rdi", "mov r9, rdi", "mov r10, rdi", "mov r12, rdi",
                "movq xmm8, rdi", "movq xmm9, rdi",
                "mov ecx, 20000",
                "2: inc r8", "add r9, 2", "add r10, 3", "add r12, 4", "paddq xmm8, xmm9",
                "dec ecx", "jnz 2b",
                "mov rax, rdi", "add rax, 20000", "xor rax, r8",
                "lea rdx, [rdi + 40000]", "xor rdx, r9", "or rax, rdx",
                "lea rdx, [rdi + 60000]", "xor rdx, r10", "or rax, rdx",
                "lea rdx, [rdi + 80000]", "xor rdx, r12", "or rax, rdx",
                "movq rcx, xmm8", "imul rdx, rdi, 20001", "xor rdx, rcx", "or rax, rdx",
                in("rdi") seed,
                out("rax") changed, out("rcx") _, out("rdx") _,
                out("r8") _, out("r9") _, out("r10") _, out("r12") _,
                out("xmm8") _, out("xmm9") _,
            );
        }
        wrong |= changed;
    }
    wrong
}

fn start(entry: lwp::Entry, argument: impl Fn(usize) -> u64) -> Result<[u64; LWPS], Why> {
    OVER.store(false, SeqCst);
    READY.store(0, SeqCst);
    let mut numbers = [0; LWPS];
    for (place, number) in numbers.iter_mut().enumerate() {
        let top = STACKS[place].top();
        // SAFETY: each stack is one LWP's until it has been waited for.
        let made = unsafe { lwp::create(top, entry, argument(place), Attributes::default()) };
        *number = done("lwp_create", made)?;
    }
    until("all of them running", || READY.load(SeqCst) == LWPS as u64)?;
    Ok(numbers)
}

fn finish(numbers: [u64; LWPS]) -> Result<(), Why> {
    OVER.store(true, SeqCst);
    numbers.into_iter().try_for_each(|number| same("its end", lwp::wait(number), Ok((number, 0))))
}

extern "C" fn nest(signal: i32, information: &SigInfo, context: &mut UserContext) {
    ORDER.store(ORDER.load(SeqCst) * 16 + signal as u64, SeqCst);
    match signal {
        SIGUSR1 => signal::raise(SIGUSR2),
        SIGUSR2 => signal::raise(SIGHUP),
        _ => {}
    }
    ORDER.store(ORDER.load(SeqCst) * 16 + signal as u64, SeqCst);
    count(signal, information, context);
}

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("handlers-in-handlers"), || {
        forget();
        ORDER.store(0, SeqCst);
        for signal in [SIGUSR1, SIGUSR2, SIGHUP] {
            done("sigaction", handle(signal, nest, 0))?;
        }
        signal::raise(SIGUSR1);
        same("the order", ORDER.load(SeqCst), 0xac11ca)
    });
    checks.check(format_args!("who-does-not-hold-it-back-gets-it"), || {
        forget();
        done("sigaction", handle(SIGUSR1, note_who, SA_RESTART))?;
        let mask = bit(SIGUSR1) | bit(SIGUSR2);
        set_mask(mask);
        for taker in 0..LWPS {
            let numbers = start(holds_back, |place| if place == taker { 0 } else { mask })?;
            for _ in 0..20 {
                let before = counted(SIGUSR1);
                signal::raise(SIGUSR1);
                until("handled", || counted(SIGUSR1) == before + 1)?;
                same("by whom", WHO.load(SeqCst), numbers[taker])?;
            }
            // To one that holds it back: it keeps it until then.
            let other = numbers[(taker + 1) % LWPS];
            let before = counted(SIGUSR1);
            done("tgkill", signal::kill_lwp(other, SIGUSR1))?;
            let _ = lwp::sleep(5 * MILLISECOND);
            same("handled too early", counted(SIGUSR1), before)?;
            finish(numbers)?;
            same("handled then", counted(SIGUSR1), before + 1)?;
            same("by whom then", WHO.load(SeqCst), other)?;
        }
        set_mask(0);
        Ok(())
    });
    checks.check(format_args!("held-back-by-all-until-one-lets-go"), || {
        forget();
        done("sigaction", handle(SIGUSR1, count, SA_RESTART))?;
        let mask = bit(SIGUSR1) | bit(SIGUSR2);
        set_mask(mask);
        let numbers = start(holds_back, |_| mask)?;
        signal::raise(SIGUSR1);
        let _ = lwp::sleep(5 * MILLISECOND);
        same("handled too early", counted(SIGUSR1), 0)?;
        finish(numbers)?;
        same("handled", counted(SIGUSR1), 1)?;
        set_mask(0);
        Ok(())
    });
    checks.check(format_args!("many-signals-from-several-processes"), || {
        forget();
        for signal in [SIGUSR1, SIGUSR2, SIGHUP] {
            done("sigaction", handle(signal, count, SA_RESTART))?;
        }
        let numbers = start(computes, |place| 0x1_0000_0001 * (place as u64 + 7))?;
        let parent = system::getpid() as i64;
        let mut senders = [0; 3];
        for (sender, signal) in senders.iter_mut().zip([SIGUSR1, SIGUSR2, SIGHUP]) {
            *sender = child::start(|| {
                for turn in 0..400_u64 {
                    if signal::kill(parent, signal).is_err() {
                        return 1;
                    }
                    if turn.is_multiple_of(8) {
                        system::sched_yield();
                    }
                }
                0
            })?;
        }
        // And from within, to each LWP.
        for turn in 0..400 {
            done("tgkill", signal::kill_lwp(numbers[turn % LWPS], SIGUSR1))?;
        }
        for sender in senders {
            same("a sender", child::wait(sender)?, 0)?;
        }
        finish(numbers)?;
        for signal in [SIGUSR1, SIGUSR2, SIGHUP] {
            same("some of each", counted(signal) > 0, true)?;
        }
        Ok(())
    });
}
