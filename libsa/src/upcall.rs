//! Upcalls: where the kernel starts the library.

use crate::control::{Context, ControlBlock, RIP, Threads, id_of};
use crate::dispatch;
use crate::line::MARK;
use crate::notice;
use crate::pending;
use crate::processor::{PROCESSORS, Processor};
use crate::runtime;
use crate::save;
use crate::switch;
use crate::timeout;
use crate::withheld;
use abi::activations::{
    SA_BLOCKED, SA_NEWPROC, SA_NONE, SA_PREEMPTED, SA_SIGEV, SA_SIGNAL, SA_UNBLOCKED, SA_USER,
    SaEvent, SaProcessor, SaUpcall,
};
use abi::errno::Errno;
use core::arch::naked_asm;
use core::sync::atomic::Ordering;
use scheduler::Place;
use userland::system::raw;

/// Where upcalls begin. The library is in a critical section from its first instruction on; before that an upcall is
/// known by being here.
///
/// # Safety
///
/// For the kernel.
#[unsafe(naked)]
#[unsafe(link_section = "libsa_scheduler")]
pub unsafe extern "C" fn entry() -> ! {
    naked_asm!(
        "mov edx, 1",
        "xchg rdx, fs:[{mark}]",
        "jmp {begin}",
        mark = const MARK,
        begin = sym begin,
    )
}

unsafe extern "C" {
    // From the linker: the section's ends.
    fn __start_libsa_scheduler();
    fn __stop_libsa_scheduler();
}

/// The text that is the library's whatever the mark says: where an upcall begins, and where it goes on with what it has
/// interrupted. Page faults there raise no upcall, and who is there keeps its virtual processor.
pub fn scheduler_text() -> core::ops::Range<u64> {
    __start_libsa_scheduler as *const () as u64..__stop_libsa_scheduler as *const () as u64
}

extern "C" fn begin(upcall: &'static SaUpcall, line: &'static SaProcessor, mark: u64) -> ! {
    let processor = &PROCESSORS[runtime::look(&upcall.told.processor) as usize];
    let interrupted = runtime::look(&upcall.told.interrupted);
    let mut next = None;
    if interrupted != SA_NONE {
        let context = runtime::slot(interrupted).cast::<Context>();
        // SAFETY: the slot is the library's until it is given back.
        let at = unsafe { (*context).registers[RIP] };
        if mark != 0 || scheduler_text().contains(&at) {
            pending::put_off(line, upcall);
            processor.count(runtime::PUT_OFF);
            // SAFETY: this is what was interrupted, and what it was interrupted with.
            unsafe { switch::go_on_in_library(context, mark) };
        }
        let running = line.running.load(Ordering::Relaxed) as *const ControlBlock;
        // SAFETY: what runs here, if anything does: its control block.
        match unsafe { running.as_ref() } {
            Some(thread) => {
                save::save(thread, interrupted);
                next = Some(thread);
            }
            None => pending::give_slot_back(interrupted),
        }
    } else {
        runtime::set_up_line(processor, line);
        // It is told alone. What the thread was at goes on; to the scheduler nothing has begun here: the virtual processor
        // may just be about to idle, and has said so.
        // (What it was begun for may have been told elsewhere by now: then there is no event.)
        let event = runtime::look(&upcall.events[0]);
        if runtime::look(&upcall.told.count) != 0 && event.kind == SA_BLOCKED && event.mark != 0 {
            put_back(processor, upcall, &event);
        }
    }
    runtime::scheduler().begins(processor.number.get());
    hear(processor, upcall);
    pending::do_all(processor);
    let gives_back = notice::claims();
    if let Some(thread) = next
        && (processor.wants_to_yield.replace(false) || gives_back)
    {
        save::keep(thread);
        dispatch::ready(id_of(thread), Place::Last);
        next = None;
    }
    if gives_back {
        processor.gives_back.set(true);
        // SAFETY: this stands on the upcall's stack.
        unsafe { switch::leave_upcall_for_nobody(upcall) }
    }
    let next = next.or_else(|| dispatch::next(processor));
    match next {
        // SAFETY: the thread was interrupted here, or taken out of a queue; this stands on the upcall's stack.
        Some(thread) => unsafe {
            switch::leave_upcall(upcall, thread, withheld::place_of_return(upcall))
        },
        // SAFETY: this stands on the upcall's stack.
        None => unsafe { switch::leave_upcall_for_nobody(upcall) },
    }
}

/// Does what the events of an upcall ask for.
pub fn hear(processor: &Processor, upcall: &SaUpcall) {
    for event in &upcall.events[..runtime::look(&upcall.told.count) as usize] {
        let event: SaEvent = runtime::look(event);
        processor.count_event(&event);
        // SAFETY: the library's own word, which the kernel has kept.
        let thread = unsafe { (event.thread as *const ControlBlock).as_ref() };
        match (event.kind, thread) {
            (SA_UNBLOCKED, Some(thread)) => {
                save::save(thread, event.slot);
                save::keep(thread);
                dispatch::ready(id_of(thread), Place::First);
            }
            (SA_PREEMPTED, Some(thread)) => {
                take_over(processor, &event);
                save::save(thread, event.slot);
                save::keep(thread);
                dispatch::ready(id_of(thread), Place::Last);
            }
            // It had no thread.
            (SA_UNBLOCKED | SA_PREEMPTED, None) => {
                pending::give_slot_back(event.slot);
                if event.kind == SA_PREEMPTED {
                    take_over(processor, &event);
                }
            }
            (SA_SIGEV, _) => {
                processor.wants_to_yield.set(true);
                runtime::scheduler().rescue(processor.number.get(), &Threads);
                timeout::look();
            }
            (SA_BLOCKED | SA_NEWPROC | SA_USER | SA_SIGNAL, _) => {}
            _ => {}
        }
    }
}

/// A virtual processor has lost its processor: what it had to do is everybody's.
fn take_over(processor: &Processor, event: &SaEvent) {
    let from = event.processor as usize;
    pending::take_over(processor, &PROCESSORS[from]);
    runtime::scheduler().strand(from, &Threads);
    runtime::scheduler().rescue(processor.number.get(), &Threads);
}

/// A thread has blocked that is in a critical section: others may wait for it already. It gets its virtual processor back.
#[cold]
fn put_back(processor: &Processor, upcall: &SaUpcall, event: &SaEvent) -> ! {
    processor.count_event(event);
    processor.count(runtime::PUT_BACK);
    // SAFETY: the line lives as long as the program.
    let line = unsafe { &*processor.line.get() };
    line.running.store(event.thread, Ordering::Relaxed);
    let number = runtime::look(&upcall.told.number);
    runtime::goes_back_by_call(upcall);
    // The mark is the thread's again, from here on: this upcall is in the library as long as it is not 0.
    line.mark.store(event.mark, Ordering::SeqCst);
    let slot = loop {
        // SAFETY: the call writes to no memory.
        let slot = unsafe { raw::sa_unblockyield(event.activation, event.block, number) };
        // All slots may be out for a moment.
        if slot != Err(Errno::EAGAIN) {
            break slot;
        }
    };
    // It has waited for the thread, as another upcall has interrupted this one.
    match slot {
        Ok(slot) => {
            let context = runtime::slot(slot as u32).cast::<Context>();
            pending::put_slot_off(line, slot as u32, upcall);
            // SAFETY: what the thread goes on with.
            unsafe { switch::go_on_in_library(context, event.mark) }
        }
        Err(error) => panic!("sa_unblockyield: {error:?}"),
    }
}
