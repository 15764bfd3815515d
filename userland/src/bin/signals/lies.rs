//! Contexts that a handler has changed so that nobody could go on with them: a signal at most, and the kernel stays.

use abi::signals::{SigInfo, UserContext};
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::report::Checks;
use userland::system::raw;
use userland::{child, fail, signal};

use crate::{SIGBUS, SIGILL, SIGSEGV, SIGTRAP, SIGUSR1};

static LIE: AtomicU64 = AtomicU64::new(0);

const RSP: usize = 15;
const RIP: usize = 16;
const FLAGS: usize = 17;

/// Whether who was interrupted goes on all the same.
const GOES_ON: [bool; 10] = [true, false, false, true, true, false, true, false, false, true];

/// Changes its context in one of many ways.
extern "C" fn lies(_: i32, _: &SigInfo, context: &mut UserContext) {
    match LIE.load(SeqCst) {
        // Segments are not looked at.
        0 => context.segments = [8, 8, 8, 0x10],
        // An address that is none, and the kernel's.
        1 => context.registers[RIP] = 0x0123_4567_89ab_cdef,
        2 => context.registers[RIP] = 0xffff_ffff_8000_0000,
        // Every flag: only those that are the program's come back, and of these not those that would trap.
        3 => context.registers[FLAGS] |= !0x0004_0500,
        // A control register for vectors with bits that do not exist.
        4 => {
            let control = (context.fpu + 24) as *mut u32;
            // SAFETY: the image lies on this stack; the word at 24 is the control register.
            unsafe { control.write(!0) };
        }
        // A stack and an address that are nowhere.
        5 => {
            context.registers[RSP] = 0xffff_ffff_ffff_fff8;
            context.registers[RIP] = 8;
        }
        // Components that the processor does not have.
        6 => {
            let header = (context.fpu + 512) as *mut [u64; 2];
            // SAFETY: likewise; the header begins at byte 512.
            unsafe { header.write([!0; 2]) };
        }
        // An image that is not there.
        7 => context.fpu = 0x1234_5678,
        8 => context.fpu = 0xffff_8000_0000_0000,
        // Signals that cannot be held back.
        _ => context.mask = !0,
    }
}

pub fn run(checks: &mut Checks) {
    for (lie, goes_on) in (0..).zip(GOES_ON) {
        checks.check(format_args!("context-{lie}"), || {
            let status = child::run(|| {
                LIE.store(lie, SeqCst);
                let _ = signal::handle(SIGUSR1, lies, 0);
                signal::raise(SIGUSR1);
                77
            })?;
            let ends = [SIGSEGV, SIGBUS, SIGILL, SIGTRAP].contains(&status);
            if if goes_on { status != child::exited(77) } else { !ends } {
                fail!("the child came to {status:#x}");
            }
            Ok(())
        });
    }
    checks.check(format_args!("without-a-frame"), || {
        let status = child::run(|| {
            // SAFETY: it does not come back, or with other registers.
            let _ = unsafe { raw::rt_sigreturn() };
            1
        })?;
        if status & 0x7f == 0 && status != child::exited(1) {
            fail!("the child came to {status:#x}");
        }
        Ok(())
    });
}
