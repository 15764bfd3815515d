//! Which processes there are.
//!
//! A process is in the table from before its thread runs until somebody has waited for its end: its parent
//! ([`wait`]), or the kernel, for those that have none or have lost it. Then its thread is waited for, and the object goes.
//!
//! Until its thread's handle is noted ([`note_begin`]) a process belongs to who makes it, even if the thread has already
//! come to its end: nobody else takes it out before. If it gets no thread, who makes it takes it out ([`remove`]).
//!
//! One mutex; who waits for an end waits on one condition variable, and looks for itself.

use super::outcome::RUNNING;
use super::{Beginning, Largest, NAME_MAX, Outcome, Process, ProgramName, Registers};
use crate::kernel::Kernel;
use crate::traps::signal::SIGKILL;
use abi::errno::Errno;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use dispatch::kernel_thread::JoinHandle;
use dispatch::{Condvar, Mutex, MutexGuard, Woken};
use machine::x86_64::user_state::{FpuState, SegmentBases};
use machine::{MayFault, SpinLock};
use memory::{OutOfMemory, SlabBox};
use spin::Once;
use vm::Space;

/// In place of a parent's number: it has ended first. (0: there never was one, and who began the process waits for it.)
const ORPHANED: u64 = u64::MAX;

/// Most processes at a time.
const PROCESSES_MAX: usize = 4096;

/// Why there cannot be another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoProcess {
    /// There is not enough memory; later there may be.
    OutOfMemory,
    /// There are as many as there may be.
    TooMany,
}

impl From<OutOfMemory> for NoProcess {
    fn from(_: OutOfMemory) -> NoProcess {
        NoProcess::OutOfMemory
    }
}

/// The processes of a system. See the module.
pub struct Table {
    processes: Mutex<Vec<&'static Process>>,
    ended: Condvar,
    next_id: AtomicU64,
}

impl Table {
    /// None.
    pub fn new() -> Table {
        Table {
            processes: Mutex::new(Vec::new()),
            ended: Condvar::new(),
            next_id: AtomicU64::new(1),
        }
    }
}

/// Adds a process; how it begins is the caller's to say, before it gets a thread. `parent` is its parent's number, or 0. On
/// an error the space is given back.
pub(super) fn add(
    kernel: &'static Kernel,
    parent: u64,
    space: Space,
    may_fault: &mut MayFault,
) -> Result<&'static Process, (NoProcess, Space)> {
    let table = &kernel.processes_table;
    let mut processes = table.processes.lock(may_fault);
    if processes.len() == PROCESSES_MAX {
        return Err((NoProcess::TooMany, space));
    }
    if processes.try_reserve(1).is_err() {
        return Err((NoProcess::OutOfMemory, space));
    }
    let process = kernel.process_objects.allocate(Process {
        id: table.next_id.fetch_add(1, Ordering::Relaxed),
        space,
        program: SpinLock::new(ProgramName { name: [0; NAME_MAX], file: None }),
        thread: Once::new(),
        handle: SpinLock::new(None),
        killed: AtomicU32::new(0),
        outcome: AtomicU32::new(RUNNING),
        refusal: SpinLock::new(None),
        beginning: SpinLock::new(Beginning::Begun),
        registers: SpinLock::new(Registers {
            fpu: FpuState::fresh(),
            bases: SegmentBases::default(),
        }),
        heap: SpinLock::new((0, 0)),
        files: SpinLock::new([None; 16]),
        last_fault: SpinLock::new(None),
        is_zombie: AtomicBool::new(false),
        parent: AtomicU64::new(parent),
    });
    let process = match process {
        Ok(process) => process.leak(),
        Err((error, process)) => return Err((error.into(), process.space)),
    };
    // There is room.
    processes.extend([process]);
    Ok(process)
}

/// Notes by which handle a process's thread can be waited for. From here on it may be gone at any moment, unless the
/// caller is who waits for its end.
pub(super) fn note_begin(
    kernel: &'static Kernel,
    process: &'static Process,
    handle: JoinHandle,
    may_fault: &mut MayFault,
) {
    let _processes = kernel.processes_table.processes.lock(may_fault);
    *process.handle.lock(may_fault) = Some(handle);
    // Its end has been told already, to no avail.
    if process.is_zombie.load(Ordering::Acquire) {
        kernel.processes_table.ended.broadcast();
    }
}

/// Takes a process out that has got no thread. For who has made it.
pub(super) fn remove(kernel: &'static Kernel, process: &'static Process, may_fault: &mut MayFault) {
    let processes = kernel.processes_table.processes.lock(may_fault);
    // Somebody may wait for it to be over.
    kernel.processes_table.ended.broadcast();
    if let Some(place) = processes.iter().position(|other| core::ptr::eq(*other, process)) {
        take_out(processes, place, may_fault);
    }
}

/// Acts on the process with this number, if there is one that has not ended; nobody begins or ends meanwhile.
pub(super) fn with<R>(
    kernel: &'static Kernel,
    id: u64,
    may_fault: &mut MayFault,
    act: impl FnOnce(&Process, &mut MayFault) -> R,
) -> Option<R> {
    let processes = kernel.processes_table.processes.lock(may_fault);
    let process = processes.iter().find(|process| process.id == id)?;
    (!process.is_zombie.load(Ordering::Acquire)).then(|| act(process, may_fault))
}

/// The process that has the most memory; none while one of those that have been asked to die is still there.
pub(super) fn largest(kernel: &'static Kernel, may_fault: &mut MayFault) -> Option<Largest> {
    let processes = kernel.processes_table.processes.lock(may_fault);
    let lives = |process: &&&Process| !process.is_zombie.load(Ordering::Acquire);
    if processes.iter().filter(lives).any(|process| process.is_killed()) {
        return None;
    }
    let mut largest: Option<Largest> = None;
    for process in processes.iter().filter(lives) {
        let (resident, swapped) = process.space.count_pages(may_fault);
        if largest.as_ref().is_none_or(|largest| resident + swapped > largest.pages()) {
            let name = process.program.lock(may_fault).name;
            largest = Some(Largest { id: process.id, resident, swapped, name });
        }
    }
    largest
}

/// How many processes have been asked to die and still have memory.
pub(super) fn dying(kernel: &'static Kernel, may_fault: &mut MayFault) -> usize {
    let processes = kernel.processes_table.processes.lock(may_fault);
    let has_memory = |process: &&&Process| !process.is_zombie.load(Ordering::Acquire);
    processes.iter().filter(has_memory).filter(|process| process.is_killed()).count()
}

/// A process has ended: its parent may hear of it, and its children have none any more.
pub(super) fn note_end(
    kernel: &'static Kernel,
    process: &'static Process,
    may_fault: &mut MayFault,
) {
    let processes = kernel.processes_table.processes.lock(may_fault);
    for child in processes.iter().filter(|child| child.parent.load(Ordering::Relaxed) == process.id)
    {
        child.parent.store(ORPHANED, Ordering::Relaxed);
    }
    process.is_zombie.store(true, Ordering::Release);
    kernel.processes_table.ended.broadcast();
}

/// Whether a process has ended, and can be taken out by somebody else than who makes it.
fn is_over(process: &Process) -> bool {
    process.is_zombie.load(Ordering::Acquire) && process.handle.lock_anywhere().is_some()
}

/// Takes a process out that has ended, or has got no thread.
fn take_out(
    mut processes: MutexGuard<'_, Vec<&'static Process>>,
    place: usize,
    may_fault: &mut MayFault,
) {
    let process = processes.swap_remove(place);
    drop(processes);
    let handle = process.handle.lock(may_fault).take();
    if let Some(handle) = handle {
        handle.join(may_fault);
    }
    let object = core::ptr::NonNull::from(process);
    // SAFETY: leaked by `add`; its thread is over, and it is in the table no more.
    drop(unsafe { SlabBox::from_raw(object) });
}

/// Waits for the end of a child: of this one, or of any if `child` is `None`. Returns its number and how it ended; the
/// child is gone then. `Ok(None)`: none has ended, and the caller would not wait.
pub fn wait(
    kernel: &'static Kernel,
    parent: &Process,
    child: Option<u64>,
    may_wait: bool,
    may_fault: &mut MayFault,
) -> Result<Option<(u64, Outcome)>, Errno> {
    let table = &kernel.processes_table;
    let mut processes = table.processes.lock(may_fault);
    loop {
        let is_meant = |process: &&'static Process| {
            process.parent.load(Ordering::Relaxed) == parent.id
                && child.is_none_or(|child| process.id == child)
        };
        if !processes.iter().any(&is_meant) {
            return Err(Errno::ECHILD);
        }
        let place = processes.iter().position(|process| is_meant(process) && is_over(process));
        if let Some(place) = place {
            let id = processes[place].id;
            let outcome = Outcome::from_bits(processes[place].outcome.load(Ordering::Relaxed));
            take_out(processes, place, may_fault);
            return Ok(Some((id, outcome)));
        }
        if !may_wait {
            return Ok(None);
        }
        let (guard, woken) = table.ended.wait_interruptible(processes, may_fault);
        processes = guard;
        if woken == Woken::BySignal {
            return Err(Errno::EINTR);
        }
    }
}

/// Waits until a process of the kernel's own has ended. Meanwhile those are taken out that have ended and have no
/// parent.
pub(super) fn wait_for_end(
    kernel: &'static Kernel,
    process: &'static Process,
    may_fault: &mut MayFault,
) {
    let table = &kernel.processes_table;
    let mut processes = table.processes.lock(may_fault);
    while !process.is_zombie.load(Ordering::Acquire) {
        let is_orphan = |process: &&Process| process.parent.load(Ordering::Relaxed) == ORPHANED;
        match processes.iter().position(|process| is_orphan(process) && is_over(process)) {
            Some(place) => {
                take_out(processes, place, may_fault);
                processes = table.processes.lock(may_fault);
            }
            None => processes = table.ended.wait(processes, may_fault),
        }
    }
}

/// Ends all processes, and waits until they are gone.
pub(super) fn end_all(kernel: &'static Kernel, may_fault: &mut MayFault) {
    let table = &kernel.processes_table;
    let mut processes = table.processes.lock(may_fault);
    while !processes.is_empty() {
        match processes.iter().position(|process| is_over(process)) {
            Some(place) => {
                take_out(processes, place, may_fault);
                processes = table.processes.lock(may_fault);
            }
            None => {
                for process in processes.iter() {
                    process.ask_to_die(SIGKILL);
                }
                processes = table.ended.wait(processes, may_fault);
            }
        }
    }
}
