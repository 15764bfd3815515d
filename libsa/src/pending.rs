//! What an upcall has put off, as it has interrupted the library itself: its events, its stack and its slot wait until
//! the critical section is over.

use crate::control::{ControlBlock, id_of};
use crate::dispatch;
use crate::line;
use crate::notice;
use crate::processor::{Processor, here};
use crate::runtime;
use crate::switch;
use crate::upcall;
use crate::withheld;
use abi::activations::{SA_NONE, SaProcessor, SaSlot, SaTold, SaUpcall};
use core::sync::atomic::{AtomicU32, Ordering, fence};
use scheduler::Place;
use userland::system::raw;

/// For each upcall that was put off, the one before, plus 1.
static BEFORE: [AtomicU32; runtime::STACKS_MAX] =
    [const { AtomicU32::new(0) }; runtime::STACKS_MAX];

/// Puts an upcall off, on its virtual processor's line, which may not have been set up. Another upcall may interrupt
/// this, and puts itself off.
pub fn put_off(line: &SaProcessor, upcall: &SaUpcall) {
    let stack = runtime::look(&upcall.told.stack);
    let pending = &line.own[0];
    let mut last = pending.load(Ordering::Relaxed);
    loop {
        BEFORE[stack as usize].store(last as u32, Ordering::Relaxed);
        let next = u64::from(stack) + 1;
        match pending.compare_exchange(last, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(other) => last = other,
        }
    }
}

/// The slot of a thread that goes on in the library, and the stack of the upcall that has waited for it, go back when it
/// leaves its critical section.
pub fn put_slot_off(line: &SaProcessor, slot: u32, upcall: &SaUpcall) {
    let told = SaTold { interrupted: slot, count: 0, ..runtime::look(&upcall.told) };
    let place = core::ptr::from_ref(&upcall.told).cast_mut();
    // SAFETY: the upcall is the library's until its stack is back; its events have been heard.
    unsafe { place.write_volatile(told) };
    put_off(line, upcall);
}

/// Does all that was put off, in the order in which it came.
pub fn do_all(processor: &Processor) {
    do_all_of(processor, processor);
}

/// A virtual processor has lost its processor before it could do what it had put off: this one does it.
pub fn take_over(processor: &Processor, from: &Processor) {
    if !from.line.get().is_null() {
        do_all_of(processor, from);
    }
}

fn do_all_of(processor: &Processor, of: &Processor) {
    // SAFETY: the line lives as long as the program.
    let pending = unsafe { &(*of.line.get()).own[0] };
    loop {
        let mut last = pending.swap(0, Ordering::Relaxed) as u32;
        if last == 0 {
            return;
        }
        // The list has the last one first.
        let mut first = 0;
        while last != 0 {
            let before = &BEFORE[last as usize - 1];
            (first, last) = (last, before.swap(first, Ordering::Relaxed));
        }
        while first != 0 {
            let stack = first - 1;
            first = BEFORE[stack as usize].load(Ordering::Relaxed);
            let upcall = runtime::upcall(stack);
            upcall::hear(processor, upcall);
            let interrupted = runtime::look(&upcall.told.interrupted);
            if interrupted != SA_NONE {
                give_slot_back(interrupted);
            }
            give_stack_back(upcall);
        }
    }
}

/// The outermost critical section has just been left, and something was put off.
#[cold]
pub fn after_a_section() {
    line::enter();
    let processor = here();
    do_all(processor);
    let yields = processor.wants_to_yield.replace(false);
    let gives_back = notice::claims();
    line::leave();
    if gives_back {
        notice::give_up();
    } else if yields {
        dispatch::yield_now();
    }
}

/// A thread was about to go on, and something was put off: this stands on the virtual processor's stack for idling, in a
/// critical section.
///
/// # Safety
///
/// The caller was about to go on with the thread.
pub unsafe extern "C" fn before_a_thread(thread: &ControlBlock) -> ! {
    do_all(here());
    // It was counted as being on its stack already.
    thread.scheduler.leave_stack();
    if notice::claims() {
        let processor = here();
        processor.gives_back.set(true);
        // SAFETY: the line lives as long as the program.
        unsafe { &*processor.line.get() }.running.store(0, Ordering::Relaxed);
        dispatch::ready(id_of(thread), Place::First);
        dispatch::idle();
    }
    // SAFETY: the caller was about to go on with it.
    unsafe { switch::go_on(thread) }
}

/// A slot is the kernel's again.
pub fn give_slot_back(slot: u32) {
    let number = slot;
    let slot = runtime::slot_ref(number);
    let used = runtime::look(&slot.used);
    if !withheld::keeps_slot(number, used) {
        returns_slot(slot, used);
    }
}

/// A slot is the kernel's again after this use.
pub fn returns_slot(slot: &SaSlot, used: u32) {
    slot.returned.store(used, Ordering::Release);
    fence(Ordering::SeqCst);
    if slot.calls.load(Ordering::Relaxed) != 0 {
        tell_the_kernel();
    }
}

/// A stack, on which this does not stand, is the kernel's again.
pub fn give_stack_back(upcall: &SaUpcall) {
    let place = withheld::place_of_return(upcall);
    // SAFETY: a word that stays.
    unsafe { &*place }.store(runtime::look(&upcall.told.used), Ordering::Release);
    calls_for_stack(upcall);
}

/// A stack is the kernel's again after this use.
pub fn returns_stack(upcall: &SaUpcall, used: u32) {
    upcall.returned.store(used, Ordering::Release);
    calls_for_stack(upcall);
}

/// If the kernel waits for the stack it is called.
fn calls_for_stack(upcall: &SaUpcall) {
    fence(Ordering::SeqCst);
    if upcall.calls.load(Ordering::Relaxed) != 0 {
        tell_the_kernel();
    }
}

#[cold]
fn tell_the_kernel() {
    // SAFETY: the call reads nothing.
    let told = unsafe { raw::sa_stacks(core::ptr::null(), 0) };
    debug_assert!(told.is_ok(), "the kernel waits for what was given back: {told:?}");
}
