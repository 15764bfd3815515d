//! Registers that are an LWP's own: the private pointer, and those of floating point and vectors.

use crate::{create_as, ends_with};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::fail;
use userland::lwp::{self, Attributes};
use userland::report::Checks;
use userland::system;

/// What private pointers lead to.
static PRIVATE: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

fn address(index: u64) -> u64 {
    PRIVATE[index as usize].as_ptr() as u64
}

/// Looks at its private pointer again and again, by `fs` and by the call; returns how often it was another's.
extern "C" fn looks(index: u64) -> u64 {
    let mut wrong = 0;
    for round in 0..2000 {
        let found: u64;
        // SAFETY: one read of what the private pointer leads to.
        unsafe { asm!("mov {}, fs:[0]", out(reg) found, options(readonly, nostack)) };
        wrong += u64::from(found != index + 1 || lwp::private() != address(index));
        if round % 16 == 0 {
            system::sched_yield();
        }
    }
    wrong
}

/// Keeps values in vector and floating-point registers while others run; returns how often they were others'.
extern "C" fn keeps(index: u64) -> u64 {
    let mut wrong = 0;
    for round in 0..500_u64 {
        let value = index << 32 | round;
        let (vector, float): (u64, u64);
        // SAFETY: the call in the middle changes `rax`, `rcx` and `r11` only.
        unsafe {
            asm!(
                "movq xmm7, {value}",
                "movq xmm15, {value}",
                "push {value}",
                "fild qword ptr [rsp]",
                "mov eax, 24",
                "syscall",
                "fistp qword ptr [rsp]",
                "pop {float}",
                "movq {vector}, xmm7",
                "movq {scratch}, xmm15",
                "xor {scratch}, {value}",
                "or {vector}, {scratch}",
                value = in(reg) value,
                vector = out(reg) vector,
                float = out(reg) float,
                scratch = out(reg) _,
                out("rax") _, out("rcx") _, out("r11") _,
                out("xmm7") _, out("xmm15") _, out("st(7)") _,
            );
        }
        wrong += u64::from(vector != value || float != value);
    }
    wrong
}

pub fn run(checks: &mut Checks) {
    for (name, entry) in
        [("private-pointers-are-kept", looks as lwp::Entry), ("vectors-and-floats-are-kept", keeps)]
    {
        checks.check(format_args!("{name}"), || {
            let mut numbers = [0; 8];
            for (index, number) in (0..).zip(&mut numbers) {
                PRIVATE[index as usize].store(index + 1, SeqCst);
                let own = Attributes { private: address(index), ..Attributes::default() };
                *number = create_as(index as usize, entry, index, own)?;
            }
            numbers.into_iter().try_for_each(|number| ends_with(number, 0))
        });
    }
    checks.check(format_args!("the-private-pointer-can-be-set"), || {
        PRIVATE[0].store(77, SeqCst);
        // SAFETY: nothing here uses `fs`.
        let set = unsafe { system::raw::lwp_private(address(0)) };
        let wrong = unsafe_read();
        // SAFETY: likewise.
        let back = unsafe { system::raw::lwp_private(0) };
        // SAFETY: likewise; it is refused.
        let refused = unsafe { system::raw::lwp_private(1 << 63) };
        if (set, wrong, back) != (Ok(0), 77, Ok(0)) || refused.is_ok() {
            fail!("{set:?}, {wrong}, {back:?}, {refused:?}");
        }
        Ok(())
    });
}

fn unsafe_read() -> u64 {
    let found;
    // SAFETY: the private pointer has been set.
    unsafe { asm!("mov {}, fs:[0]", out(reg) found, options(readonly, nostack)) };
    found
}
