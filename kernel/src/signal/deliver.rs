//! Acting on signals, on the way to user mode.

use super::actions::Action;
use super::{ByItself, Information, UNSTOPPABLE, bit, frame as handler_frame};
use crate::lwp::Lwp;
use crate::observe::{self, AtSignal};
use crate::process::ending;
use core::sync::atomic::Ordering;
use machine::MayFault;
use machine::x86_64::frame::TrapFrame;
use vm::FaultError;

/// What came of looking for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// There is none to act on.
    Nothing,
    /// One has been acted on; there may be more.
    Something,
}

/// Acts on one signal of the running LWP, if there is one that it does not hold back.
pub fn deliver(lwp: &Lwp, frame: &mut TrapFrame, may_fault: &mut MayFault) -> Delivered {
    let continuations = lwp.process.continuations();
    let takes = !lwp.signals.mask();
    let taken = lwp.signals.pending.take(takes);
    let Some(information) = taken.or_else(|| lwp.process.signals.pending.take(takes)) else {
        return Delivered::Nothing;
    };
    if observe::at_signal(lwp, &information, may_fault) == AtSignal::Swallow {
        return Delivered::Something;
    }
    act(lwp, &information, frame, Cause::Sent { continuations }, may_fault);
    Delivered::Something
}

/// Whether there is a signal that an LWP could act on.
pub fn is_due(lwp: &Lwp) -> bool {
    let pending = lwp.signals.pending.set() | lwp.process.signals.pending.set();
    pending & !lwp.signals.mask() != 0
}

/// Acts at once on a signal that an exception causes: one that is held back or ignored ends the process.
pub fn force(
    lwp: &Lwp,
    information: &Information,
    frame: &mut TrapFrame,
    reason: Option<FaultError>,
    may_fault: &mut MayFault,
) {
    if observe::at_signal(lwp, information, may_fault) == AtSignal::Swallow {
        return;
    }
    let signals = &lwp.process.signals;
    let signal = information.signal;
    if lwp.signals.mask() & bit(signal) != 0 || signals.is_ignored(signal) {
        signals.reset(signal);
        lwp.signals.set_mask(lwp.signals.mask() & !bit(signal));
    }
    act(lwp, information, frame, Cause::Exception(reason), may_fault);
}

/// Where a signal comes from.
#[derive(Clone, Copy)]
enum Cause {
    /// An exception, with the reason of a page fault.
    Exception(Option<FaultError>),
    /// Somebody has sent it; before it was taken, the process had been told to go on so often.
    Sent { continuations: u64 },
}

/// Acts on a signal.
fn act(
    lwp: &Lwp,
    information: &Information,
    frame: &mut TrapFrame,
    cause: Cause,
    may_fault: &mut MayFault,
) {
    let process = lwp.process;
    let signal = information.signal;
    lwp.counts.signals.store(lwp.counts.signals.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    match process.signals.take_action(signal) {
        Action::Handler(action) => {
            if handler_frame::enter(lwp, &action, information, frame, may_fault).is_err() {
                // There is no place for the handler's frame.
                end_by(lwp, super::SIGSEGV, frame, Cause::Exception(None), may_fault);
            }
        }
        Action::ByItself(ByItself::Ignore) => {}
        Action::ByItself(ByItself::Stop) => {
            // No exception stops.
            if let Cause::Sent { continuations } = cause {
                process.stop(signal, continuations);
            }
        }
        Action::ByItself(ByItself::End) => end_by(lwp, signal, frame, cause, may_fault),
    }
}

fn end_by(lwp: &Lwp, signal: u8, frame: &TrapFrame, cause: Cause, may_fault: &mut MayFault) {
    debug_assert!(bit(signal) & UNSTOPPABLE == 0, "it is not acted on, but when it is sent");
    let (exception, reason) = match cause {
        Cause::Exception(reason) => (true, reason),
        Cause::Sent { .. } => (false, None),
    };
    ending::report(lwp, signal, frame, exception, reason, may_fault);
    ending::kill(lwp.process, signal);
}
