//! A handler's frame: what was interrupted, laid out on the program's stack as Linux has it, and the way back from
//! there (`rt_sigreturn`).
//!
//! ```text
//!   interrupted stack pointer
//!   128 bytes that belong to the interrupted function (the red zone)
//!   floating-point state, aligned to 64
//!   SigFrame: information, context, and where the handler returns to   <- the handler's stack pointer
//! ```
//!
//! What comes back from user space is nobody's to trust: segments, privileged flags and reserved bits are the kernel's,
//! and an instruction pointer that is no address faults in user mode.

use super::{Information, bit, redistribute};
use crate::lwp::Lwp;
use crate::system_call::restart;
use crate::user_structure::{bytes_of, copy_in};
use abi::errno::Errno;
use abi::signals::{
    SA_NODEFER, SA_ONSTACK, SS_DISABLE, SS_ONSTACK, SigAction, SigFrame, SigInfo, UserContext,
};
use core::mem::offset_of;
use machine::MayFault;
use machine::preempt;
use machine::x86_64::descriptors::{USER_CODE, USER_DATA};
use machine::x86_64::frame::TrapFrame;
use machine::x86_64::user_copy::{self, BadAddress};
use machine::x86_64::user_state::FpuState;

/// Below the stack pointer, the interrupted function's.
const RED_ZONE: u64 = 128;

/// Flags that are the program's: carry, parity, adjust, zero, sign, trap, direction, overflow, resume, alignment, ID.
const USER_FLAGS: u64 = 0x0025_0dd5;
const TRAP_FLAG: u64 = 1 << 8;
const DIRECTION_FLAG: u64 = 1 << 10;
const RESUME_FLAG: u64 = 1 << 16;
const INTERRUPTS_ON: u64 = 1 << 9;
const ALWAYS_1: u64 = 1 << 1;

/// Makes the running LWP go on in a handler.
pub fn enter(
    lwp: &Lwp,
    action: &SigAction,
    information: &Information,
    frame: &mut TrapFrame,
    may_fault: &mut MayFault,
) -> Result<(), BadAddress> {
    restart::before_handler(lwp, action, frame);
    let mask = lwp.signals.take_saved_mask().unwrap_or_else(|| lwp.signals.mask());
    let stack = lwp.signals.stack(frame.rsp);
    let takes_other =
        action.flags & SA_ONSTACK != 0 && stack.flags & (SS_ONSTACK | SS_DISABLE) == 0;
    let top = if takes_other {
        stack.base.wrapping_add(stack.size)
    } else {
        frame.rsp.wrapping_sub(RED_ZONE)
    };
    let fpu_at = top.wrapping_sub(FpuState::SIZE as u64) & !63;
    let at = (fpu_at.wrapping_sub(size_of::<SigFrame>() as u64) & !15).wrapping_sub(8);

    let fpu = exchange_fpu(&FpuState::fresh(), may_fault);
    user_copy::copy_out(fpu_at, fpu.as_bytes(), may_fault)?;
    let context = UserContext {
        stack,
        registers: frame.context_registers(),
        segments: [USER_CODE, 0, 0, USER_DATA],
        error: frame.error,
        trap: frame.vector,
        old_mask: mask,
        fault_address: frame.fault_address,
        fpu: fpu_at,
        mask,
        ..UserContext::default()
    };
    let contents =
        SigFrame { restorer: action.restorer, context, information: to_user(information) };
    user_copy::copy_out(at, bytes_of(&contents), may_fault)?;

    let own = if action.flags & SA_NODEFER == 0 { bit(information.signal) } else { 0 };
    lwp.signals.set_mask(lwp.signals.mask() | action.mask | own);
    redistribute(lwp.process);
    frame.rip = action.handler;
    frame.rsp = at;
    frame.rdi = u64::from(information.signal);
    frame.rsi = at + offset_of!(SigFrame, information) as u64;
    frame.rdx = at + offset_of!(SigFrame, context) as u64;
    frame.rax = 0;
    frame.rflags &= !(TRAP_FLAG | DIRECTION_FLAG | RESUME_FLAG);
    frame.cs = u64::from(USER_CODE);
    frame.ss = u64::from(USER_DATA);
    Ok(())
}

/// The information as a handler reads it.
pub fn to_user(information: &Information) -> SigInfo {
    let mut fields = [0; 14];
    if information.process != 0 {
        // Process and user (0), then what is known of it.
        fields[0] = information.process & 0xffff_ffff;
        fields[1] = information.value;
    } else {
        fields[0] = information.address;
    }
    SigInfo {
        signal: i32::from(information.signal),
        error: 0,
        code: information.code,
        padding: 0,
        fields,
    }
}

/// Gives the processor these registers for the running LWP; returns what it had.
pub fn exchange_fpu(new: &FpuState, may_fault: &mut MayFault) -> FpuState {
    let mut old = FpuState::fresh();
    // The thread must not lose its processor in between: it would take the registers along.
    let guard = preempt::disable(may_fault);
    old.save(guard.atomic());
    new.restore(guard.atomic());
    old
}

/// The registers that a handler leaves to: those that its context has by now.
pub fn leave(lwp: &Lwp, frame: &TrapFrame, may_fault: &mut MayFault) -> Result<TrapFrame, Errno> {
    // The handler's return has taken the first word.
    let at = frame.rsp.wrapping_sub(8);
    let SigFrame { context, .. } = copy_in(at, may_fault)?;
    if context.fpu != 0 {
        let mut image = [0; FpuState::SIZE];
        user_copy::copy_in(&mut image, context.fpu, may_fault).map_err(|_| Errno::EFAULT)?;
        exchange_fpu(&FpuState::from_user(&image), may_fault);
    }
    lwp.hold_back(context.mask);
    let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags] =
        context.registers;
    Ok(TrapFrame {
        fault_address: 0,
        swapped: 1,
        r15,
        r14,
        r13,
        r12,
        rbp,
        rbx,
        r11,
        r10,
        r9,
        r8,
        rdi,
        rsi,
        rdx,
        rcx,
        rax,
        vector: restart::NOT_A_CALL,
        error: 0,
        rip,
        cs: u64::from(USER_CODE),
        rflags: rflags & USER_FLAGS | INTERRUPTS_ON | ALWAYS_1,
        rsp,
        ss: u64::from(USER_DATA),
    })
}
