//! A child: a process like the one that calls, in a copy of its address space, with one LWP like the one that calls.

use super::table::NoProcess;
use super::{ProgramName, own_frame, table};
use crate::kernel::Kernel;
use crate::kernel_space::TableFrames;
use crate::lwp::{self, Beginning, Lwp, begin};
use crate::name_space::working_folder;
use crate::observe;
use core::sync::atomic::Ordering;
use machine::MayFault;

/// What is asked for beyond a child; 0 each for nothing.
#[derive(Clone, Copy, Default)]
pub struct Wishes {
    /// The child's stack pointer.
    pub stack: u64,
    /// Where the child writes its number, in its own memory, before it goes on.
    pub number_at: u64,
    /// Where a 0 is to be written when its LWP ends.
    pub clear_at_end: u64,
}

/// Makes a child of the running process, which is in a system call; the child returns 0 from it. Returns its number.
pub fn fork(wishes: Wishes, may_fault: &mut MayFault) -> Result<u64, NoProcess> {
    let kernel = Kernel::current();
    let parent = lwp::current();
    let process = parent.process;
    let space = process.space().fork(&TableFrames, may_fault)?;
    // SAFETY: the thread has come from user mode, and its stack is populated.
    let mut frame = unsafe { own_frame(may_fault).read() };
    frame.rax = 0;
    if wishes.stack != 0 {
        frame.rsp = wishes.stack;
    }
    let child = match table::add(kernel, process.id, space, may_fault) {
        Ok(child) => child,
        Err((error, space)) => {
            space.clear(may_fault);
            return Err(error);
        }
    };
    if observe::inherit(kernel, process, child, may_fault).is_err() {
        child.space().clear(may_fault);
        table::remove(kernel, child, may_fault);
        return Err(NoProcess::OutOfMemory);
    }
    let ProgramName { name, file } = *process.program.lock(may_fault);
    *child.program.lock(may_fault) = ProgramName { name, file };
    process.descriptors.copy_to(&child.descriptors);
    let heap = *process.heap().lock(may_fault);
    *child.heap().lock(may_fault) = heap;
    child.signals.inherit(&process.signals);
    child.join_group(process.group(), process.session());
    working_folder::inherit(child, process, may_fault);
    let registers = Lwp::own_registers(may_fault);
    let mask = parent.signals.mask();
    // Once it has begun the child may be gone at any moment: with all processes, if this one is to die too.
    let id = child.id;
    let started = begin::add(kernel, child, id, registers, mask).and_then(|lwp| {
        lwp.set_name(&parent.name());
        lwp.signals.inherit(&parent.signals);
        lwp.number_at.store(wishes.number_at, Ordering::Relaxed);
        lwp.clear_at_end.store(wishes.clear_at_end, Ordering::Relaxed);
        begin::start_first(lwp, &mut Some(Beginning::Frame(frame)), may_fault)
    });
    if started.is_err() {
        child.descriptors.close_all(may_fault);
        child.space().clear(may_fault);
        working_folder::leave(child, may_fault);
        table::remove(kernel, child, may_fault);
        return Err(NoProcess::OutOfMemory);
    }
    table::note_begin(kernel, child, may_fault);
    Ok(id)
}
