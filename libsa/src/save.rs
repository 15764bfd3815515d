//! Contexts: where they are, and who gives them back.
//!
//! A context arrives in a save slot of the kernel's. If its thread goes on soon it stays there; slots are few, so that of
//! a thread that waits in a run queue moves to memory of the library's when half of them are in use.

use crate::control::{Context, ControlBlock};
use crate::pending;
use crate::processor::{Processor, here};
use crate::runtime;
use crate::switch::is_in_window;
use crate::withheld;
use abi::activations::SaSlot;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering};

const _: () = {
    assert!(offset_of!(Context, registers) == offset_of!(SaSlot, saved.registers));
    assert!(offset_of!(Context, fpu) == offset_of!(SaSlot, saved.fpu));
};

/// How many slots threads have.
static IN_USE: AtomicU32 = AtomicU32::new(0);

/// What a thread goes on with has arrived in a slot.
pub fn save(thread: &ControlBlock, slot: u32) {
    let context = runtime::slot(slot).cast::<Context>();
    // SAFETY: the slot is the library's until it is given back.
    let program_counter = unsafe { (*context).registers[crate::control::RIP] };
    if is_in_window(program_counter) {
        // What it has is as good.
        pending::give_slot_back(slot);
    } else {
        drop_context(thread);
        IN_USE.fetch_add(1, Ordering::Relaxed);
        thread.context.set(context.cast_mut());
    }
    thread.scheduler.leave_stack();
}

/// The thread waits in a run queue, maybe for long.
pub fn keep(thread: &ControlBlock) {
    let (_, withheld) = withheld::kept();
    if IN_USE.load(Ordering::Relaxed) + withheld > runtime::slots() / 2 {
        move_away(thread);
    }
}

#[cold]
fn move_away(thread: &ControlBlock) {
    let context = thread.context.get();
    let Some(slot) = runtime::slot_at(context) else { return };
    let Some(to) = take(here()) else { return };
    // SAFETY: both are contexts, and nobody else uses either.
    unsafe { ptr::copy_nonoverlapping(context, to, 1) };
    thread.context.set(to);
    IN_USE.fetch_sub(1, Ordering::Relaxed);
    pending::give_slot_back(slot);
}

/// The thread has no use for its context any longer.
#[inline(always)]
pub fn drop_context(thread: &ControlBlock) {
    if !thread.context.get().is_null() {
        give(thread);
    }
}

#[cold]
fn give(thread: &ControlBlock) {
    let context = thread.context.replace(ptr::null_mut());
    match runtime::slot_at(context) {
        Some(slot) => {
            IN_USE.fetch_sub(1, Ordering::Relaxed);
            pending::give_slot_back(slot);
        }
        None => {
            let processor = here();
            // SAFETY: a context of the library's that nobody uses.
            unsafe { (*context).head[0] = processor.contexts.get() as u64 };
            processor.contexts.set(context);
        }
    }
}

/// A free context; none if there is no memory.
fn take(processor: &Processor) -> Option<*mut Context> {
    let first = processor.contexts.get();
    if first.is_null() {
        return runtime::map_contexts(processor);
    }
    // SAFETY: it is free, and linked.
    processor.contexts.set(unsafe { (*first).head[0] } as *mut Context);
    Some(first)
}
