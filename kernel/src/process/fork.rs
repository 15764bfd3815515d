//! A child: a process like the one that calls, in a copy of its address space.

use super::start::start_thread;
use super::table::NoProcess;
use super::{Beginning, NAME_MAX, Process, ProgramName, Registers, own_frame, table};
use crate::kernel::Kernel;
use crate::kernel_space::TableFrames;
use machine::MayFault;
use machine::preempt;
use machine::x86_64::user_state::{FpuState, SegmentBases};

/// Makes a child of the running process, which is in a system call; the child returns 0 from it. Returns its number.
pub fn fork(process: &'static Process, may_fault: &mut MayFault) -> Result<u64, NoProcess> {
    let kernel = Kernel::current();
    let space = process.space().fork(&TableFrames, may_fault)?;
    // SAFETY: the thread has come from user mode, and its stack is populated.
    let mut frame = unsafe { own_frame(may_fault).read() };
    frame.rax = 0;
    let child = match table::add(kernel, process.id, space, may_fault) {
        Ok(child) => child,
        Err((error, space)) => {
            space.clear(may_fault);
            return Err(error);
        }
    };
    *child.beginning.lock(may_fault) = Beginning::Fork(frame);
    let ProgramName { name, file } = *process.program.lock(may_fault);
    debug_assert!(name.len() == NAME_MAX);
    *child.program.lock(may_fault) = ProgramName { name, file };
    let files = *process.files.lock(may_fault);
    *child.files.lock(may_fault) = files;
    let heap = *process.heap().lock(may_fault);
    *child.heap().lock(may_fault) = heap;
    let mut registers = Registers { fpu: FpuState::fresh(), bases: SegmentBases::default() };
    {
        // Between the two the thread must not lose its processor, which has the registers.
        let guard = preempt::disable(may_fault);
        registers.fpu.save(guard.atomic());
        registers.bases = SegmentBases::current(guard.atomic());
    }
    *child.registers.lock(may_fault) = registers;
    // Once it has begun the child may be gone at any moment: with all processes, if this one is to die too.
    let id = child.id;
    if start_thread(kernel, child, may_fault).is_err() {
        child.space().clear(may_fault);
        table::remove(kernel, child, may_fault);
        return Err(NoProcess::OutOfMemory);
    }
    Ok(id)
}
