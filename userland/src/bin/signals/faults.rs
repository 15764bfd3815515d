//! Faults that are handled: signal, code and address are right, and the program goes on.

use crate::{SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, done, same};
use abi::signals::{SA_NODEFER, SA_ONSTACK, SIG_IGN, SigInfo, SigStack, UserContext};
use core::arch::asm;
use core::hint::black_box;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};
use userland::lwp::Stack;
use userland::report::{Checks, Why};
use userland::signal::{self, bit, handle, set_mask, set_simple};
use userland::system::{self, raw};
use userland::{child, fail, files};

const RIP: usize = 16;
const PAGE: u64 = 4096;

/// Where to go on after a fault.
static GO_ON: AtomicU64 = AtomicU64::new(0);
/// Signal, code, address, where it was.
static FOUND: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

extern "C" fn note_and_go_on(signal: i32, information: &SigInfo, context: &mut UserContext) {
    let found =
        [signal as u64, information.code as u64, information.fields[0], context.registers[RIP]];
    FOUND.iter().zip(found).for_each(|(place, value)| place.store(value, SeqCst));
    context.registers[RIP] = GO_ON.load(SeqCst);
    // No step after this one.
    context.registers[17] &= !(1 << 8);
}

/// Executes instructions that fault; `rdi` is 0 or an address. Expects this signal and code, and the address: that in
/// `rdi`, that of the instruction (0), or none (1).
macro_rules! faults {
    ($signal:expr, $code:expr, $address:expr, $rdi:expr, $($instruction:literal),+) => {{
        let (address, rdi): (u64, u64) = ($address, $rdi);
        FOUND[0].store(0, SeqCst);
        let at: u64;
        // SAFETY: the fault's handler goes on behind it; the registers are said.
        unsafe {
            asm!(
                "lea {at}, [rip + 3f]",
                "mov [{go_on}], {at}",
                "lea {at}, [rip + 2f]",
                "2:", $($instruction,)+
                "3:",
                go_on = in(reg) GO_ON.as_ptr(),
                at = out(reg) at,
                inout("rdi") rdi => _,
                out("rax") _, out("rdx") _, out("rcx") _,
            );
        }
        let found: [u64; 4] = core::array::from_fn(|place| FOUND[place].load(SeqCst));
        let expected = match address { 0 => at, 1 => 0, given => given };
        let wanted = [$signal as u64, $code as u64, expected];
        if found[..3] != wanted {
            fail!("{}: {found:x?}, not {wanted:x?}", concat!($($instruction, "; "),+));
        }
    }};
}

/// A page with rights.
fn page(rights: i32) -> Result<u64, Why> {
    // SAFETY: fresh memory.
    done("mmap", unsafe { raw::mmap(0, PAGE, rights, 0x22, -1, 0) })
}

/// Where the handler maps a page.
static TO_MAP: AtomicU64 = AtomicU64::new(0);

extern "C" fn map_the_page(_: i32, information: &SigInfo, _: &mut UserContext) {
    let at = TO_MAP.load(SeqCst);
    if information.fields[0] & !(PAGE - 1) != at {
        system::exit_group(3);
    }
    // SAFETY: there is nothing.
    let mapped = unsafe { raw::mmap(at, PAGE, 3, 0x32, -1, 0) };
    if mapped.is_err() {
        system::exit_group(4);
    }
}

extern "C" fn leave(_: i32, _: &SigInfo, _: &mut UserContext) {
    system::exit_group(55);
}

#[inline(never)]
fn descend(depth: u64) -> u64 {
    let words = black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { descend(depth + 1) + black_box(words)[3] }
}

static OTHER_STACK: Stack<16384> = Stack::new();

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("faults-have-codes-and-addresses"), || {
        for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP] {
            done("sigaction", handle(signal, note_and_go_on, 0))?;
        }
        const MAPERR: i32 = 1;
        const ACCERR: i32 = 2;
        const KERNEL: i32 = 0x80;
        let (constant, gone) = (page(1)?, page(3)?);
        // SAFETY: mapped just now.
        done("munmap", unsafe { raw::munmap(gone, PAGE) })?;
        faults!(SIGSEGV, MAPERR, gone + 5, gone + 5, "mov al, [rdi]");
        faults!(SIGSEGV, MAPERR, gone + 6, gone + 6, "mov [rdi], al");
        faults!(SIGSEGV, MAPERR, gone, gone, "jmp rdi");
        faults!(SIGSEGV, ACCERR, constant + 7, constant + 7, "mov [rdi], al");
        faults!(SIGSEGV, ACCERR, constant, constant, "jmp rdi");
        faults!(SIGSEGV, KERNEL, 1, 1 << 63, "mov al, [rdi]");
        faults!(SIGSEGV, KERNEL, 1, 0, "hlt");
        faults!(SIGSEGV, KERNEL, 1, 0, "int 0x80");
        faults!(SIGFPE, 1, 0, 0, "div edi");
        faults!(SIGILL, 2, 0, 0, "ud2");
        Ok(())
    });
    checks.check(format_args!("a-breakpoint-and-a-step-are-handled"), || {
        done("sigaction", handle(SIGTRAP, note_and_go_on, 0))?;
        let traced = |step: bool| {
            FOUND[0].store(0, SeqCst);
            if step {
                // SAFETY: the handler goes on behind it.
                unsafe {
                    asm!(
                        "lea {at}, [rip + 3f]", "mov [{go_on}], {at}",
                        "pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop", "3:",
                        go_on = in(reg) GO_ON.as_ptr(), at = out(reg) _,
                    );
                }
            } else {
                // SAFETY: likewise.
                unsafe {
                    asm!(
                        "lea {at}, [rip + 3f]", "mov [{go_on}], {at}", "int3", "3:",
                        go_on = in(reg) GO_ON.as_ptr(), at = out(reg) _,
                    );
                }
            }
            [FOUND[0].load(SeqCst), FOUND[1].load(SeqCst)]
        };
        same("a breakpoint", traced(false), [SIGTRAP as u64, 1])?;
        same("a step", traced(true), [SIGTRAP as u64, 2])
    });
    checks.check(format_args!("behind-the-end-of-a-file"), || {
        done("sigaction", handle(SIGBUS, note_and_go_on, 0))?;
        let fd = done("open", files::open(c"/bin/signals", 0))?;
        // SAFETY: a mapping somewhere.
        let mapped = unsafe { raw::mmap(0, 4096 * PAGE, 1, 2, fd, 0) };
        done("close", files::close(fd))?;
        let mapped = done("mmap", mapped)?;
        let behind = mapped + 4095 * PAGE;
        faults!(SIGBUS, 2, behind, behind, "mov al, [rdi]");
        // SAFETY: mapped above.
        done("munmap", unsafe { raw::munmap(mapped, 4096 * PAGE) }).map(drop)
    });
    checks.check(format_args!("a-handler-brings-the-page"), || {
        let at = page(3)?;
        // SAFETY: mapped just now.
        done("munmap", unsafe { raw::munmap(at, PAGE) })?;
        TO_MAP.store(at, SeqCst);
        done("sigaction", handle(SIGSEGV, map_the_page, 0))?;
        let place = ptr::with_exposed_provenance_mut::<u64>(at as usize);
        // SAFETY: the handler maps it.
        unsafe { place.write_volatile(77) };
        // SAFETY: it has.
        let found = unsafe { place.read_volatile() };
        same("what was written", found, 77)?;
        // SAFETY: mapped by the handler.
        done("munmap", unsafe { raw::munmap(at, PAGE) }).map(drop)
    });
    checks.check(format_args!("a-stack-that-is-full-is-handled-on-another"), || {
        let found = child::run(|| {
            let base = OTHER_STACK.top() - 16384;
            let stack = SigStack { base, flags: 0, padding: 0, size: 16384 };
            let ready =
                signal::set_stack(&stack).is_ok() && handle(SIGSEGV, leave, SA_ONSTACK).is_ok();
            if ready { descend(1) as i32 } else { 1 }
        })?;
        same("with another stack", found, child::exited(55))?;
        let found = child::run(|| match handle(SIGSEGV, leave, 0) {
            Ok(_) => descend(1) as i32,
            Err(_) => 1,
        })?;
        same("without", found, SIGSEGV)
    });
    checks.check(format_args!("a-fault-that-is-held-back-or-ignored-ends-the-process"), || {
        let fault = || {
            // SAFETY: it faults.
            unsafe { asm!("mov al, [rdi]", in("rdi") 8, out("al") _) };
            0
        };
        let found = child::run(|| {
            let _ = handle(SIGSEGV, leave, 0);
            set_mask(bit(SIGSEGV));
            fault()
        })?;
        same("held back", found, SIGSEGV)?;
        let found = child::run(|| {
            let _ = set_simple(SIGSEGV, SIG_IGN);
            fault()
        })?;
        same("ignored", found, SIGSEGV)?;
        let found = child::run(|| {
            let _ = handle(SIGSEGV, fault_again, SA_NODEFER);
            fault()
        })?;
        same("in its handler, again and again", found, SIGSEGV)
    });
    for signal in [SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP] {
        let _ = set_simple(signal, 0);
    }
}

extern "C" fn fault_again(_: i32, _: &SigInfo, _: &mut UserContext) {
    // SAFETY: it faults.
    unsafe { asm!("mov al, [rdi]", in("rdi") 8, out("al") _) };
}
