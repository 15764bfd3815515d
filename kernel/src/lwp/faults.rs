//! Page faults and exceptions of LWPs.

use super::{Lwp, find_current};
use crate::signal::{Information, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, code, deliver};
use accounting::Microstate;
use activations::Fault;
use core::sync::atomic::Ordering;
use dispatch::sleep_queue;
use machine::MayFault;
use machine::pmap::Rights;
use machine::x86_64::frame::TrapFrame;
use vm::FaultError;

const WRITE: u64 = 1 << 1;
const FETCH: u64 = 1 << 4;

/// Brings a page of the running process's memory, for an access of its own or of a copy on its behalf. Says whether
/// the access is worth another try.
pub fn page_fault(frame: &TrapFrame, may_fault: &mut MayFault) -> bool {
    let Some(lwp) = find_current() else { return false };
    let state = if !frame.is_user() {
        Microstate::KernelFault
    } else if frame.error & FETCH != 0 {
        Microstate::TextFault
    } else {
        Microstate::DataFault
    };
    let before = lwp.enter_microstate(state, may_fault);
    if frame.is_user() {
        let fault = Fault {
            address: frame.fault_address,
            program_counter: frame.rip,
            stack_pointer: frame.rsp,
        };
        lwp.activation.begin_fault(&fault, frame.error & WRITE != 0);
    }
    let helped = bring(lwp, frame, may_fault);
    lwp.activation.end_fault();
    lwp.enter_microstate(before, may_fault);
    helped
}

fn bring(lwp: &Lwp, frame: &TrapFrame, may_fault: &mut MayFault) -> bool {
    let access = if frame.error & FETCH != 0 {
        Rights::READ | Rights::EXECUTE
    } else if frame.error & WRITE != 0 {
        Rights::READ | Rights::WRITE
    } else {
        Rights::READ
    };
    let mut was_interrupted = false;
    let slept = lwp.thread().map(|thread| thread.switches().0);
    let outcome = loop {
        match vm::fault(lwp.process.space(), frame.fault_address, access, may_fault) {
            // A copy in the middle of a call cannot be given up for a signal; for the end it is.
            Err(FaultError::Interrupted) if !frame.is_user() && !lwp.process.is_ending() => {
                was_interrupted |= sleep_queue::take_interrupt();
            }
            outcome => break outcome,
        }
    };
    if was_interrupted {
        // The call's own sleep is to hear of it.
        lwp.notify();
    }
    let waited = lwp.thread().map(|thread| thread.switches().0) != slept;
    let count = if waited { &lwp.counts.major_faults } else { &lwp.counts.minor_faults };
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    match outcome {
        Ok(()) => true,
        // The thread is to do something else first: on its way back to user mode. A copy fails.
        Err(FaultError::Interrupted) => frame.is_user(),
        Err(error) => {
            *lwp.last_fault.lock(may_fault) = Some((frame.fault_address, error));
            false
        }
    }
}

impl Lwp {
    /// Why the page fault of this frame could not be helped, if it could not.
    pub fn take_reason(&self, frame: &TrapFrame) -> Option<FaultError> {
        let reason = self.last_fault.lock_anywhere().take();
        reason.filter(|(address, _)| *address == frame.fault_address).map(|(_, error)| error)
    }
}

/// An exception of user mode that nothing could be done about: the program's to handle, or its end.
pub fn user_exception(frame: &mut TrapFrame, may_fault: &mut MayFault) {
    let lwp = super::current();
    let before = lwp.enter_microstate(Microstate::Trap, may_fault);
    let reason = if frame.vector == 14 { lwp.take_reason(frame) } else { None };
    let information = information(frame, reason);
    deliver::force(lwp, &information, frame, reason, may_fault);
    lwp.enter_microstate(before, may_fault);
}

/// The signal of an exception, with Linux's codes.
fn information(frame: &TrapFrame, reason: Option<FaultError>) -> Information {
    let at =
        |signal, code, address| Information { signal, code, address, ..Information::default() };
    match frame.vector {
        0 => at(SIGFPE, code::FPE_INTDIV, frame.rip),
        16 | 19 => at(SIGFPE, code::FPE_FLTINV, frame.rip),
        1 => at(SIGTRAP, code::TRAP_TRACE, frame.rip),
        3 => at(SIGTRAP, code::TRAP_BRKPT, frame.rip),
        6 => at(SIGILL, code::ILL_ILLOPN, frame.rip),
        17 => at(SIGBUS, code::BUS_ADRALN, 0),
        11 | 12 => at(SIGBUS, code::KERNEL, 0),
        14 => match reason {
            Some(FaultError::BehindEnd | FaultError::Device) => {
                at(SIGBUS, code::BUS_ADRERR, frame.fault_address)
            }
            // What the processor says is about the page table, and a page that nobody has touched is not in it.
            Some(FaultError::NotPermitted) => at(SIGSEGV, code::SEGV_ACCERR, frame.fault_address),
            _ => at(SIGSEGV, code::SEGV_MAPERR, frame.fault_address),
        },
        _ => at(SIGSEGV, code::KERNEL, 0),
    }
}
