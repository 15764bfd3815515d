//! The stub that `syscall` enters at, and the two ways back.

use super::{finish, system_call};
use crate::process::Start;
use core::arch::naked_asm;
use core::mem::offset_of;
use machine::x86_64::descriptors::{USER_CODE, USER_DATA};
use machine::x86_64::entry::leave_by_iretq;
use machine::x86_64::frame::{self, SYSTEM_CALL, TrapFrame};
use machine::x86_64::offsets::{KERNEL_STACK_TOP, USER_RSP};
use machine::{MayFault, pop_registers, push_registers};

/// What `syscall` is to enter at.
pub fn entry_address() -> u64 {
    system_call_entry as *const () as u64
}

/// `syscall` has left the return address in `rcx` and the flags in `r11`, and changed neither the
/// stack nor `gs`; interrupts are off (`SFMASK`).
#[unsafe(naked)]
unsafe extern "C" fn system_call_entry() {
    naked_asm!(
        "swapgs",
        "mov gs:[{user_rsp}], rsp",
        "mov rsp, gs:[{kernel_stack_top}]",
        // The frame, from the top.
        "push {user_data}",
        "push qword ptr gs:[{user_rsp}]",
        "push r11",
        "push {user_code}",
        "push rcx",
        "push rax",
        "push {system_call_vector}",
        push_registers!(),
        "push 1",
        "push 0",
        "sti",
        // The end of a backtrace of the kernel.
        "xor ebp, ebp",
        "mov rdi, rsp",
        "call {system_call}",
        "jmp {leave}",
        user_rsp = const USER_RSP,
        kernel_stack_top = const KERNEL_STACK_TOP,
        user_data = const USER_DATA,
        user_code = const USER_CODE,
        system_call_vector = const SYSTEM_CALL,
        system_call = sym system_call,
        leave = sym leave,
    )
}

/// The way back: the frame at the stack pointer, interrupts off, in `al` whether `sysretq` will do.
#[unsafe(naked)]
unsafe extern "C" fn leave() {
    naked_asm!(
        "test al, al",
        "jz {leave_by_iretq}",
        "add rsp, 16",
        pop_registers!(),
        // From here on the frame's upper part is what counts, not what `syscall` left.
        "mov rcx, [rsp + {rip}]",
        "mov r11, [rsp + {rflags}]",
        "mov rsp, [rsp + {rsp}]",
        "swapgs",
        "sysretq",
        leave_by_iretq = sym leave_by_iretq,
        rip = const offset_of!(TrapFrame, rip) - offset_of!(TrapFrame, vector),
        rflags = const offset_of!(TrapFrame, rflags) - offset_of!(TrapFrame, vector),
        rsp = const offset_of!(TrapFrame, rsp) - offset_of!(TrapFrame, vector),
    )
}

/// Enters user mode for the first time, as if from a system call.
pub fn enter_user(start: Start, rsp: u64, may_fault: &mut MayFault) -> ! {
    const INTERRUPTS_ON: u64 = 1 << 9;
    const ALWAYS_1: u64 = 1 << 1;
    let frame = TrapFrame {
        swapped: 1,
        vector: SYSTEM_CALL,
        rip: start.rip,
        cs: u64::from(start.code_segment),
        rflags: INTERRUPTS_ON | ALWAYS_1,
        rsp,
        ss: u64::from(USER_DATA),
        ..TrapFrame::default()
    };
    enter_user_with(frame, may_fault)
}

/// Enters user mode with a frame of user mode's, as if from a system call.
pub fn enter_user_with(mut frame: TrapFrame, may_fault: &mut MayFault) -> ! {
    let by_sysretq = finish(&mut frame, may_fault);
    // SAFETY: the frame is complete and user mode's, interrupts are off; the top of this stack is
    // kept free for a frame (`machine::x86_64::switch`).
    unsafe { enter_user_through(&frame, by_sysretq) }
}

/// Copies the frame to where entries from user mode put theirs, and leaves through it.
///
/// # Safety
///
/// See [`enter_user`].
#[unsafe(naked)]
unsafe extern "C" fn enter_user_through(frame: &TrapFrame, by_sysretq: bool) -> ! {
    naked_asm!(
        "mov eax, esi",
        "mov rsi, rdi",
        "mov rdi, gs:[{kernel_stack_top}]",
        "sub rdi, {size}",
        "mov rdx, rdi",
        "mov ecx, {words}",
        "rep movsq",
        "mov rsp, rdx",
        "jmp {leave}",
        kernel_stack_top = const KERNEL_STACK_TOP,
        size = const frame::SIZE,
        words = const frame::SIZE / 8,
        leave = sym leave,
    )
}
