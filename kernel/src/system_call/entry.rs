//! The stub that `syscall` enters at, and the ways back.
//!
//! The stub is the whole path of a call that nobody watches and after which there is nothing to be done: it makes the
//! frame, passes the LWP's accounts from user mode to the kernel and back, checks the number, calls the handler of the
//! table, and looks once, with interrupts off, whether there is asynchronous work. What it finds to be otherwise it
//! leaves to functions: [`watched_call`], [`finish_slowly`].
//!
//! Each instruction is told in `docs/anatomy-of-a-system-call.md`; that a request at any of them is seen is swept by the
//! check `requests-are-seen-at-every-instruction`.
//!
//! Solaris: `sys_syscall`, `syscall_trap`.

use super::{
    LINUX, LINUX_END, NOT_BY_SYSRETQ, OWN, OWN_END, count_iretq, enter_new, finish, finish_slowly,
    no_such_call, watched_call,
};
use crate::lwp::Lwp;
use crate::process::{Start, own_frame};
use abi::calls::OWN_BASE;
use accounting::{Accounts, Microstate};
use core::arch::naked_asm;
use core::mem::offset_of;
use machine::x86_64::descriptors::{USER_CODE, USER_DATA};
use machine::x86_64::entry::leave_by_iretq;
use machine::x86_64::frame::{SYSTEM_CALL, TrapFrame};
use machine::x86_64::offsets::{
    ASYNCHRONOUS, KERNEL_STACK_TOP, PENDING, SYSTEM_CALLS, THREAD, TRACE_GROUPS, USER_RSP,
};
use machine::x86_64::trap::assert_may_return_to_user;
use machine::x86_64::user_copy::USER_END;
use machine::{MayFault, pop_registers, push_registers};
use trace::Groups;

/// The highest bit of a user address; what is shifted out below it is one.
const USER_BITS: u32 = USER_END.ilog2() + 1;
const _: () = assert!(USER_END <= 1 << USER_BITS);

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
        // From user mode to the kernel, in the accounts of the LWP.
        "mov rbx, gs:[{thread}]",
        "rdtsc",
        "shl rdx, 32",
        "or rdx, rax",
        "mov rcx, [rbx + {since}]",
        "cmp rdx, rcx",
        "cmovb rdx, rcx",
        "mov [rbx + {since}], rdx",
        "sub rdx, rcx",
        "add [rbx + {time_in_user}], rdx",
        "mov byte ptr [rbx + {state}], {in_system}",
        "inc qword ptr [rbx + {calls}]",
        "inc qword ptr gs:[{system_calls}]",
        "sti",
        // The number, checked before anything uses it; the handler of the call.
        "xor ebp, ebp",
        "mov rcx, [rsp + {number}]",
        "mov rdi, rsp",
        "mov rsi, rsp",
        "cmp byte ptr [rbx + {call_work}], 0",
        "jne 4f",
        "test dword ptr gs:[{trace_groups}], {traced}",
        "jnz 4f",
        "cmp rcx, {linux_end}",
        "jae 3f",
        "call [{linux} + rcx * 8]",
        "2: mov [rsp + {result}], rax",
        // The one test of all pending asynchronous work. From here on what comes interrupts user mode.
        "cli",
        "mov rax, gs:[{asynchronous}]",
        "cmp dword ptr [rax], 0",
        "jne 6f",
        "cmp dword ptr gs:[{pending}], 0",
        "jne 6f",
        ".if {checked}",
        "call {assert}",
        ".endif",
        // From the kernel to user mode.
        "rdtsc",
        "shl rdx, 32",
        "or rdx, rax",
        "mov rcx, [rbx + {since}]",
        "cmp rdx, rcx",
        "cmovb rdx, rcx",
        "mov [rbx + {since}], rdx",
        "sub rdx, rcx",
        "add [rbx + {time_in_system}], rdx",
        "mov byte ptr [rbx + {state}], {in_user}",
        // Will `sysretq` do? The frame's address and flags count, not what `syscall` left.
        "mov rcx, [rsp + {rip}]",
        "mov r11, [rsp + {rflags}]",
        "mov rax, rcx",
        "shr rax, {user_bits}",
        "jnz 5f",
        "test r11d, {not_by_sysretq}",
        "jnz 5f",
        // `r12` to `r15` have been kept by the handler.
        "mov rbp, [rsp + {rbp}]",
        "mov rbx, [rsp + {rbx}]",
        "mov r10, [rsp + {r10}]",
        "mov r9, [rsp + {r9}]",
        "mov r8, [rsp + {r8}]",
        "mov rdi, [rsp + {rdi}]",
        "mov rsi, [rsp + {rsi}]",
        "mov rdx, [rsp + {rdx}]",
        "mov rax, [rsp + {result}]",
        "mov rsp, [rsp + {rsp}]",
        "swapgs",
        "sysretq",
        // One of this kernel's own calls, or none.
        "3: sub rcx, {own_base}",
        "cmp rcx, {own_end}",
        "jae 7f",
        "call [{own} + rcx * 8]",
        "jmp 2b",
        "7: call {no_such_call}",
        "jmp 2b",
        "4: call {watched_call}",
        "jmp 2b",
        "5: call {count_iretq}",
        "jmp {leave_by_iretq}",
        "6: sti",
        "mov rdi, rsp",
        "call {finish_slowly}",
        "jmp {leave}",
        user_rsp = const USER_RSP,
        kernel_stack_top = const KERNEL_STACK_TOP,
        user_data = const USER_DATA,
        user_code = const USER_CODE,
        system_call_vector = const SYSTEM_CALL,
        thread = const THREAD,
        since = const offset_of!(Lwp, accounts) + Accounts::SINCE,
        state = const offset_of!(Lwp, accounts) + Accounts::STATE,
        time_in_user = const offset_of!(Lwp, accounts) + Accounts::TIME_IN_USER,
        time_in_system = const offset_of!(Lwp, accounts) + Accounts::TIME_IN_SYSTEM,
        in_system = const Microstate::System as u8,
        in_user = const Microstate::User as u8,
        calls = const offset_of!(Lwp, counts.calls),
        call_work = const offset_of!(Lwp, call_work),
        system_calls = const SYSTEM_CALLS,
        trace_groups = const TRACE_GROUPS,
        traced = const Groups::CALL.to_bits(),
        number = const offset_of!(TrapFrame, error),
        result = const offset_of!(TrapFrame, rax),
        rip = const offset_of!(TrapFrame, rip),
        rflags = const offset_of!(TrapFrame, rflags),
        rbp = const offset_of!(TrapFrame, rbp),
        rbx = const offset_of!(TrapFrame, rbx),
        r10 = const offset_of!(TrapFrame, r10),
        r9 = const offset_of!(TrapFrame, r9),
        r8 = const offset_of!(TrapFrame, r8),
        rdi = const offset_of!(TrapFrame, rdi),
        rsi = const offset_of!(TrapFrame, rsi),
        rdx = const offset_of!(TrapFrame, rdx),
        rsp = const offset_of!(TrapFrame, rsp),
        linux = sym LINUX,
        linux_end = const LINUX_END,
        own = sym OWN,
        own_base = const OWN_BASE,
        own_end = const OWN_END,
        asynchronous = const ASYNCHRONOUS,
        pending = const PENDING,
        checked = const cfg!(debug_assertions) as u8,
        assert = sym assert_may_return_to_user,
        user_bits = const USER_BITS,
        not_by_sysretq = const NOT_BY_SYSRETQ,
        no_such_call = sym no_such_call,
        watched_call = sym watched_call,
        count_iretq = sym count_iretq,
        finish_slowly = sym finish_slowly,
        leave = sym leave,
        leave_by_iretq = sym leave_by_iretq,
    )
}

/// The way back from where the stub does not do it itself: the frame at the stack pointer, interrupts off, in `al`
/// whether `sysretq` will do.
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
