//! Calls that a signal has interrupted: they return EINTR, or begin again.
//!
//! | then | the call |
//! |---|---|
//! | a handler runs, with SA_RESTART | begins again after it, unless the table says `NO_RESTART` |
//! | a handler runs, without | returns EINTR |
//! | no handler runs (the process was stopped, the LWP suspended, ...) | begins again at once |
//!
//! A call begins again at its `syscall` instruction. One that sleeps for a time leaves its end in the LWP
//! ([`Lwp::keep_deadline`]), so that it does not sleep longer for it.

use super::flags_of;
use crate::lwp::Lwp;
use abi::calls::NO_RESTART;
use abi::errno::Errno;
use abi::signals::{SA_RESTART, SigAction};
use machine::x86_64::frame::{SYSTEM_CALL, TrapFrame};

/// In a frame's place for the vector: it is not, or not any longer, that of a call.
pub const NOT_A_CALL: u64 = SYSTEM_CALL + 1;

/// The length of `syscall`, in bytes.
const INSTRUCTION: u64 = 2;

fn is_interrupted(frame: &TrapFrame) -> bool {
    frame.vector == SYSTEM_CALL && frame.rax == (Errno::EINTR as u64).wrapping_neg()
}

fn again(frame: &mut TrapFrame) {
    frame.rip = frame.rip.wrapping_sub(INSTRUCTION);
    frame.rax = frame.error;
}

/// A handler is about to interrupt what this frame holds.
pub fn before_handler(lwp: &Lwp, action: &SigAction, frame: &mut TrapFrame) {
    if is_interrupted(frame) {
        // The handler may sleep too, and may not come back: calls with a time to wait do not begin again after one.
        lwp.take_deadline();
        if action.flags & SA_RESTART != 0 && flags_of(frame.error) & NO_RESTART == 0 {
            again(frame);
        }
    }
    frame.vector = NOT_A_CALL;
}

/// There is nothing more to do before the LWP goes on in user mode.
pub fn without_handler(lwp: &Lwp, frame: &mut TrapFrame) {
    if is_interrupted(frame) {
        again(frame);
        frame.vector = NOT_A_CALL;
    }
    lwp.hold_back_as_before();
}
