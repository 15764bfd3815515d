//! Frames that lie to `rt_sigreturn`: the process gets a signal at most, and the kernel stays.

use crate::{SIGSEGV, SIGTRAP, SIGUSR1, same};
use abi::signals::{SigInfo, UserContext};
use core::arch::asm;
use core::cell::UnsafeCell;
use core::ptr;
use userland::report::{Checks, Why};
use userland::signal::{self, handle, set_mask};
use userland::{child, fail, system};

const RSP: usize = 15;
const RIP: usize = 16;
const FLAGS: usize = 17;

/// Flags of the kernel's alone: IOPL, nested task, virtual 8086 and its interrupt flags.
const PRIVILEGED: u64 = 3 << 12 | 1 << 14 | 1 << 17 | 3 << 19;
const INTERRUPTS: u64 = 1 << 9;

fn flags() -> u64 {
    let flags;
    // SAFETY: reads the flags through the stack.
    unsafe { asm!("pushfq", "pop {}", out(reg) flags) };
    flags
}

/// Lets a handler change what it returns to; says how the child ends that does it.
macro_rules! lie {
    (|$context:ident| $change:block) => {{
        extern "C" fn liar(_: i32, _: &SigInfo, $context: &mut UserContext) {
            $change
        }
        child::run(|| {
            if handle(SIGUSR1, liar, 0).is_err() {
                return 1;
            }
            signal::raise(SIGUSR1);
            let flags = flags();
            i32::from(flags & PRIVILEGED != 0 || flags & INTERRUPTS == 0)
        })?
    }};
}

fn image(context: &UserContext) -> *mut u8 {
    ptr::with_exposed_provenance_mut(context.fpu as usize)
}

/// Returns from a handler that never ran, with this stack pointer.
fn return_from(stack: u64) -> Result<i32, Why> {
    child::run(|| {
        // SAFETY: it ends the child, whatever it does.
        unsafe {
            asm!("mov rsp, {}", "mov eax, 15", "syscall", "ud2", in(reg) stack, options(noreturn))
        }
    })
}

/// A page of random bytes.
#[repr(align(4096))]
struct Noise(UnsafeCell<[u64; 512]>);

// SAFETY: only the first LWP writes it, and no other reads it.
unsafe impl Sync for Noise {}

static NOISE: Noise = Noise(UnsafeCell::new([0; 512]));

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("segments-and-flags-are-the-kernels"), || {
        same("segments", lie!(|context| { context.segments = [0x08, 0, 0, 0x10] }), 0)?;
        same("no segments", lie!(|context| { context.segments = [0; 4] }), 0)?;
        same("flags", lie!(|context| { context.registers[FLAGS] |= PRIVILEGED }), 0)?;
        same(
            "all flags but a step",
            lie!(|context| { context.registers[FLAGS] = !0x100 & !0x40400 }),
            0,
        )?;
        same("no flags", lie!(|context| { context.registers[FLAGS] = 0 }), 0)?;
        same("a step", lie!(|context| { context.registers[FLAGS] |= 0x100 }), SIGTRAP)
    });
    checks.check(format_args!("addresses-that-are-none-fault-in-user-mode"), || {
        same("no address", lie!(|context| { context.registers[RIP] = 1 << 47 }), SIGSEGV)?;
        same("the last one", lie!(|context| { context.registers[RIP] = u64::MAX }), SIGSEGV)?;
        same("the kernel's", lie!(|context| { context.registers[RIP] = u64::MAX << 31 }), SIGSEGV)?;
        let stack = lie!(|context| { context.registers[RSP] = 1 << 47 });
        same("a stack", stack == SIGSEGV || stack == crate::SIGBUS, true)?;
        let stack = lie!(|context| { context.registers[RSP] = u64::MAX << 31 });
        same("the kernel's stack", stack == SIGSEGV || stack == crate::SIGBUS, true)
    });
    checks.check(format_args!("images-of-registers-are-put-right"), || {
        same("none", lie!(|context| { context.fpu = 0 }), 0)?;
        same("not there", lie!(|context| { context.fpu = 64 }), SIGSEGV)?;
        same("the kernel's", lie!(|context| { context.fpu = u64::MAX << 31 }), SIGSEGV)?;
        same("wrapping", lie!(|context| { context.fpu = u64::MAX - 63 }), SIGSEGV)?;
        same("not aligned", lie!(|context| { context.fpu += 1 }), 0)?;
        let control = lie!(|context| {
            let control = image(context).wrapping_add(24).cast::<u32>();
            // SAFETY: the image lies there.
            unsafe { control.write(u32::MAX) }
        });
        same("the control register", control, 0)?;
        let header = lie!(|context| {
            let header = image(context).wrapping_add(512);
            // SAFETY: the image lies there.
            unsafe { header.write_bytes(0xff, 64) }
        });
        same("the header", header, 0)?;
        let all = lie!(|context| {
            // SAFETY: the image lies there.
            unsafe { image(context).write_bytes(0xff, 576) }
        });
        same("everything", all, 0)
    });
    checks.check(format_args!("no-mask-holds-everything-back"), || {
        let found = lie!(|context| { context.mask = u64::MAX });
        same("its end", found, 0)?;
        let child = child::run(|| {
            extern "C" fn liar(_: i32, _: &SigInfo, context: &mut UserContext) {
                context.mask = u64::MAX;
            }
            let _ = handle(SIGUSR1, liar, 0);
            signal::raise(SIGUSR1);
            i32::from(set_mask(0) != !(signal::bit(crate::SIGKILL) | signal::bit(crate::SIGSTOP)))
        })?;
        same("the mask then", child, 0)
    });
    checks.check(format_args!("frames-that-are-not-there"), || {
        for stack in [0, 8, 4096, 1 << 47, (1 << 47) - 8, u64::MAX, u64::MAX << 31, 1 << 63] {
            same("its end", return_from(stack)?, SIGSEGV)?;
        }
        Ok(())
    });
    checks.check(format_args!("random-frames"), || {
        let mut number = 0x9e37_79b9_7f4a_7c15_u64 ^ system::getpid();
        for _ in 0..100 {
            let noise = NOISE.0.get().cast::<u64>();
            for index in 0..512 {
                number ^= number << 13;
                number ^= number >> 7;
                number ^= number << 17;
                // Often small, often an address of its own.
                let value = match number % 4 {
                    0 => number >> 56,
                    1 => noise as u64 + number % 4096,
                    2 => u64::MAX << (number % 64),
                    _ => number,
                };
                // SAFETY: in the page.
                unsafe { noise.wrapping_add(index).write(value) };
            }
            let found = return_from(noise as u64 + 8 * (number % 64))?;
            if found & 0x7f == 0 && found != child::exited(0) {
                fail!("a random frame came to {found:#x}");
            }
        }
        Ok(())
    });
}
