//! Beginning an upcall: contexts go into slots, events into the upcall's place, and the activation gets the registers of
//! the library's entry.
//!
//! Nothing here faults: all of it is memory of the kernel's. An LWP that is missing for the next block is made first,
//! and that may sleep; nobody is told of that sleep.

use super::memory::{Shared, Words};
use super::{Activations, State};
use crate::kernel::Kernel;
use crate::lwp::Lwp;
use crate::lwp::begin;
use crate::signal::frame::exchange_fpu;
use crate::system_call::enter_new;
use abi::activations::{
    SA_EVENTS_MAX, SA_FAULT, SA_FAULT_WRITE, SA_NONE, SaEvent, SaSaved, SaTold, SaUpcall,
};
use activations::{Activation, Event, Slot, Upcall};
use core::sync::atomic::Ordering;
use machine::MayFault;
use machine::preempt;
use machine::tracing::emit;
use machine::x86_64::frame::TrapFrame;
use machine::x86_64::user_state::{FpuState, SegmentBases};
use trace::{EventId, Kind};

/// Begins an upcall: the frame becomes that of the library's entry; what was in it goes into the slot, if the upcall
/// interrupts something.
pub fn begin(
    lwp: &Lwp,
    of: &Activations,
    activation: Activation,
    upcall: Upcall,
    frame: &mut TrapFrame,
    may_fault: &mut MayFault,
) {
    lwp.activation.is_quiet.store(true, Ordering::Relaxed);
    let interrupted = exchange_fpu(&FpuState::fresh(), may_fault);
    if let Some(slot) = upcall.interrupted {
        let used = of.lock().protocol.slot_use(slot);
        save(&of.shared, slot, used, frame, &interrupted);
    }
    fill_cache(of, may_fault);
    let count = tell(of, &upcall);
    let (used, top) = {
        let state = of.lock();
        let tops = of.tops.lock_anywhere();
        (state.protocol.stack_use(upcall.stack), tops[upcall.stack.number() as usize])
    };
    let told = SaTold {
        used,
        stack: upcall.stack.number(),
        processor: upcall.processor.number(),
        activation: activation.number(),
        number: upcall.number.0,
        interrupted: upcall.interrupted.map_or(SA_NONE, Slot::number),
        count,
        ..SaTold::default()
    };
    // SAFETY: within the block; the stack is lent to this upcall alone, and what else the program does there is its own
    // affair.
    unsafe { of.shared.told(upcall.stack).write_volatile(told) };
    if upcall.interrupted.is_none() {
        of.shared.line(upcall.processor).mark.store(0, Ordering::Relaxed);
    }
    let areas = of.areas();
    let line = areas.processors
        + u64::from(upcall.processor.number()) * size_of::<abi::activations::SaProcessor>() as u64;
    *frame = TrapFrame {
        rdi: areas.upcalls + u64::from(upcall.stack.number()) * size_of::<SaUpcall>() as u64,
        rsi: line,
        ..enter_new(of.entry, top - 8)
    };
    let guard = preempt::disable(may_fault);
    SegmentBases::new(line, 0).restore(guard.atomic());
    drop(guard);
    lwp.activation.is_quiet.store(false, Ordering::Relaxed);
}

/// Writes the events of an upcall; returns how many.
fn tell(of: &Activations, upcall: &Upcall) -> u32 {
    let mut count = 0;
    let (mut kinds, mut cause) = (0, EventId::NONE);
    while count < SA_EVENTS_MAX {
        let mut state = of.lock();
        if state.is_over {
            break;
        }
        let Some(event) = state.protocol.next_event(upcall, &mut Words(&of.shared)) else { break };
        let mut told = SaEvent { kind: event.number() as u32, slot: SA_NONE, ..SaEvent::default() };
        kinds |= 1 << event.number();
        match event {
            Event::Blocked(other, _) => cause = state.lwp(other).activation.last_event(),
            Event::Unblocked(other, ..) => {
                // Of several it is the last one's.
                cause = state.lwp(other).activation.note_event(EventId::NONE);
            }
            _ => {}
        }
        match event {
            Event::NewProcessor | Event::Posted(_) => {}
            Event::Blocked(activation, block) => {
                let left = *state.lwp(activation).activation.left.lock_anywhere();
                (told.activation, told.block) = (activation.number(), block);
                (told.processor, told.thread, told.mark) =
                    (left.processor, left.running, left.mark);
                if let Some((fault, writes)) = left.fault {
                    told.flags = SA_FAULT | if writes { SA_FAULT_WRITE } else { 0 };
                    told.address = fault.address;
                    told.program_counter = fault.program_counter;
                    told.stack_pointer = fault.stack_pointer;
                }
            }
            Event::Unblocked(activation, block, slot) => {
                let left = *state.lwp(activation).activation.left.lock_anywhere();
                (told.processor, told.thread, told.mark) =
                    (left.processor, left.running, left.mark);
                (told.activation, told.block) = (activation.number(), block);
                told.slot = slot.number();
                export(of, &mut state, activation, slot);
            }
            Event::Preempted(activation, slot) => {
                let left = *state.lwp(activation).activation.left.lock_anywhere();
                (told.processor, told.thread, told.mark) =
                    (left.processor, left.running, left.mark);
                (told.activation, told.slot) = (activation.number(), slot.number());
                export(of, &mut state, activation, slot);
            }
        }
        drop(state);
        // SAFETY: within the block, as in `begin`.
        unsafe { of.shared.event(upcall.stack, count).write_volatile(told) };
        count += 1;
    }
    emit(Kind::Upcall, u64::from(upcall.processor.number()) << 16 | kinds, cause);
    let mut state = of.lock();
    let nudge = state.protocol.all_told(upcall, &mut Words(&of.shared));
    state.act(nudge);
    count as u32
}

/// Takes the registers of an activation that sleeps at the border, or is about to: it touches its frame no more before it
/// is started, and goes only when it has taken the lock once more.
pub fn export(of: &Activations, state: &mut State, activation: Activation, slot: Slot) {
    let own = &state.lwp(activation).activation;
    let frame = own.frame.load(Ordering::Acquire);
    // SAFETY: see above; the caller has the lock, and the process is not over.
    let frame = unsafe { &*frame };
    save(&of.shared, slot, state.protocol.slot_use(slot), frame, &own.fpu.lock_anywhere());
    state.protocol.told(activation);
}

/// Puts a context into a slot.
fn save(shared: &Shared, slot: Slot, used: u32, frame: &TrapFrame, fpu: &FpuState) {
    let saved =
        SaSaved { registers: frame.context_registers(), reserved: [0; 6], fpu: *fpu.as_bytes() };
    // SAFETY: within the block; the slot is lent for this.
    unsafe { shared.saved(slot).write_volatile(saved) };
    // SAFETY: likewise.
    unsafe { shared.used(slot).write_volatile(used) };
}

/// Makes the LWPs that are missing, so that every virtual processor that runs could block. If there is no memory for
/// one, the next block stalls its virtual processor, and is counted.
pub fn fill_cache(of: &Activations, may_fault: &mut MayFault) {
    let wanted = of.lock().protocol.wanted_activations();
    for _ in 0..wanted {
        if begin::create_activation(of, may_fault).is_err() {
            return;
        }
    }
    if wanted != 0 && of.lock().protocol.is_short() {
        // One may have been missing to begin with.
        Kernel::current().activation_processors.kick();
    }
}
