//! The indirect call: the call with the number in its first argument, with the arguments behind it. For libraries that
//! are handed a number, and for those who want to make any call without a stub for it.
//!
//! The target's flags hold: what it gives in a second result, whether it returns. It gets at most five arguments, and
//! cannot be another indirect call.
//!
//! The target sees a copy of the frame with the arguments moved up; the frame itself stays as the program made it, as
//! `fork` and signals copy that. (Solaris: `indir`.)

use super::{entry_of, flags_of, register};
use abi::calls::{INDIRECT, TWO_RESULTS};
use abi::errno::Errno;
use machine::MayFault;
use machine::x86_64::frame::TrapFrame;

/// Makes the call.
pub(super) fn call(frame: &mut TrapFrame, may_fault: &mut MayFault) -> u64 {
    let number = frame.rdi;
    if number == INDIRECT {
        return register(Err(Errno::EINVAL));
    }
    let arguments = [frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9, 0];
    make(number, arguments, frame, may_fault)
}

/// Makes a call with other arguments than the frame's.
pub(super) fn make(
    number: u64,
    arguments: [u64; 6],
    frame: &mut TrapFrame,
    may_fault: &mut MayFault,
) -> u64 {
    let mut moved = *frame;
    moved.error = number;
    [moved.rdi, moved.rsi, moved.rdx, moved.r10, moved.r8, moved.r9] = arguments;
    let result = entry_of(number)(&mut moved, may_fault);
    if flags_of(number) & TWO_RESULTS != 0 {
        frame.rdx = moved.rdx;
    }
    result
}
