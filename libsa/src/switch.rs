//! From one thread to the next.
//!
//! A thread that leaves by itself has its registers on its stack ([`switch`]). One that was interrupted, or comes back
//! from the kernel, has them in a context ([`ControlBlock::context`]), which is its own until it enters the library the
//! next time.
//!
//! # Windows
//!
//! Whoever goes on with a thread leaves the critical section before the last of the registers are there. From then on
//! all that is used belongs to the thread: its block, its stack, its context. If an upcall interrupts it there, what it
//! would go on with is as good as before, and the registers that were saved are thrown away ([`is_in_window`]). A page
//! fault there is the thread's own, and blocks nobody else.
//!
//! # Stacks
//!
//! Between two threads a virtual processor stands on its stack for idling: what it has left may be somebody else's by
//! then, and an upcall that interrupts it there goes on with it by way of its stack ([`go_on_in_library`]).
//!
//! Nothing here uses `iretq`: it is slow, and QEMU reads its frame with the kernel's rights.

use crate::control::{Context, ControlBlock, RDI, RFLAGS, RIP, RSP};
use crate::line::{IDLE_STACK, MARK, PENDING, RUNNING, TARGET, TARGET_STACK};
use crate::pending;
use abi::activations::SaUpcall;
use core::arch::naked_asm;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU8, AtomicU32};
use scheduler::Thread;

const STACK_POINTER: usize = offset_of!(ControlBlock, stack_pointer);
const CONTEXT: usize = offset_of!(ControlBlock, context);
const ON_STACK: usize = offset_of!(ControlBlock, scheduler) + Thread::ON_STACK;
const REGISTERS: usize = offset_of!(Context, registers);
const FPU: usize = offset_of!(Context, fpu);

/// The number of `sa_stacks`.
const SA_STACKS: u32 = 0x1020;

/// Whether contexts are restored with `xrstor`; else with `fxrstor`.
pub static HAS_XSAVE: AtomicU8 = AtomicU8::new(0);

/// Whether an address is where nothing but the thread's own is used any longer: see the module.
pub fn is_in_window(address: u64) -> bool {
    let own = libsa_own_window as *const () as u64..libsa_own_window_end as *const () as u64;
    let full = libsa_full_window as *const () as u64..libsa_full_window_end as *const () as u64;
    own.contains(&address) || full.contains(&address)
}

unsafe extern "C" {
    fn libsa_own_window();
    fn libsa_own_window_end();
    fn libsa_full_window();
    fn libsa_full_window_end();
}

/// `me` leaves, and `next` goes on; returns when somebody goes on with `me`. Called in a critical section that is the
/// only one, and returns outside.
///
/// # Safety
///
/// `me` runs here; `next` is another one, and nobody else goes on with it.
#[unsafe(naked)]
pub unsafe extern "C" fn switch(me: *const ControlBlock, next: *const ControlBlock) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi + {stack_pointer}], rsp",
        "mov rsp, fs:[{idle_stack}]",
        // Somebody may go on with it from here on.
        "mov dword ptr [rdi + {on_stack}], 0",
        "mov rdi, rsi",
        "jmp {go_on}",
        stack_pointer = const STACK_POINTER,
        idle_stack = const IDLE_STACK,
        on_stack = const ON_STACK,
        go_on = sym go_on,
    )
}

/// `me` is over, and `next` goes on.
///
/// # Safety
///
/// As with [`switch`]; nobody goes on with `me`.
#[unsafe(naked)]
pub unsafe extern "C" fn leave_for_good(me: *const ControlBlock, next: *const ControlBlock) -> ! {
    naked_asm!(
        "mov rsp, fs:[{idle_stack}]",
        "mov dword ptr [rdi + {on_stack}], 0",
        "mov rdi, rsi",
        "jmp {go_on}",
        on_stack = const ON_STACK,
        idle_stack = const IDLE_STACK,
        go_on = sym go_on,
    )
}

/// An upcall is over: its stack goes back, by a store to `place`, and a thread goes on, as with [`go_on`].
///
/// # Safety
///
/// As with [`go_on`]; this stands on the upcall's stack.
#[unsafe(naked)]
pub unsafe extern "C" fn leave_upcall(
    upcall: *const SaUpcall,
    next: *const ControlBlock,
    place: *const AtomicU32,
) -> ! {
    naked_asm!(
        "mov rsp, fs:[{idle_stack}]",
        "mov eax, [rdi + {used}]",
        // From here on the kernel may begin another upcall there, unless the stack is withheld.
        "mov [rdx], eax",
        "mfence",
        "cmp dword ptr [rdi + {calls}], 0",
        "mov rdi, rsi",
        "je {go_on}",
        "mov rbx, rdi",
        "xor edi, edi",
        "xor esi, esi",
        "mov eax, {sa_stacks}",
        "syscall",
        "mov rdi, rbx",
        "jmp {go_on}",
        used = const offset_of!(SaUpcall, told.used),
        calls = const offset_of!(SaUpcall, calls),
        sa_stacks = const SA_STACKS,
        idle_stack = const IDLE_STACK,
        go_on = sym go_on,
    )
}

/// Goes on with a thread, as soon as that has left its stack. In a critical section, which is left. Nothing is used of the
/// stack that this is on.
///
/// # Safety
///
/// Nobody else goes on with it; it has left its stack, or is about to.
#[unsafe(naked)]
pub unsafe extern "C" fn go_on(next: *const ControlBlock) -> ! {
    naked_asm!(
        // It may have been made ready before it has left its stack. This waits with nothing left that anybody could wait for:
        // two threads may be about to go on with each other.
        "cmp dword ptr [rdi + {on_stack}], 0",
        "jne 7f",
        "6:",
        "mov fs:[{running}], rdi",
        "mov dword ptr [rdi + {on_stack}], 1",
        "mov rsi, [rdi + {context}]",
        "test rsi, rsi",
        "jnz 2f",
        "mov qword ptr fs:[{mark}], 0",
        ".globl libsa_own_window",
        "libsa_own_window:",
        "cmp qword ptr fs:[{pending}], 0",
        "jne 5f",
        "mov rsp, [rdi + {stack_pointer}]",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        // What was put off is done first, on the stack for idling.
        "5:",
        "mov qword ptr fs:[{mark}], 1",
        ".globl libsa_own_window_end",
        "libsa_own_window_end:",
        "mov rsp, fs:[{idle_stack}]",
        "call {before}",
        "ud2",
        "2:",
        "mov rax, -1",
        "mov rdx, -1",
        "cmp byte ptr [rip + {has_xsave}], 0",
        "je 3f",
        "xrstor64 [rsi + {fpu}]",
        "jmp 4f",
        "3:",
        "fxrstor64 [rsi + {fpu}]",
        "4:",
        "mov rax, [rsi + {registers} + {rip} * 8]",
        "mov fs:[{target}], rax",
        "mov rax, [rsi + {registers} + {rsp} * 8]",
        "mov fs:[{target_stack}], rax",
        "mov qword ptr fs:[{mark}], 0",
        ".globl libsa_full_window",
        "libsa_full_window:",
        "cmp qword ptr fs:[{pending}], 0",
        "jne 5b",
        "mov r8, [rsi + {registers}]",
        "mov r9, [rsi + {registers} + 8]",
        "mov r10, [rsi + {registers} + 16]",
        "mov r11, [rsi + {registers} + 24]",
        "mov r12, [rsi + {registers} + 32]",
        "mov r13, [rsi + {registers} + 40]",
        "mov r14, [rsi + {registers} + 48]",
        "mov r15, [rsi + {registers} + 56]",
        "mov rdi, [rsi + {registers} + 64]",
        "mov rbp, [rsi + {registers} + 80]",
        "mov rbx, [rsi + {registers} + 88]",
        "mov rdx, [rsi + {registers} + 96]",
        "mov rax, [rsi + {registers} + 104]",
        "mov rcx, [rsi + {registers} + 112]",
        "lea rsp, [rsi + {registers} + {rflags} * 8]",
        "mov rsi, [rsi + {registers} + 72]",
        "popfq",
        "mov rsp, fs:[{target_stack}]",
        "jmp qword ptr fs:[{target}]",
        ".globl libsa_full_window_end",
        "libsa_full_window_end:",
        "7:",
        "pause",
        "cmp dword ptr [rdi + {on_stack}], 0",
        "jne 7b",
        "jmp 6b",
        running = const RUNNING,
        on_stack = const ON_STACK,
        context = const CONTEXT,
        mark = const MARK,
        pending = const PENDING,
        stack_pointer = const STACK_POINTER,
        has_xsave = sym HAS_XSAVE,
        fpu = const FPU,
        registers = const REGISTERS,
        rip = const RIP,
        rsp = const RSP,
        rflags = const RFLAGS,
        target = const TARGET,
        target_stack = const TARGET_STACK,
        idle_stack = const IDLE_STACK,
        before = sym pending::before_a_thread,
    )
}

/// `me` leaves, and the virtual processor idles. Called in a critical section; returns outside.
///
/// # Safety
///
/// `me` runs here, and somebody else will go on with it; or it is over, and nobody will.
#[unsafe(naked)]
pub unsafe extern "C" fn switch_to_nobody(me: *const ControlBlock) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi + {stack_pointer}], rsp",
        "mov rax, fs:[{idle_stack}]",
        "mov qword ptr fs:[{running}], 0",
        "mov rsp, rax",
        "mov dword ptr [rdi + {on_stack}], 0",
        "call {idle}",
        "ud2",
        stack_pointer = const STACK_POINTER,
        on_stack = const ON_STACK,
        running = const RUNNING,
        idle_stack = const IDLE_STACK,
        idle = sym crate::dispatch::idle,
    )
}

/// An upcall is over: its stack goes back, and the virtual processor idles. Called in a critical section.
///
/// # Safety
///
/// This stands on the upcall's stack.
#[unsafe(naked)]
pub unsafe extern "C" fn leave_upcall_for_nobody(upcall: *const SaUpcall) -> ! {
    naked_asm!(
        "mov rsp, fs:[{idle_stack}]",
        "mov qword ptr fs:[{running}], 0",
        "call {idle_after}",
        "ud2",
        running = const RUNNING,
        idle_stack = const IDLE_STACK,
        idle_after = sym crate::dispatch::idle_after,
    )
}

/// An upcall goes on with what it has interrupted in the library. The upcall's stack and the slot are given back by who
/// leaves the critical section.
///
/// Where it goes on is put onto the stack that it goes on with, behind the red zone, so that this may be interrupted
/// itself, at any instruction.
///
/// # Safety
///
/// `context` is what the upcall has interrupted, `mark` the mark at that time.
#[unsafe(naked)]
#[unsafe(link_section = "libsa_scheduler")]
pub unsafe extern "C" fn go_on_in_library(context: *const Context, mark: u64) -> ! {
    naked_asm!(
        "mov r8, [rdi + {registers} + {rsp} * 8]",
        "lea r8, [r8 - 128 - 16]",
        "mov r9, [rdi + {registers} + {rflags} * 8]",
        "mov [r8], r9",
        "mov r9, [rdi + {registers} + {rip} * 8]",
        "mov [r8 + 8], r9",
        "mov rax, -1",
        "mov rdx, -1",
        "cmp byte ptr [rip + {has_xsave}], 0",
        "je 3f",
        "xrstor64 [rdi + {fpu}]",
        "jmp 4f",
        "3:",
        "fxrstor64 [rdi + {fpu}]",
        "4:",
        "mov fs:[{mark}], rsi",
        "mov rsp, r8",
        "mov r8, [rdi + {registers}]",
        "mov r9, [rdi + {registers} + 8]",
        "mov r10, [rdi + {registers} + 16]",
        "mov r11, [rdi + {registers} + 24]",
        "mov r12, [rdi + {registers} + 32]",
        "mov r13, [rdi + {registers} + 40]",
        "mov r14, [rdi + {registers} + 48]",
        "mov r15, [rdi + {registers} + 56]",
        "mov rsi, [rdi + {registers} + 72]",
        "mov rbp, [rdi + {registers} + 80]",
        "mov rbx, [rdi + {registers} + 88]",
        "mov rdx, [rdi + {registers} + 96]",
        "mov rax, [rdi + {registers} + 104]",
        "mov rcx, [rdi + {registers} + 112]",
        "mov rdi, [rdi + {registers} + {rdi} * 8]",
        "popfq",
        "ret 128",
        registers = const REGISTERS,
        rsp = const RSP,
        rip = const RIP,
        rdi = const RDI,
        rflags = const RFLAGS,
        fpu = const FPU,
        mark = const MARK,
        has_xsave = sym HAS_XSAVE,
    )
}
