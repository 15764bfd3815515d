//! How LWPs begin.
//!
//! [`add`] puts an LWP into its process's list, [`start`] gives it a thread, and that begins in [`run`]: with a program
//! (the first LWP of a process that the kernel starts), or with registers that somebody has prepared (a child's first
//! LWP, and every further one).

use super::{Beginning, LWPS_MAX, Lwp, Registers};
use crate::kernel::Kernel;
use crate::process::{CannotRun, Control, Outcome, Process, execute, own_frame};
use crate::system_call;
use crate::upcalls::{Activations, border};
use crate::virtual_memory::patience::patiently;
use abi::errno::Errno;
use activations::Activation;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::resources::StackKind;
use dispatch::{Class, Priority, Thread, processor_set};
use machine::MayFault;
use machine::x86_64::frame::TrapFrame;
use machine::x86_64::user_copy;
use memory::{OutOfMemory, SlabBox};

/// The priority that LWPs begin with.
const PRIORITY: Priority = Priority::new(30);

/// Adds an LWP to a process. It has no thread yet.
pub fn add(
    kernel: &'static Kernel,
    process: &'static Process,
    number: u64,
    registers: Registers,
    mask: u64,
) -> Result<&'static Lwp, OutOfMemory> {
    let lwp = kernel
        .lwp_objects
        .allocate_with(|| Lwp::new(number, process, registers, mask))
        .map_err(|_| OutOfMemory)?
        .leak();
    let mut lwps = process.lwps.lock_anywhere();
    if lwps.reserve().is_err() {
        drop(lwps);
        // SAFETY: leaked just now; nobody else knows it.
        unsafe { free(lwp) };
        return Err(OutOfMemory);
    }
    lwps.add(lwp);
    // With the lock held: so it is seen here, or the LWP by who begins to observe the process.
    lwp.call_work.store(process.observed.call_work(), Ordering::Relaxed);
    Ok(lwp)
}

/// Gives an LWP's object back.
///
/// # Safety
///
/// It is in no list, its thread is over or never was, and nobody uses it.
pub unsafe fn free(lwp: &'static Lwp) {
    // SAFETY: `add` leaked it; the caller's promise.
    drop(unsafe { SlabBox::from_raw(NonNull::from(lwp)) });
}

/// The same for the first LWP of a process.
pub fn start_first(
    lwp: &'static Lwp,
    beginning: &mut Option<Beginning>,
    may_fault: &mut MayFault,
) -> Result<(), OutOfMemory> {
    // It may make another LWP and end; that one waits for it, and is to find the handle.
    let _control = lwp.process.control.lock(may_fault);
    start(lwp, beginning)
}

/// Gives an LWP a thread, which begins at once, in the set of processors of who makes it. On an error `beginning` is
/// still there. The caller holds the process's `control`.
fn start(lwp: &'static Lwp, beginning: &mut Option<Beginning>) -> Result<(), OutOfMemory> {
    *lwp.beginning.lock_anywhere() = beginning.take().unwrap_or(Beginning::Begun);
    let attributes = Attributes {
        owner: Some(lwp),
        stack: StackKind::Eager,
        partition: Some(processor_set::of(Thread::running())),
        ..Attributes::system("LWP").scheduled(Class::TimeSharing, PRIORITY)
    };
    let argument = core::ptr::from_ref(lwp).expose_provenance();
    match kernel_thread::create(&attributes, run, argument) {
        Ok(handle) => {
            *lwp.handle.lock_anywhere() = Some(handle);
            Ok(())
        }
        Err(_) => {
            let unused = core::mem::replace(&mut *lwp.beginning.lock_anywhere(), Beginning::Begun);
            *beginning = Some(unused);
            Err(OutOfMemory)
        }
    }
}

/// How an LWP is to be made.
pub struct Request {
    /// Its registers.
    pub frame: TrapFrame,
    /// The others.
    pub registers: Registers,
    /// It begins suspended.
    pub suspended: bool,
    /// Nobody will wait for it.
    pub detached: bool,
}

/// A number for one more LWP of a process, if there may be one.
fn take_place(kernel: &Kernel, process: &Process, control: &Control) -> Result<u64, Errno> {
    // A process that is about to have one LWP, or none, gets no new ones.
    if process.is_ending() || control.only.is_some() {
        return Err(Errno::EINTR);
    }
    if process.lwps.lock_anywhere().len() >= LWPS_MAX {
        return Err(Errno::EAGAIN);
    }
    Ok(kernel.processes_table.take_number())
}

/// Makes another LWP of the running process. Returns its number.
pub fn create(request: Request, may_fault: &mut MayFault) -> Result<u64, Errno> {
    let kernel = Kernel::current();
    let creator = super::current();
    let process = creator.process;
    super::ending::reap_detached(process, may_fault);
    let mut control = process.control.lock(may_fault);
    let number = take_place(kernel, process, &control)?;
    let mask = creator.signals.mask();
    let lwp = add(kernel, process, number, request.registers, mask).map_err(|_| Errno::ENOMEM)?;
    lwp.is_suspended.store(request.suspended, Ordering::Relaxed);
    lwp.is_detached.store(request.detached, Ordering::Relaxed);
    control.live += 1;
    // Who waits for LWPs holds the same mutex, so it finds the handle.
    if start(lwp, &mut Some(Beginning::Frame(request.frame))).is_err() {
        control.live -= 1;
        process.lwps.lock_anywhere().take_number(number);
        // SAFETY: taken out; it has no thread, and who looks for LWPs holds the lock of the list.
        unsafe { free(lwp) };
        return Err(Errno::ENOMEM);
    }
    Ok(number)
}

/// Makes an LWP of the running process that is an activation, and sleeps until it is started.
pub fn create_activation(of: &Activations, may_fault: &mut MayFault) -> Result<(), Errno> {
    let kernel = Kernel::current();
    let process = super::current().process;
    let mut control = process.control.lock(may_fault);
    let number = take_place(kernel, process, &control)?;
    // Its threads have the library's mask, which knows none.
    let lwp = add(kernel, process, number, Registers::fresh(), 0).map_err(|_| Errno::ENOMEM)?;
    lwp.is_detached.store(true, Ordering::Relaxed);
    control.live += 1;
    let made = make_activation(of, lwp);
    let Ok(activation) = made.map_err(|_| ()) else {
        control.live -= 1;
        process.lwps.lock_anywhere().take_number(number);
        // SAFETY: taken out; it has no thread.
        unsafe { free(lwp) };
        return Err(Errno::ENOMEM);
    };
    of.lock().protocol.cache_activation(activation);
    Ok(())
}

fn make_activation(of: &Activations, lwp: &'static Lwp) -> Result<Activation, OutOfMemory> {
    let activation = {
        let mut state = of.lock();
        let activation = state.protocol.make_activation().map_err(|_| OutOfMemory)?;
        if state.set_lwp(activation, lwp).is_err() {
            state.protocol.unmake_activation(activation);
            return Err(OutOfMemory);
        }
        activation
    };
    lwp.activation.set(of, activation);
    start(lwp, &mut Some(Beginning::Activation)).inspect_err(|_| {
        of.lock().protocol.unmake_activation(activation);
    })?;
    Ok(activation)
}

/// Where an LWP's thread begins.
fn run(argument: usize, may_fault: &mut MayFault) -> usize {
    // SAFETY: `start` passed the address of an LWP, which stays until this thread is over.
    let lwp = unsafe { &*core::ptr::with_exposed_provenance::<Lwp>(argument) };
    lwp.thread.call_once(Thread::running);
    // First the thread, then the look; who notifies does it the other way round. So one of the two sees the other.
    fence(Ordering::SeqCst);
    // No frame of an earlier thread's is to be taken for this one's.
    // SAFETY: the place of the frame, at the top of this thread's own stack, kept free for it.
    unsafe { own_frame(may_fault).write(TrapFrame::default()) };
    // What was said before there was a thread to tell.
    lwp.notify();
    let beginning = core::mem::replace(&mut *lwp.beginning.lock(may_fault), Beginning::Begun);
    let process = lwp.process;
    let loaded = match beginning {
        Beginning::Frame(frame) => {
            let number_at = lwp.number_at.load(Ordering::Relaxed);
            if number_at != 0 {
                // If it cannot be written there, the program has not asked for much.
                let number = (lwp.number() as u32).to_le_bytes();
                let _ = user_copy::copy_out(number_at, &number, may_fault);
            }
            system_call::enter_user_with(frame, may_fault)
        }
        Beginning::Activation => {
            let mut frame = TrapFrame::default();
            border::park(lwp, &mut frame, may_fault);
            system_call::enter_user_with(frame, may_fault)
        }
        Beginning::Program(words, start) => {
            // Nobody has asked for anything that a page of the program could not be waited for: unless it is the end.
            if !process.is_ending() {
                dispatch::sleep_queue::take_interrupt();
            }
            patiently(may_fault, |may_fault| {
                execute::load_command(process, &words, start, may_fault)
            })
        }
        Beginning::Begun => unreachable!("an LWP begins twice"),
    };
    match loaded {
        Ok(ready) => system_call::enter_user(ready.start, ready.stack_pointer, may_fault),
        Err(error) => {
            if !process.is_ending() {
                process.refuse(error);
            }
            process.end(Outcome::Exited(CannotRun::STATUS));
            super::ending::leave(0, may_fault)
        }
    }
}
