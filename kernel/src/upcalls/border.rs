//! What an activation does before it returns to user mode.

use super::block::named;
use super::memory::Words;
use super::upcall;
use crate::kernel::Kernel;
use crate::lwp::{Lwp, ending, stopping};
use crate::signal::deliver;
use activations::{AtBorder, Posted, VirtualProcessor};
use core::sync::atomic::Ordering;
use dispatch::class::time_sharing;
use dispatch::{Thread, Woken, sleep_queue};
use machine::tracing::emit;
use machine::x86_64::frame::TrapFrame;
use machine::{MayFault, preempt};
use trace::Kind;

/// The LWP is about to go on in user mode with these registers, and has nothing else to do. Afterwards they are what it
/// goes on with. Says whether it is to look again for something else to do.
pub fn cross(lwp: &Lwp, frame: &mut TrapFrame, may_fault: &mut MayFault) -> bool {
    let own = &lwp.activation;
    let Some((of, activation)) = own.get() else { return false };
    let enabled = own.enabled.lock(may_fault).take();
    if let Some(first) = enabled {
        upcall::begin(lwp, of, activation, first, frame, may_fault);
        return true;
    }
    if own.parks.swap(false, Ordering::Relaxed) {
        park(lwp, frame, may_fault);
        return true;
    }
    // Before the protocol lets anybody else take them.
    own.frame.store(frame, Ordering::Release);
    {
        let guard = preempt::disable(may_fault);
        own.fpu.lock_within(guard.atomic()).save(guard.atomic());
    }
    let mut state = of.lock();
    let mut in_library = false;
    if let Some(home) = state.protocol.processor_of(activation) {
        state.note_left(of, own, home);
        in_library = of.is_in_library(home, frame.rip);
    }
    let at_border = state.protocol.border(activation, in_library, &mut Words(&of.shared));
    match at_border {
        AtBorder::Go => {
            drop(state);
            time_sharing::arrives(Thread::running());
            false
        }
        AtBorder::Deliver => {
            let begun = state.protocol.upcall(activation, &mut Words(&of.shared));
            drop(state);
            let Some(begun) = begun else { return false };
            upcall::begin(lwp, of, activation, begun, frame, may_fault);
            true
        }
        AtBorder::Park(nudge) => {
            let left = VirtualProcessor::new(own.left.lock_anywhere().processor);
            let event = emit(Kind::ActivationReturns, named(left, activation), own.last_event());
            own.note_event(event);
            state.act(nudge);
            drop(state);
            park(lwp, frame, may_fault);
            true
        }
    }
}

/// Sleeps until the activation is started, or may go on with the registers that it has.
pub fn park(lwp: &Lwp, frame: &mut TrapFrame, may_fault: &mut MayFault) {
    lwp.activation.is_parked.store(true, Ordering::Relaxed);
    wait_at_border(lwp, frame, may_fault);
    lwp.activation.is_parked.store(false, Ordering::Relaxed);
}

fn wait_at_border(lwp: &Lwp, frame: &mut TrapFrame, may_fault: &mut MayFault) {
    let own = &lwp.activation;
    let Some((of, activation)) = own.get() else { return };
    loop {
        // What comes after this look interrupts the sleep.
        sleep_queue::take_interrupt();
        if lwp.process.is_ending() || lwp.process.is_becoming_another(lwp) {
            ending::leave(0, may_fault);
        }
        if lwp.is_to_stop() {
            stopping::stand_still(lwp, may_fault);
            continue;
        }
        if own.started.p_interruptible(may_fault) == Woken::BySignal {
            if deliver::is_due(lwp) {
                // For somebody who is about to go on: if nobody runs, one that idles begins, and acts on it on its way.
                let mut state = of.lock();
                let words = &mut Words(&of.shared);
                let nudge = state.protocol.post(Posted::SIGNAL, None, words);
                state.act(nudge);
            }
            continue;
        }
        let mut state = of.lock();
        if state.protocol.goes_on(activation) {
            return;
        }
        let begun = state.protocol.upcall(activation, &mut Words(&of.shared));
        drop(state);
        if let Some(begun) = begun {
            upcall::begin(lwp, of, activation, begun, frame, may_fault);
            return;
        }
        // What it was started for has been told elsewhere.
        Kernel::current().activation_processors.note_idle();
    }
}

/// Somebody sleeps in a call until another activation is at the border; `None` if it is to end instead.
pub fn wait_for(lwp: &Lwp, other: activations::Activation, may_fault: &mut MayFault) -> Option<()> {
    let own = &lwp.activation;
    let (of, _) = own.get()?;
    own.is_quiet.store(true, Ordering::Relaxed);
    let came = loop {
        if of.lock().protocol.is_kept(other) {
            break Some(());
        }
        if lwp.process.is_ending() {
            break None;
        }
        if own.started.p_interruptible(may_fault) == Woken::BySignal {
            sleep_queue::take_interrupt();
        }
    };
    own.is_quiet.store(false, Ordering::Relaxed);
    came
}
