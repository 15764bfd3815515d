//! The ways to die. Everything is an instruction of assembly language, so that the compiler, which
//! may assume that none of this happens, has no part in it.

use core::arch::{asm, naked_asm};
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering};

/// A way to die.
pub struct Way {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The signal that it brings.
    pub signal: &'static str,
    /// What it does, for a person.
    pub what: &'static str,
    /// Does it. Returns only where the machine lets it pass.
    pub die: fn(),
}

macro_rules! ways {
    ($($name:literal $signal:ident $die:ident $what:literal;)*) => {
        /// All of them.
        pub const WAYS: [Way; [$($name),*].len()] = [$(Way {
            name: $name,
            signal: stringify!($signal),
            what: $what,
            die: $die,
        }),*];
    };
}

ways! {
    "null" SIGSEGV fault_null "reads address 0";
    "wild-read" SIGSEGV fault_wild_read "reads where nothing is";
    "wild-write" SIGSEGV fault_wild_write "writes where nothing is";
    "kernel-read" SIGSEGV fault_kernel_read "reads the kernel's memory";
    "kernel-write" SIGSEGV fault_kernel_write "writes to the kernel's memory";
    "execute-data" SIGSEGV fault_execute_data "calls into data";
    "write-text" SIGSEGV fault_write_text "writes to its own instructions";
    "privileged-hlt" SIGSEGV fault_privileged_hlt "halts the processor";
    "privileged-cli" SIGSEGV fault_privileged_cli "turns interrupts off";
    "privileged-in" SIGSEGV fault_privileged_in "reads a port";
    "privileged-wrmsr" SIGSEGV fault_privileged_wrmsr "writes a model-specific register";
    "divide" SIGFPE fault_divide "divides by zero";
    "undefined" SIGILL fault_undefined "executes an instruction that does not exist";
    "breakpoint" SIGTRAP fault_breakpoint "runs into a breakpoint";
    "general-protection" SIGSEGV fault_general_protection "loads a segment that does not exist";
    "stack-segment" SIGSEGV fault_stack_segment "moves its stack to where no address is (or SIGBUS)";
    "stack-overflow" SIGSEGV fault_stack_overflow "calls itself without end";
    "stack-guard" SIGSEGV fault_stack_guard "writes below the 41st stack of an array";
    "noncanonical-jump" SIGSEGV fault_noncanonical_jump "jumps to where no address is";
    "alignment" SIGBUS fault_alignment "reads a misaligned number, having asked for the check";
    "int80" SIGSEGV fault_int80 "makes a 32-bit system call";
    "sysenter" SIGILL fault_sysenter "makes a system call of another kind (SIGSEGV on Intel)";
    "single-step" SIGTRAP fault_single_step "asks for a trap after each instruction";
    "device-frame-pointer" SIGILL fault_device_frame_pointer "points its backtrace at a device";
    "kernel-frame-pointer" SIGILL fault_kernel_frame_pointer "points its backtrace at the kernel";
    "overflow-int4" SIGSEGV fault_overflow_int4 "raises the overflow exception";
    "simd" SIGFPE fault_simd "divides by zero with floating point, having asked for the exception";
}

/// User memory that no program has: far above its image, far below its stack.
const WILD: u64 = 0x5555_5555_5000;
const PAGE: u64 = 4096;
/// The first address of the kernel's half.
const KERNEL: u64 = 0xffff_8000_0000_0000;
/// The first address of the hole between the halves.
const NONCANONICAL: u64 = 0x0000_8000_0000_0000;

/// Reads four bytes.
#[inline(always)]
fn read(address: u64) {
    // SAFETY: a read changes nothing; if it can be done, the program goes on.
    unsafe { asm!("mov {:e}, [{}]", out(reg) _, in(reg) address, options(nostack, readonly)) };
}

/// Writes four bytes: only for where nothing of ours can be written to.
#[inline(always)]
fn write(address: u64) {
    // SAFETY: the callers' addresses are none that this program, or Rust, may write to.
    unsafe { asm!("mov dword ptr [{}], 7", in(reg) address, options(nostack)) };
}

#[inline(never)]
fn fault_null() {
    read(0);
}

#[inline(never)]
fn fault_wild_read() {
    read(WILD);
}

#[inline(never)]
fn fault_wild_write() {
    write(WILD);
}

#[inline(never)]
fn fault_kernel_read() {
    read(KERNEL);
}

#[inline(never)]
fn fault_kernel_write() {
    write(KERNEL);
}

#[inline(never)]
fn fault_execute_data() {
    const RET: u64 = 0xc3;
    static DATA: AtomicU64 = AtomicU64::new(RET);
    // SAFETY: should it be executed after all: what is there returns at once.
    unsafe { asm!("call {}", in(reg) DATA.as_ptr(), clobber_abi("C")) };
    // Keeps it from being constant data.
    DATA.store(RET, Ordering::Relaxed);
}

#[inline(never)]
fn fault_write_text() {
    /// Never called: only here to be written to.
    #[unsafe(naked)]
    extern "C" fn text() {
        naked_asm!("nop", "nop", "nop", "nop", "ret")
    }
    write(text as *const () as u64);
}

#[inline(never)]
fn fault_privileged_hlt() {
    // SAFETY: waits for an interrupt at most.
    unsafe { asm!("hlt", options(nomem, nostack)) };
}

#[inline(never)]
fn fault_privileged_cli() {
    // SAFETY: changes no memory and no register.
    unsafe { asm!("cli", options(nomem, nostack)) };
}

#[inline(never)]
fn fault_privileged_in() {
    // SAFETY: reads the keyboard's status, which changes nothing.
    unsafe { asm!("in al, 0x64", out("al") _, options(nomem, nostack)) };
}

#[inline(never)]
fn fault_privileged_wrmsr() {
    const FS_BASE: u32 = 0xc000_0100;
    // SAFETY: should it be executed after all: this program does not use `fs`.
    unsafe { asm!("wrmsr", in("ecx") FS_BASE, in("eax") 0, in("edx") 0, options(nomem, nostack)) };
}

#[inline(never)]
fn fault_divide() {
    // SAFETY: changes no more than it says.
    unsafe {
        asm!("xor edx, edx", "div {:e}", in(reg) 0, inout("eax") 1 => _, out("edx") _,
            options(nomem, nostack))
    };
}

#[inline(never)]
fn fault_undefined() {
    // SAFETY: does nothing but fault.
    unsafe { asm!("ud2", options(nomem, nostack)) };
}

#[inline(never)]
fn fault_breakpoint() {
    // SAFETY: does nothing but trap.
    unsafe { asm!("int3", options(nomem, nostack)) };
}

#[inline(never)]
fn fault_general_protection() {
    // Beyond the end of every table of segments.
    const SELECTOR: u16 = 0xfff8;
    // SAFETY: `ds` means nothing in 64-bit mode.
    unsafe { asm!("mov ds, {:x}", in(reg) SELECTOR, options(nomem, nostack)) };
}

#[inline(never)]
fn fault_stack_segment() {
    // SAFETY: the stack pointer comes back, should there have been no fault.
    unsafe {
        asm!("mov {old}, rsp", "mov rsp, {no}", "push 0", "mov rsp, {old}",
            old = out(reg) _, no = in(reg) NONCANONICAL + 0x1000, options(nostack))
    };
}

#[inline(never)]
fn fault_stack_overflow() {
    // The amount is hidden from the compiler, so that it cannot know that there is no end.
    descend(black_box(1));
}

#[inline(never)]
fn descend(level: u64) -> u64 {
    let here = black_box([level; 32]);
    if level == 0 { here[0] } else { descend(level + 1) + here[1] }
}

#[inline(never)]
fn fault_stack_guard() {
    const STRIDE: u64 = 8 * PAGE;
    // SAFETY: somewhere where nothing is.
    let stacks = unsafe { userland::system::raw::stacks(100, STRIDE, 2 * PAGE) };
    // Without an array the write is the one below address 0.
    let stack = stacks.map_or(0, |first| first + 41 * STRIDE + 2 * PAGE);
    write(stack.wrapping_sub(8));
}

#[inline(never)]
fn fault_noncanonical_jump() {
    // SAFETY: there is nothing to execute.
    unsafe { asm!("call {}", in(reg) NONCANONICAL, clobber_abi("C")) };
}

#[inline(never)]
fn fault_alignment() {
    let numbers = [0_u64; 2];
    // SAFETY: reads inside `numbers`; the flag is put back, should there have been no fault. Below
    // the stack pointer lies nothing, as the assembler code says that it uses the stack.
    unsafe {
        asm!(
            "pushfq",
            // Alignment check.
            "or dword ptr [rsp], 1 << 18",
            "popfq",
            "mov {number}, [{numbers} + 1]",
            "pushfq",
            "and dword ptr [rsp], ~(1 << 18)",
            "popfq",
            number = out(reg) _,
            numbers = in(reg) &numbers,
        )
    };
}

#[inline(never)]
fn fault_int80() {
    const GETPID: u32 = 20;
    // SAFETY: should it be a system call after all: one that changes nothing but `eax`.
    unsafe { asm!("int 0x80", inout("eax") GETPID => _, options(nostack)) };
}

#[inline(never)]
fn fault_sysenter() {
    // SAFETY: should it enter a kernel after all, it does not come back here.
    unsafe { asm!("sysenter", options(nomem, nostack)) };
}

#[inline(never)]
fn fault_single_step() {
    // SAFETY: sets the trap flag, and clears it again should there have been no trap. Below the stack
    // pointer lies nothing, as the assembler code says that it uses the stack.
    unsafe {
        asm!(
            "pushfq",
            "or dword ptr [rsp], 1 << 8",
            "popfq",
            "nop",
            "pushfq",
            "and dword ptr [rsp], ~(1 << 8)",
            "popfq",
        )
    };
}

/// Faults with this frame pointer: whoever reads the backtrace must not follow it.
#[inline(always)]
fn fault_with_frame_pointer(address: u64) {
    // SAFETY: the frame pointer comes back, should there have been no fault.
    unsafe {
        asm!("push rbp", "mov rbp, {}", "ud2", "pop rbp", in(reg) address, options(preserves_flags))
    };
}

#[inline(never)]
fn fault_device_frame_pointer() {
    // Where this kernel maps the registers of its interrupt controllers (`kernel_space`).
    fault_with_frame_pointer(0xffff_e000_0000_0000);
}

#[inline(never)]
fn fault_kernel_frame_pointer() {
    // All of memory is mapped there, the kernel's own with it.
    fault_with_frame_pointer(KERNEL + 0x10_0000);
}

#[inline(never)]
fn fault_overflow_int4() {
    // SAFETY: does nothing but trap.
    unsafe { asm!("int 4", options(nomem, nostack)) };
}

/// With SSE and, because not every emulator has exceptions there, with the older unit after it.
#[inline(never)]
fn fault_simd() {
    // Everything as at the start, but division by zero is an exception.
    const SSE_CONTROL: u32 = 0x1f80 & !(1 << 9);
    const X87_CONTROL: u16 = 0x37f & !(1 << 2);
    // SAFETY: both units get their usual settings back, should there have been no exception.
    unsafe {
        asm!(
            "ldmxcsr [{sse}]",
            "xorps {zero}, {zero}",
            "cvtsi2ss {one}, {number:e}",
            "divss {one}, {zero}",
            "ldmxcsr [{sse_usual}]",
            "fldcw [{x87}]",
            "fldz",
            "fld1",
            "fdivrp",
            "fwait",
            "fninit",
            sse = in(reg) &SSE_CONTROL,
            sse_usual = in(reg) &0x1f80_u32,
            x87 = in(reg) &X87_CONTROL,
            number = in(reg) 1,
            zero = out(xmm_reg) _,
            one = out(xmm_reg) _,
            out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
            out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            options(nostack),
        )
    };
}
