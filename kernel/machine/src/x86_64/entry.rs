//! The entry stubs and the way back.
//!
//! A stub of at most 16 bytes per vector pushes what the processor did not push and goes on to one
//! of two common entries. They differ in how they find out whose `gs` is loaded:
//!
//! - `entry_by_selector` (page faults and external interrupts) looks at the interrupted code
//!   segment. These two cannot come while the kernel runs on the user's `gs`: the few instructions
//!   around `swapgs` have interrupts off and touch no memory that could be absent.
//! - `entry_by_base` (everything else) does so too, and for interrupted kernel code compares the base
//!   of `gs` with the processor's own address. NMI, machine checks and debug exceptions can come on any instruction, `iretq` itself can
//!   fault, and user mode can set its `gs` base to whatever it likes, so neither the code segment
//!   nor the sign of the base can be trusted. The address is at a fixed place above the frame: on
//!   every entry stack ([`super::descriptors`]). Invariant: of the two `gs` bases one is always the
//!   processor's address, so if it is not the one in use, `swapgs` makes it so.
//!
//! Both call `trap_on_entry_stack`, and if that gives back another frame than the one it got, move
//! to the stack of that frame and call `trap_on_thread_stack`. One way back for all.

use super::frame::{SIZE, TrapFrame};
use super::private::MSR_GS_BASE;
use super::trap::{trap_on_entry_stack, trap_on_thread_stack};
use core::arch::{global_asm, naked_asm};
use core::mem::offset_of;

/// Size of one stub, in bytes.
const STUB: usize = 16;

/// From the frame to the processor's address, which lies in the entry stack's topmost word; below
/// it is one word of padding, and the processor pushes below that.
pub(crate) const CPU_ABOVE_FRAME: usize = SIZE + 8;

unsafe extern "C" {
    /// The stubs, one every 16 bytes.
    static entry_stubs: [[u8; STUB]; 256];
}

/// The address of a vector's stub.
pub(crate) fn stub(vector: u8) -> u64 {
    let stubs = &raw const entry_stubs;
    stubs as u64 + (STUB * usize::from(vector)) as u64
}

global_asm!(
    ".pushsection .text.entry, \"ax\"",
    ".balign 16",
    ".global entry_stubs",
    "entry_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    // Exceptions 8, 10 to 14, 17, 21, 29 and 30 come with an error code.
    ".if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)",
    "push 0",
    ".endif",
    "push vector",
    ".if vector == 14 || vector >= 32",
    "jmp {by_selector}",
    ".else",
    "jmp {by_base}",
    ".endif",
    ".set vector, vector + 1",
    ".endr",
    ".popsection",
    by_selector = sym entry_by_selector,
    by_base = sym entry_by_base,
);

/// Pushes the registers in the frame's order, up to and with `r15`.
#[macro_export]
macro_rules! push_registers {
    () => {
        "push rax
         push rcx
         push rdx
         push rsi
         push rdi
         push r8
         push r9
         push r10
         push r11
         push rbx
         push rbp
         push r12
         push r13
         push r14
         push r15"
    };
}

/// Pops what [`push_registers!`] pushed.
#[macro_export]
macro_rules! pop_registers {
    () => {
        "pop r15
         pop r14
         pop r13
         pop r12
         pop rbp
         pop rbx
         pop r11
         pop r10
         pop r9
         pop r8
         pop rdi
         pop rsi
         pop rdx
         pop rcx
         pop rax"
    };
}

#[unsafe(naked)]
unsafe extern "C" fn entry_by_selector() {
    naked_asm!(
        push_registers!(),
        // `swapped`, not yet; `fault_address`.
        "push 0",
        "push 0",
        "cld",
        "test byte ptr [rsp + {cs}], 3",
        "jz 2f",
        "swapgs",
        "mov byte ptr [rsp + {swapped}], 1",
        // What follows uses `gs`: neither way is to be speculated past.
        "2: lfence",
        "jmp {common}",
        cs = const offset_of!(TrapFrame, cs),
        swapped = const offset_of!(TrapFrame, swapped),
        common = sym entry_common,
    )
}

#[unsafe(naked)]
unsafe extern "C" fn entry_by_base() {
    naked_asm!(
        push_registers!(),
        "push 0",
        "push 0",
        "cld",
        // User mode never runs on the kernel's `gs`, even if it has made its own the same.
        "test byte ptr [rsp + {cs}], 3",
        "jnz 2f",
        "mov ecx, {gs_base}",
        "rdmsr",
        "shl rdx, 32",
        "or rax, rdx",
        "cmp rax, [rsp + {cpu}]",
        "je 3f",
        "2: swapgs",
        "mov byte ptr [rsp + {swapped}], 1",
        "3: lfence",
        "jmp {common}",
        cs = const offset_of!(TrapFrame, cs),
        gs_base = const MSR_GS_BASE,
        cpu = const CPU_ABOVE_FRAME,
        swapped = const offset_of!(TrapFrame, swapped),
        common = sym entry_common,
    )
}

#[unsafe(naked)]
unsafe extern "C" fn entry_common() {
    naked_asm!(
        // A frame pointer of our own ends the backtrace at the frame; the handler knows the frame.
        "xor ebp, ebp",
        "mov rdi, rsp",
        "call {on_entry_stack}",
        "cmp rax, rsp",
        "je 2f",
        "mov rsp, rax",
        "mov rdi, rax",
        "call {on_thread_stack}",
        "2: jmp {leave}",
        on_entry_stack = sym trap_on_entry_stack,
        on_thread_stack = sym trap_on_thread_stack,
        leave = sym leave_by_iretq,
    )
}

/// Leaves the kernel, or returns into it, through the frame at the stack pointer.
///
/// # Safety
///
/// Jumped to, not called, with interrupts off and the stack pointer at a complete frame.
#[unsafe(naked)]
pub unsafe extern "C" fn leave_by_iretq() {
    naked_asm!(
        "cmp byte ptr [rsp + {swapped}], 0",
        "je 2f",
        "swapgs",
        "2: add rsp, 16",
        pop_registers!(),
        "add rsp, 16",
        ".global iretq_instruction",
        "iretq_instruction:",
        "iretq",
        swapped = const offset_of!(TrapFrame, swapped),
    )
}

/// The address of the `iretq`: a fault there is the fault of the frame that it was to load.
pub(crate) fn iretq_address() -> u64 {
    unsafe extern "C" {
        static iretq_instruction: u8;
    }
    let address = &raw const iretq_instruction;
    address as u64
}
