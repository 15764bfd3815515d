//! The stub that `syscall` enters at, and the two ways back.

use super::{enter_new, finish, system_call};
use crate::process::{Start, own_frame};
use core::arch::naked_asm;
use core::mem::offset_of;
use machine::x86_64::descriptors::{USER_CODE, USER_DATA};
use machine::x86_64::entry::leave_by_iretq;
use machine::x86_64::frame::{SYSTEM_CALL, TrapFrame};
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
    let frame = TrapFrame { cs: u64::from(start.code_segment), ..enter_new(start.rip, rsp) };
    enter_user_with(frame, may_fault)
}

/// Enters user mode with a frame of user mode's, as if from a system call: `rcx` and `r11` may be lost.
pub fn enter_user_with(frame: TrapFrame, may_fault: &mut MayFault) -> ! {
    let (frame, by_sysretq) = settle(frame, may_fault);
    // SAFETY: the frame is complete and user mode's, interrupts are off.
    unsafe { leave_through(frame, by_sysretq) }
}

/// The same with all of its registers.
pub fn go_on_in_user_mode(frame: TrapFrame, may_fault: &mut MayFault) -> ! {
    let (frame, _) = settle(frame, may_fault);
    // SAFETY: the frame is complete and user mode's, interrupts are off.
    unsafe { leave_through(frame, false) }
}

/// Puts the frame where entries from user mode put theirs, which is where asynchronous work looks for it, and does
/// what is to be done before the way back.
fn settle(frame: TrapFrame, may_fault: &mut MayFault) -> (*mut TrapFrame, bool) {
    let place = own_frame(may_fault);
    // SAFETY: the top of this stack is kept free for a frame (`machine::x86_64::switch`).
    unsafe { place.write(frame) };
    // SAFETY: nobody else uses the frame meanwhile.
    let by_sysretq = finish(unsafe { &mut *place }, may_fault);
    (place, by_sysretq)
}

/// Leaves through a frame at the top of the thread's stack. What lies below is forgotten.
///
/// # Safety
///
/// The frame is complete and user mode's, and interrupts are off.
#[unsafe(naked)]
unsafe extern "C" fn leave_through(frame: *mut TrapFrame, by_sysretq: bool) -> ! {
    naked_asm!(
        "mov eax, esi",
        "mov rsp, rdi",
        "jmp {leave}",
        leave = sym leave,
    )
}
