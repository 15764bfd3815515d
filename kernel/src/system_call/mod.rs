//! The system-call path.
//!
//! `syscall` enters at a hand-written stub ([`entry`]) that makes the one trap frame and calls
//! [`system_call`]: accounts, range check, table, handler, the one test of pending asynchronous work, and the
//! choice of the way back. The tables are generated from the one definition in `abi::calls`.
//! `docs/anatomy-of-a-system-call.md` goes through it instruction by instruction.

mod activations;
mod alarms;
pub mod calls;
mod describe;
mod descriptors;
pub mod entry;
mod files;
mod folders;
mod identity;
mod indirect;
mod information;
mod limits;
mod lwps;
mod memory;
pub mod missing;
mod observation;
mod opening;
mod paths;
mod polling;
mod processes;
mod processors;
pub mod restart;
mod signals;
mod status;
pub mod times;
mod tracing;
mod transfer;
mod traps;
mod usage;

pub use entry::{enter_user, enter_user_with, entry_address};

use crate::kernel::{Kernel, PerCpu, count};
use crate::lwp;
use abi::calls::OWN_BASE;
use abi::errno::Errno;
use machine::tracing::emit;
use machine::x86_64::descriptors::{USER_CODE, USER_DATA};
use machine::x86_64::frame::TrapFrame;
use machine::x86_64::trap::prepare_return_to_user;
use machine::x86_64::user_copy::USER_END;
use machine::{Atomic, MayFault, time};
use trace::{EventId, Kind};

/// What a call comes to.
pub type Result = core::result::Result<u64, Errno>;

/// A call's handler, arguments still in the frame; what it returns goes into `rax`.
type Handler = extern "C" fn(&mut TrapFrame, &mut MayFault) -> u64;

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

/// A handler of the table: its arguments' registers are those of the call.
macro_rules! handler {
    ([calls TWO_RESULTS] $name:ident()) => {
        extern "C" fn $name(frame: &mut TrapFrame, may_fault: &mut MayFault) -> u64 {
            let (first, second) = calls::$name(may_fault);
            frame.rdx = second;
            first
        }
    };
    ([] indirect($($argument:ident: $type:ty),*)) => {
        extern "C" fn indirect(frame: &mut TrapFrame, may_fault: &mut MayFault) -> u64 {
            indirect::call(frame, may_fault)
        }
    };
    ([$($flag:ident)*] $name:ident($($argument:ident: $type:ty),*)) => {
        extern "C" fn $name(frame: &mut TrapFrame, may_fault: &mut MayFault) -> u64 {
            let [$($argument,)* ..] = arguments(frame);
            register(calls::$name(may_fault, $(<$type>::from_register($argument)),*))
        }
    };
}

macro_rules! tables {
    ($($number:literal $name:ident($($argument:ident: $type:ty),*)
        $flag:tt $(:: $rest:ident)* $text:literal;)*) => {
        const NUMBERS: &[u64] = &[$($number),*];
        const LINUX_END: usize = end(NUMBERS, 0, OWN_BASE);
        const OWN_END: usize = end(NUMBERS, OWN_BASE, u64::MAX);

        $(handler!([$($rest)*] $name($($argument: $type),*));)*

        const fn flags<const LENGTH: usize>(base: u64) -> [u32; LENGTH] {
            let mut flags = [0; LENGTH];
            $(if $number >= base && (($number - base) as usize) < LENGTH {
                flags[($number - base) as usize] = $flag $(:: $rest)*;
            })*
            flags
        }

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

/// The flags of the calls with Linux's numbers, and of the kernel's own.
static LINUX_FLAGS: [u32; LINUX_END] = flags(0);
static OWN_FLAGS: [u32; OWN_END] = flags(OWN_BASE);

/// The flags of the call with this number; none if there is no such call.
pub fn flags_of(number: u64) -> u32 {
    let linux = LINUX_FLAGS.get(number as usize);
    let found = linux.or_else(|| OWN_FLAGS.get(number.wrapping_sub(OWN_BASE) as usize));
    found.copied().unwrap_or(0)
}

/// The handler of the call with this number.
#[inline(always)]
fn entry_of(number: u64) -> Handler {
    if let Some(handler) = LINUX.get(number as usize) {
        *handler
    } else if let Some(handler) = OWN.get(number.wrapping_sub(OWN_BASE) as usize) {
        *handler
    } else {
        no_such_call
    }
}

#[cold]
extern "C" fn no_such_call(frame: &mut TrapFrame, may_fault: &mut MayFault) -> u64 {
    let guard = machine::preempt::disable(may_fault);
    count(&PerCpu::current(guard.atomic()).bad_calls);
    drop(guard);
    Kernel::current().missing.note(frame.error);
    register(Err(Errno::ENOSYS))
}

/// A system call that somebody watches: with an event before and after it, and with what is to be done then for an
/// observer. From the stub, on the thread's own stack, interrupts on. Returns the result.
extern "C" fn watched_call(frame: &mut TrapFrame) -> u64 {
    // SAFETY: the entry of a system call, on the thread's own stack, nothing held.
    let mut may_fault = unsafe { MayFault::assume() };
    let number = frame.error;
    let begin = emit(Kind::CallBegin, number, EventId::NONE);
    if !begin.is_none() {
        trace_arguments(frame, begin);
    }
    let result = observation::call(frame, &mut may_fault);
    emit(Kind::CallEnd, result, begin);
    result
}

/// Notes the arguments of a call whose beginning has been noted.
#[cold]
fn trace_arguments(frame: &TrapFrame, begin: EventId) {
    for argument in arguments(frame).into_iter().take(abi::signature::count_of(frame.error)) {
        emit(Kind::CallArgument, argument, begin);
    }
}

/// The end of a call after which there is something to be done. From the stub; the result is in the frame. Returns,
/// interrupts off, whether the way back may be `sysretq`.
extern "C" fn finish_slowly(frame: &mut TrapFrame) -> bool {
    // SAFETY: the end of a system call, on the thread's own stack, nothing held.
    let mut may_fault = unsafe { MayFault::assume() };
    observation::after_unwatched_call(frame, &mut may_fault);
    finish(frame, &mut may_fault)
}

/// The stub found that `sysretq` would not do; for statistics. Interrupts are off.
extern "C" fn count_iretq() {
    // SAFETY: interrupts are off.
    count(&PerCpu::current(unsafe { Atomic::assume() }).iretq_returns);
}

/// Goes to user mode at the start of a program, from a call of the one before.
fn enter_user_anew(ready: &crate::process::execute::Ready, may_fault: &mut MayFault) -> ! {
    lwp::current().begin_anew();
    machine::x86_64::user_state::reset();
    observation::after_execve(may_fault);
    enter_user(ready.start, ready.stack_pointer, may_fault)
}

/// `sysretq` faults in the kernel, on the user's stack, if the address is not canonical (Intel), and restores neither
/// other segments nor these flags: trap and resume.
const NOT_BY_SYSRETQ: u64 = 1 << 8 | 1 << 16;

/// The end of a call as the stub does not do it: asynchronous work, accounts, then the choice of the way back.
/// Interrupts are off when it returns.
fn finish(frame: &mut TrapFrame, may_fault: &mut MayFault) -> bool {
    prepare_return_to_user(frame, may_fault);
    lwp::current().accounts.call_ends(time::now());
    // SAFETY: interrupts are off.
    let per_cpu = PerCpu::current(unsafe { Atomic::assume() });
    let safe = frame.rip < USER_END
        && frame.rflags & NOT_BY_SYSRETQ == 0
        && frame.cs == u64::from(USER_CODE)
        && frame.ss == u64::from(USER_DATA);
    if !safe {
        count(&per_cpu.iretq_returns);
    }
    safe
}

/// The registers with which user mode begins somewhere.
pub fn enter_new(rip: u64, rsp: u64) -> TrapFrame {
    const INTERRUPTS_ON: u64 = 1 << 9;
    const ALWAYS_1: u64 = 1 << 1;
    TrapFrame {
        swapped: 1,
        vector: restart::NOT_A_CALL,
        rip,
        cs: u64::from(USER_CODE),
        rflags: INTERRUPTS_ON | ALWAYS_1,
        rsp,
        ss: u64::from(USER_DATA),
        ..TrapFrame::default()
    }
}
