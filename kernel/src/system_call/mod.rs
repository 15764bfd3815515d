//! The system-call path.
//!
//! `syscall` enters at a hand-written stub ([`entry`]) that makes the one trap frame and calls
//! [`system_call`]: range check, table, handler, the one test of pending asynchronous work, and the
//! choice of the way back. The tables are generated from the one definition in `abi::calls`.

pub mod calls;
mod describe;
pub mod entry;
mod memory;
mod not_yet;
mod processes;

pub use entry::{enter_user, enter_user_with, entry_address};

use crate::kernel::{PerCpu, count};
use abi::calls::OWN_BASE;
use abi::errno::Errno;
use machine::tracing::emit;
use machine::x86_64::descriptors::{USER_CODE, USER_DATA};
use machine::x86_64::frame::TrapFrame;
use machine::x86_64::trap::prepare_return_to_user;
use machine::x86_64::user_copy::USER_END;
use machine::{Atomic, MayFault};
use trace::{EventId, Kind};

/// What a call comes to.
pub type Result = core::result::Result<u64, Errno>;

/// A call's handler, arguments still in the frame; what it returns goes into `rax`.
type Handler = fn(&mut TrapFrame, &mut MayFault) -> u64;

/// A result as `rax` carries it.
#[inline]
fn register(result: Result) -> u64 {
    match result {
        Ok(value) => value,
        Err(error) => (error as u64).wrapping_neg(),
    }
}

/// A register's contents as an argument. Whatever user space leaves in the rest of the register is
/// ignored, as on Linux.
trait FromRegister {
    fn from_register(value: u64) -> Self;
}

macro_rules! from_register {
    ($($type:ty),*) => {
        $(impl FromRegister for $type {
            #[inline]
            fn from_register(value: u64) -> Self {
                value as Self
            }
        })*
    };
}
from_register!(i32, u32, i64, u64, usize);

impl<T> FromRegister for *const T {
    #[inline]
    fn from_register(value: u64) -> Self {
        value as Self
    }
}

impl<T> FromRegister for *mut T {
    #[inline]
    fn from_register(value: u64) -> Self {
        value as Self
    }
}

/// The arguments' registers, in order.
#[inline]
fn arguments(frame: &TrapFrame) -> [u64; 6] {
    [frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9]
}

/// One past the largest number of a table.
const fn end(numbers: &[u64], from: u64, to: u64) -> usize {
    let mut end = from;
    let mut index = 0;
    while index < numbers.len() {
        if numbers[index] >= from && numbers[index] < to && numbers[index] >= end {
            end = numbers[index] + 1;
        }
        index += 1;
    }
    (end - from) as usize
}

macro_rules! tables {
    ($($number:literal $name:ident($($argument:ident: $type:ty),*)
        $flag:tt $(:: $rest:ident)* $text:literal;)*) => {
        const NUMBERS: &[u64] = &[$($number),*];
        const LINUX_END: usize = end(NUMBERS, 0, OWN_BASE);
        const OWN_END: usize = end(NUMBERS, OWN_BASE, u64::MAX);

        $(fn $name(frame: &mut TrapFrame, may_fault: &mut MayFault) -> u64 {
            let [$($argument,)* ..] = arguments(frame);
            register(calls::$name(may_fault, $(<$type>::from_register($argument)),*))
        })*

        const fn table<const LENGTH: usize>(base: u64) -> [Handler; LENGTH] {
            let mut table = [no_such_call as Handler; LENGTH];
            $(if $number >= base && (($number - base) as usize) < LENGTH {
                table[($number - base) as usize] = $name;
            })*
            table
        }
    };
}
abi::system_calls!(tables);

/// The calls with Linux's numbers.
static LINUX: [Handler; LINUX_END] = table(0);
/// The calls that only this kernel has.
static OWN: [Handler; OWN_END] = table(OWN_BASE);

#[cold]
fn no_such_call(frame: &mut TrapFrame, may_fault: &mut MayFault) -> u64 {
    let guard = machine::preempt::disable(may_fault);
    count(&PerCpu::current(guard.atomic()).bad_calls);
    drop(guard);
    log::debug!("no system call has the number {:#x}", frame.error);
    register(Err(Errno::ENOSYS))
}

/// A system call: from the stub, on the thread's own stack, interrupts on. Returns, interrupts off,
/// whether the way back may be `sysretq`.
extern "C" fn system_call(frame: &mut TrapFrame) -> bool {
    // SAFETY: the entry of a system call, on the thread's own stack, nothing held.
    let mut may_fault = unsafe { MayFault::assume() };
    let number = frame.error;
    let handler = if let Some(handler) = LINUX.get(number as usize) {
        handler
    } else if let Some(handler) = OWN.get(number.wrapping_sub(OWN_BASE) as usize) {
        handler
    } else {
        &(no_such_call as Handler)
    };
    let begin = emit(Kind::CallBegin, number, EventId::NONE);
    frame.rax = handler(frame, &mut may_fault);
    emit(Kind::CallEnd, frame.rax, begin);
    finish(frame, &mut may_fault)
}

/// Goes to user mode at the start of a program, from a call of the one before.
fn enter_user_anew(ready: &crate::process::execute::Ready, may_fault: &mut MayFault) -> ! {
    machine::x86_64::user_state::reset();
    enter_user(ready.start, ready.stack_pointer, may_fault)
}

/// The common end: asynchronous work, then the choice of the way back. Interrupts are off when it
/// returns.
#[inline(always)]
fn finish(frame: &mut TrapFrame, may_fault: &mut MayFault) -> bool {
    prepare_return_to_user(frame, may_fault);
    // SAFETY: interrupts are off.
    let per_cpu = PerCpu::current(unsafe { Atomic::assume() });
    count(&per_cpu.system_calls);
    // `sysretq` faults in the kernel, on the user's stack, if the address is not canonical (Intel),
    // and restores neither these flags nor other segments.
    const TRAP: u64 = 1 << 8;
    const RESUME: u64 = 1 << 16;
    let safe = frame.rip < USER_END
        && frame.rflags & (TRAP | RESUME) == 0
        && frame.cs == u64::from(USER_CODE)
        && frame.ss == u64::from(USER_DATA);
    if !safe {
        count(&per_cpu.iretq_returns);
    }
    safe
}
