//! What happens on the entry stack, and moving off it.
//!
//! Every trap enters on an IST stack with interrupts off ([`super::descriptors`]). There are three
//! kinds of work, in this order:
//!
//! 1. what neither faults nor sleeps is done at once, on the entry stack: filling a hole in a kernel
//!    stack, the handler of an interrupt above [`Pil::LOCK`], stopping for another processor's panic;
//! 2. what may fault, sleep or switch is *moved*: the frame is copied to the thread's own kernel stack
//!    (first making sure that the stack is there), and only there do interrupts come on again:
//!    exceptions of user mode, page faults on user memory, interrupts up to [`Pil::LOCK`], preemption;
//! 3. what can only be a bug of the kernel's is fatal and reported where it is.
//!
//! An interrupt that is to be moved is noted as if it were held back, and replayed as the first thing
//! on the thread's stack (`after_interrupt`). Where that stack has no room left, it stays held back
//! until the level is next lowered, another interrupt comes, or the thread returns to user mode.
//!
//! One test of all pending asynchronous work stands before every return to user mode
//! ([`prepare_return_to_user`]), with interrupts off, repeated until there is none.

use super::breakpoint::TRAP_FLAG;
use super::features::Features;
use super::frame::TrapFrame;
use super::private::{current_cpu, interrupts_off, interrupts_on, stop};
use super::{descriptors, entry, stack, user_copy};
use crate::capability::{Atomic, MayFault};
use crate::pil::{self, Pil};
use crate::tracing::emit;
use crate::{Cpu, hooks, preempt};
use ::trace::{EventId, Kind};
use core::sync::atomic::Ordering;
use x86_64::registers::control::Cr2;

/// What the trap code calls upwards. The calls that take a [`MayFault`] come on the thread's own
/// stack, interrupts on.
pub trait TrapHooks: Sync {
    /// A trap has come. On its entry stack, interrupts off, before anything else.
    fn trap(&self, cpu: &Cpu, frame: &TrapFrame);

    /// User mode has caused an exception; a page fault comes here only when [`Self::page_fault`]
    /// did not help. Need not return.
    fn user_exception(&self, frame: &mut TrapFrame, may_fault: &mut MayFault);

    /// A page of user memory is not there, or not for this access; by user mode or by a copy of the
    /// kernel's. Returns whether the access is worth another try.
    fn page_fault(&self, frame: &mut TrapFrame, may_fault: &mut MayFault) -> bool;

    /// The running thread's word of asynchronous work is not 0. Need not return.
    fn asynchronous(&self, frame: &mut TrapFrame, may_fault: &mut MayFault);

    /// The running thread is about to return to user mode, interrupts off. In debug builds, so that what
    /// must hold then can be checked.
    fn returns_to_user(&self, atomic: &Atomic);

    /// A debug exception, in the kernel or in user mode. Says whether it was one that a check has asked for
    /// ([`super::breakpoint`]), and has changed the frame's flags accordingly. On the entry stack, interrupts off.
    fn kernel_step(&self, cpu: &Cpu, frame: &mut TrapFrame) -> bool;

    /// A bug of the kernel's, or a broken machine. On the entry stack, interrupts off.
    fn fatal(&self, frame: &TrapFrame, cause: Fatal) -> !;
}

/// Why a trap cannot be survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fatal {
    /// An exception in the kernel.
    Exception,
    /// The kernel ran into the guard page below its stack.
    StackOverflow,
    /// A hole in the kernel's stack, and nothing in the reserve to fill it.
    StackReserveEmpty,
    /// A page fault while an earlier one was still on its entry stack.
    NestedPageFault,
    /// A user page was touched where nobody may fault.
    FaultInCriticalSection,
    /// A frame was to be moved to a kernel stack that is not there.
    NoLanding,
}

const DEBUG: u64 = 1;
const PAGE_FAULT: u64 = 14;
const ERROR_PRESENT: u64 = 1 << 0;
const INTERRUPT_FLAG: u64 = 1 << 9;
/// The vector that a local APIC gives when an interrupt has gone away: no handler, no EOI.
pub(crate) const SPURIOUS: u8 = 0xff;

/// The vector of a level's line: the level is the vector's priority class.
pub const fn vector(level: Pil, line: u8) -> u8 {
    assert!(level.number() >= Pil::DEVICE_MIN.number() && line < 16);
    level.number() << 4 | line
}

/// First half of every trap, on the entry stack. Returns the frame to go on with: the same, to
/// return through it, or its copy on the thread's stack.
pub(crate) extern "C" fn trap_on_entry_stack(frame: &mut TrapFrame) -> *mut TrapFrame {
    let cpu = descriptors::cpu_above_frame(frame);
    if cpu.system().backend.features.contains(Features::SMAP) {
        // The interrupted code may have lifted the protection; its flags come back with its frame.
        // SAFETY: forbids access to user pages, nothing else.
        unsafe { core::arch::asm!("clac", options(nomem, nostack)) };
    }
    if frame.vector == PAGE_FAULT {
        frame.fault_address = Cr2::read_raw();
    }
    cpu.system().backend.trap_hooks.trap(cpu, frame);
    match frame.vector {
        2 => non_maskable(cpu, frame),
        PAGE_FAULT => page_fault(cpu, frame),
        8 | 18 => fatal(cpu, frame, Fatal::Exception),
        DEBUG => debug(cpu, frame),
        0..32 => exception(cpu, frame),
        // What is left of the legacy controller's: spurious, as every line is masked.
        32..48 => frame,
        _ => interrupt(cpu, frame),
    }
}

/// Second half, on the thread's own stack, interrupts still off and off again at the end.
pub(crate) extern "C" fn trap_on_thread_stack(frame: &mut TrapFrame) {
    if frame.vector >= 32 {
        return after_interrupt(frame);
    }
    // SAFETY: off the entry stack, interrupted code ran at level 0 with interrupts on.
    unsafe { interrupts_on() };
    // SAFETY: this is the entry on the thread's own stack; the interrupted code's token, if it had
    // one, cannot be used before we return.
    let mut may_fault = unsafe { MayFault::assume() };
    let hooks = current_cpu().system().backend.trap_hooks;
    if frame.vector == PAGE_FAULT {
        if !hooks.page_fault(frame, &mut may_fault) {
            if frame.is_user() {
                hooks.user_exception(frame, &mut may_fault);
            } else if !user_copy::recover(frame) {
                hooks.fatal(frame, Fatal::Exception);
            }
        }
    } else {
        hooks.user_exception(frame, &mut may_fault);
    }
    if frame.is_user() {
        prepare_return_to_user(frame, &mut may_fault);
    } else {
        interrupts_off();
    }
}

/// What an interrupt still has to do, on the thread's own stack: the handlers that may switch, and
/// preemption. The interrupted code may be at any level up to 9, or have preemption off; then it is
/// gone back to with nothing else done.
fn after_interrupt(frame: &mut TrapFrame) {
    if frame.is_user() {
        // SAFETY: user mode runs at level 0, preemption on; this is the entry on the thread's own
        // stack, and interrupts are about to be turned on.
        let mut may_fault = unsafe { MayFault::assume() };
        // Replays what is pending, as the return from any other entry would.
        return prepare_return_to_user(frame, &mut may_fault);
    }
    pil::replay(Pil::current());
    // Interrupts stay off unless there is a reason: with them on, a storm of interrupts would go
    // down the stack, each on top of the one before.
    if is_preemption_due(current_cpu()) {
        // SAFETY: off the entry stack; interrupts were on where this one came.
        unsafe { interrupts_on() };
        preempt::check();
        interrupts_off();
    }
}

/// The one test of pending asynchronous work: everything that has to happen before a thread returns
/// to user mode. Returns with interrupts off, so that what comes later interrupts user mode.
#[inline]
pub fn prepare_return_to_user(frame: &mut TrapFrame, may_fault: &mut MayFault) {
    loop {
        interrupts_off();
        let cpu = current_cpu();
        debug_assert!(cpu.pil.get() == 0, "user mode would run at a raised interrupt level");
        debug_assert!(cpu.preempt_off.get() == 0, "user mode would run with preemption off");
        if !is_work_pending(cpu) {
            if cfg!(debug_assertions) {
                assert_may_return_to_user();
            }
            return;
        }
        pil::replay(Pil::NONE);
        // The thread's word, read while it cannot move to another processor.
        let asynchronous = is_asynchronous_pending(cpu);
        // SAFETY: on the thread's own stack at level 0.
        unsafe { interrupts_on() };
        preempt::check();
        if asynchronous {
            current_cpu().system().backend.trap_hooks.asynchronous(frame, may_fault);
        }
    }
}

/// What must hold when a thread returns to user mode, with interrupts off. For debug builds.
pub extern "C" fn assert_may_return_to_user() {
    let cpu = current_cpu();
    debug_assert!(cpu.pil.get() == 0, "user mode would run at a raised interrupt level");
    debug_assert!(cpu.preempt_off.get() == 0, "user mode would run with preemption off");
    // SAFETY: interrupts are off.
    cpu.system().backend.trap_hooks.returns_to_user(unsafe { Atomic::assume() });
}

#[inline]
fn is_asynchronous_pending(cpu: &Cpu) -> bool {
    let word = cpu.backend.asynchronous.load(Ordering::Relaxed);
    // SAFETY: null, or set by the layer above to a word that lives while its thread runs.
    unsafe { word.as_ref() }.is_some_and(|word| word.load(Ordering::Acquire) != 0)
}

#[inline]
fn is_work_pending(cpu: &Cpu) -> bool {
    // At level 0 nothing is masked, so each pending level is work: an interrupt's, or preemption.
    is_asynchronous_pending(cpu) || cpu.pending.levels.get() != 0
}

/// Whether the interrupted code, which had interrupts on, is to be preempted.
fn is_preemption_due(cpu: &Cpu) -> bool {
    cpu.pending.levels.get() & preempt::LEVEL_BIT != 0
        && cpu.pil.get() == 0
        && cpu.preempt_off.get() == 0
}

fn fatal(cpu: &Cpu, frame: &TrapFrame, cause: Fatal) -> ! {
    cpu.system().backend.trap_hooks.fatal(frame, cause)
}

/// Copies the frame to the thread's stack, below `address`, where it may not be there yet.
fn move_below(cpu: &Cpu, frame: &TrapFrame, address: u64) -> *mut TrapFrame {
    if !stack::make_landing(cpu, address) {
        fatal(cpu, frame, stack::why_no_landing(cpu, address));
    }
    copy_below(frame, address)
}

/// The landing below `address` has been made.
fn copy_below(frame: &TrapFrame, address: u64) -> *mut TrapFrame {
    let place = (address - size_of::<TrapFrame>() as u64) & !15;
    let place = place as *mut TrapFrame;
    // SAFETY: the landing is there, below everything that the stack holds.
    unsafe { place.write(*frame) };
    place
}

/// Moves a frame of user mode: the thread's kernel stack is empty.
fn move_user(cpu: &Cpu, frame: &TrapFrame) -> *mut TrapFrame {
    let top = cpu.backend.kernel_stack_top.get();
    if !stack::make_user_landing(cpu) {
        fatal(cpu, frame, stack::why_no_landing(cpu, top));
    }
    copy_below(frame, top)
}

fn page_fault(cpu: &Cpu, frame: &mut TrapFrame) -> *mut TrapFrame {
    emit(Kind::PageFault, frame.fault_address, EventId::NONE);
    if cpu.backend.in_page_fault_entry.swap(true, Ordering::Relaxed) {
        fatal(cpu, frame, Fatal::NestedPageFault);
    }
    let next = if frame.is_user() { move_user(cpu, frame) } else { kernel_page_fault(cpu, frame) };
    cpu.backend.in_page_fault_entry.store(false, Ordering::Relaxed);
    next
}

fn kernel_page_fault(cpu: &Cpu, frame: &mut TrapFrame) -> *mut TrapFrame {
    let address = frame.fault_address;
    let stack = stack::current(cpu);
    if stack.guard_contains(address) {
        fatal(cpu, frame, Fatal::StackOverflow);
    }
    if stack.contains(address) && frame.error & ERROR_PRESENT == 0 {
        if !stack::fill(cpu, address) {
            fatal(cpu, frame, Fatal::StackReserveEmpty);
        }
        return frame;
    }
    // What is left that is no bug: the copy routine touched a user page.
    if user_copy::recover(&mut frame.clone()) && address < user_copy::USER_END {
        let may_fault = frame.rflags & INTERRUPT_FLAG != 0 && cpu.pil.get() == 0;
        if !may_fault || cpu.preempt_off.get() != 0 {
            fatal(cpu, frame, Fatal::FaultInCriticalSection);
        }
        return move_below(cpu, frame, frame.rsp);
    }
    fatal(cpu, frame, Fatal::Exception)
}

fn exception(cpu: &Cpu, frame: &mut TrapFrame) -> *mut TrapFrame {
    emit(Kind::Exception, frame.vector, EventId::NONE);
    if !frame.is_user() {
        if frame.rip != entry::iretq_address() {
            fatal(cpu, frame, Fatal::Exception);
        }
        // The frame that the `iretq` was to load is at fault: it is the user's. The registers are
        // the user's already; the five words lie where the stack pointer points.
        // SAFETY: the faulting `iretq` had its frame there.
        let words = unsafe { *(frame.rsp as *const [u64; 5]) };
        [frame.rip, frame.cs, frame.rflags, frame.rsp, frame.ss] = words;
    }
    move_user(cpu, frame)
}

/// A debug exception: one that a check has asked for; or user mode's; or, in the kernel, what user mode left pending
/// when it entered.
fn debug(cpu: &Cpu, frame: &mut TrapFrame) -> *mut TrapFrame {
    if cpu.system().backend.trap_hooks.kernel_step(cpu, frame) {
        return frame;
    }
    if frame.is_user() {
        return exception(cpu, frame);
    }
    frame.rflags &= !TRAP_FLAG;
    frame
}

/// A processor's panic stops the others by NMI; there is no other source.
fn non_maskable(cpu: &Cpu, frame: &TrapFrame) -> *mut TrapFrame {
    if cpu.system().backend.panicking.load(Ordering::Acquire) == 0 {
        fatal(cpu, frame, Fatal::Exception);
    }
    cpu.backend.online.store(false, Ordering::Release);
    stop()
}

fn interrupt(cpu: &Cpu, frame: &mut TrapFrame) -> *mut TrapFrame {
    let vector = frame.vector as u8;
    if vector == SPURIOUS {
        return frame;
    }
    let (level, line) = (Pil::new(vector >> 4), vector & 15);
    let current = Pil::new(cpu.pil.get());
    if level > Pil::LOCK || level <= current {
        // SAFETY: interrupts are off until the trap is over.
        let atomic = unsafe { Atomic::assume() };
        pil::arrive(cpu, atomic, level, line);
    } else {
        // For the replay on the thread's stack.
        cpu.pending.add(level, line);
    }
    if frame.is_user() {
        if is_work_pending(cpu) {
            return move_user(cpu, frame);
        }
    } else if (cpu.pending.is_any_above(current) || is_preemption_due(cpu))
        // Too near the end of the stack both have to wait: the interrupt is held back, not
        // acknowledged, as if it were masked.
        && stack::make_landing(cpu, frame.rsp)
    {
        return move_below(cpu, frame, frame.rsp);
    }
    frame
}

/// Nothing to do: an interrupt that is held back has not been acknowledged, and as long as it is in
/// service the local APIC itself holds that level and those below it. So the hardware priority is
/// raised only when needed, and comes down with the acknowledgement in [`deliver`]; both are in
/// order of level, as the controller wants it, because the replay is.
pub(crate) fn hold(_: &Cpu, _: Pil) {}

/// Runs an interrupt's handler and acknowledges the interrupt.
///
/// Up to [`Pil::LOCK`] first the acknowledgement: the handler may switch away, and as long as the
/// interrupt was in service, none of its level or below would come. Should the line be raised again
/// meanwhile, the level masks it. That is right for edge-triggered lines, and there are no others: a
/// level-triggered one would come a second time for nothing, as its device has not been served yet.
pub(crate) fn deliver(cpu: &Cpu, atomic: &Atomic, level: Pil, line: u8) {
    let local_apic = &cpu.system().backend.local_apic;
    if level <= Pil::LOCK {
        local_apic.acknowledge();
        hooks::deliver(cpu, atomic, level, line);
    } else {
        hooks::deliver(cpu, atomic, level, line);
        local_apic.acknowledge();
    }
}

/// Raises an interrupt on a processor.
pub(crate) fn send(cpu: &Cpu, level: Pil, line: u8) {
    cpu.system().backend.local_apic.send(cpu.backend.apic_id, vector(level, line));
}
