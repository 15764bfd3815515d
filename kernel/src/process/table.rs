//! Which processes there are.
//!
//! A process is in the table from before its thread runs until somebody has waited for its end: its parent
//! ([`wait`]), or the kernel, for those that have none or have lost it. Then its threads are waited for, and the object
//! goes.
//!
//! Until [`note_begin`] a process belongs to who makes it, even if it has already come to its end: nobody else takes it
//! out before. If it gets no thread, who makes it takes it out ([`remove`]).
//!
//! One mutex; who waits for an end waits on one condition variable, and looks for itself.

use super::outcome::RUNNING;
use super::{CONTINUED, Control, Ended, Largest, NAME_MAX, Outcome, Process, ProgramName};
use crate::files::Descriptors;
use crate::kernel::Kernel;
use crate::lwp::{Lwps, ending};
use crate::observe;
use crate::signal::alarm::Alarm;
use crate::signal::{self, Information, OfProcess, SIGCHLD, SIGKILL, code};
use abi::errno::Errno;
use abi::signals::SIG_IGN;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use dispatch::may_block::MayBlock;
use dispatch::{Condvar, Mutex, MutexGuard, Woken};
use machine::{MayFault, SpinLock, time};
use memory::{OutOfMemory, SlabBox};
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

    /// A number that no process and no LWP has had.
    pub fn take_number(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
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
    let Ok(signals) = kernel.signal_objects.allocate_with(OfProcess::new) else {
        return Err((NoProcess::OutOfMemory, space));
    };
    let Ok(descriptors) = Descriptors::new() else {
        return Err((NoProcess::OutOfMemory, space));
    };
    let process = kernel.process_objects.allocate(Process {
        id: table.take_number(),
        space,
        program: SpinLock::new(ProgramName { name: [0; NAME_MAX], file: None }),
        lwps: SpinLock::new(Lwps::new()),
        control: Mutex::new(Control { live: 1, to_reap: 0, only: None, ended: Ended::default() }),
        changed: Condvar::new(),
        standing: Condvar::new(),
        only: AtomicU64::new(0),
        stopped_by: AtomicU64::new(0),
        news: AtomicU8::new(0),
        untold: AtomicU8::new(0),
        outcome: AtomicU32::new(RUNNING),
        refusal: SpinLock::new(None),
        heap: SpinLock::new((0, 0)),
        descriptors,
        working_folder: SpinLock::new(None),
        signals,
        observed: observe::OfProcess::new(),
        began: time::now(),
        group: AtomicU64::new(0),
        session: AtomicU64::new(0),
        has_executed: AtomicBool::new(false),
        has_begun: AtomicBool::new(false),
        is_zombie: AtomicBool::new(false),
        parent: AtomicU64::new(parent),
        activations: SpinLock::new(None),
        alarm: Alarm::new(),
        children: SpinLock::new(Ended::default()),
    });
    let process = match process {
        Ok(process) => process.leak(),
        Err((error, process)) => return Err((error.into(), process.space)),
    };
    // There is room.
    processes.extend([process]);
    Ok(process)
}

/// A process has begun, and who has made it has noted everything. From here on it may be gone at any moment, unless the
/// caller is who waits for its end.
pub(super) fn note_begin(
    kernel: &'static Kernel,
    process: &'static Process,
    may_fault: &mut MayFault,
) {
    let _processes = kernel.processes_table.processes.lock(may_fault);
    process.has_begun.store(true, Ordering::Release);
    // Its end has been told already, to no avail.
    if process.is_zombie() {
        kernel.processes_table.ended.broadcast();
    }
}

/// Takes a process out that has got no thread. For who has made it.
pub(super) fn remove(kernel: &'static Kernel, process: &'static Process, may_fault: &mut MayFault) {
    observe::forget(kernel, process, may_fault);
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
    act: impl FnOnce(&'static Process, &mut MayFault) -> R,
) -> Option<R> {
    let processes = kernel.processes_table.processes.lock(may_fault);
    let process = processes.iter().find(|process| process.id == id)?;
    (!process.is_zombie()).then(|| act(process, may_fault))
}

/// The process that has the most memory; none while one of those that have been asked to die is still there.
pub(super) fn largest(kernel: &'static Kernel, may_fault: &mut MayFault) -> Option<Largest> {
    let processes = kernel.processes_table.processes.lock(may_fault);
    let lives = |process: &&&Process| !process.is_zombie();
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

/// Acts on the first process whose number is not lower and that has not ended.
pub fn with_from<R>(
    kernel: &'static Kernel,
    id: u64,
    may_fault: &mut MayFault,
    act: impl FnOnce(&'static Process, &mut MayFault) -> R,
) -> Option<R> {
    let processes = kernel.processes_table.processes.lock(may_fault);
    let found = processes.iter().filter(|process| process.id >= id && !process.is_zombie());
    let process = found.min_by_key(|process| process.id)?;
    Some(act(process, may_fault))
}

/// How many processes have been asked to die and still have memory.
pub(super) fn dying(kernel: &'static Kernel, may_fault: &mut MayFault) -> usize {
    let processes = kernel.processes_table.processes.lock(may_fault);
    let has_memory = |process: &&&Process| !process.is_zombie();
    processes.iter().filter(has_memory).filter(|process| process.is_killed()).count()
}

/// A process has ended: its parent may hear of it, and its children have none any more.
pub(super) fn note_end(
    kernel: &'static Kernel,
    process: &'static Process,
    may_fault: &mut MayFault,
) {
    let processes = kernel.processes_table.processes.lock(may_fault);
    for child in processes.iter().filter(|child| child.parent() == process.id) {
        child.parent.store(ORPHANED, Ordering::Relaxed);
    }
    let parent = processes.iter().find(|parent| parent.id == process.parent());
    if parent.is_some_and(|parent| parent.signals.get(SIGCHLD).handler == SIG_IGN) {
        // It does not want to know.
        process.parent.store(ORPHANED, Ordering::Relaxed);
    }
    process.is_zombie.store(true, Ordering::Release);
    tell_parent(&processes, process, 0);
    kernel.processes_table.ended.broadcast();
}

/// Tells a process's parent that it has ended, or else `news`: it has been stopped or goes on.
fn tell_parent(processes: &[&'static Process], process: &Process, news: u8) {
    let Some(parent) = processes.iter().find(|parent| parent.id == process.parent()) else {
        return;
    };
    let outcome =
        Outcome::find(process.outcome.load(Ordering::Acquire)).filter(|_| process.is_zombie());
    let (code, status) = match outcome {
        Some(Outcome::Exited(status)) => (code::CLD_EXITED, status),
        Some(Outcome::Killed(signal)) => (code::CLD_KILLED, signal),
        None if news == CONTINUED => (code::CLD_CONTINUED, signal::SIGCONT),
        None if news != 0 => (code::CLD_STOPPED, news),
        None => return,
    };
    if outcome.is_none() && parent.signals.wants_no_stops() {
        return;
    }
    let information = Information {
        signal: SIGCHLD,
        code,
        process: process.id,
        value: u64::from(status),
        ..Information::default()
    };
    signal::send::to_process(parent, &information);
}

/// A process has been stopped, or goes on: its parent may hear of it.
pub fn note_news(kernel: &'static Kernel, process: &Process, news: u8, may_fault: &mut MayFault) {
    let processes = kernel.processes_table.processes.lock(may_fault);
    tell_parent(&processes, process, news);
    kernel.processes_table.ended.broadcast();
}

/// Whether a process has ended, and can be taken out by somebody else than who makes it.
fn is_over(process: &Process) -> bool {
    process.is_zombie() && process.has_begun.load(Ordering::Acquire)
}

/// Takes a process out that has ended, or has got no thread.
fn take_out(
    mut processes: MutexGuard<'_, Vec<&'static Process>>,
    place: usize,
    may_fault: &mut MayFault,
) {
    let process = processes.swap_remove(place);
    drop(processes);
    ending::bury_others(process, may_fault);
    let object = core::ptr::NonNull::from(process);
    // SAFETY: leaked by `add`; its threads are over, and it is in the table no more.
    drop(unsafe { SlabBox::from_raw(object) });
}

/// Which children are meant.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// All.
    Any,
    /// The one with this number.
    Number(u64),
    /// Those of this group of processes.
    Group(u64),
}

/// What is heard of a child.
pub enum Heard {
    /// It has ended, and is gone now; what it and its own children have used.
    Ended(Outcome, Ended),
    /// A signal has stopped it.
    Stopped(u8),
    /// It goes on.
    Continued,
}

/// What to wait for besides an end, and whether to wait at all.
#[derive(Clone, Copy)]
pub struct Manner {
    /// Wait, if there is nothing to be heard yet.
    pub waits: bool,
    /// Hear of stopped children.
    pub stopped: bool,
    /// Hear of children that go on.
    pub continued: bool,
}

/// Waits until there is something to be heard of a child. Returns its number. `Ok(None)`: there is nothing, and the
/// caller would not wait.
pub fn wait(
    kernel: &'static Kernel,
    parent: &Process,
    which: Which,
    manner: Manner,
    may_fault: &mut MayFault,
) -> Result<Option<(u64, Heard)>, Errno> {
    let table = &kernel.processes_table;
    let mut processes = table.processes.lock(may_fault);
    loop {
        let is_meant = |process: &&'static Process| {
            process.parent() == parent.id
                && match which {
                    Which::Any => true,
                    Which::Number(number) => process.id == number,
                    Which::Group(group) => process.group() == group,
                }
        };
        if !processes.iter().any(&is_meant) {
            return Err(Errno::ECHILD);
        }
        let place = processes.iter().position(|process| is_meant(process) && is_over(process));
        if let Some(place) = place {
            let child = processes[place];
            let outcome = Outcome::from_bits(child.outcome.load(Ordering::Relaxed));
            let mut used = child.control.lock(may_fault).ended;
            used.add_all(&child.children.lock(may_fault));
            let id = child.id;
            parent.children.lock(may_fault).add_all(&used);
            take_out(processes, place, may_fault);
            return Ok(Some((id, Heard::Ended(outcome, used))));
        }
        for child in processes.iter().filter(|process| is_meant(process)) {
            let news = child.news.load(Ordering::Acquire);
            let wanted = if news == CONTINUED { manner.continued } else { manner.stopped };
            if news != 0 && wanted && !child.is_ending() {
                child.news.store(0, Ordering::Release);
                let heard = if news == CONTINUED { Heard::Continued } else { Heard::Stopped(news) };
                return Ok(Some((child.id, heard)));
            }
        }
        if !manner.waits {
            return Ok(None);
        }
        let (guard, woken) = table.ended.wait_interruptible(processes, may_fault);
        processes = guard;
        if woken == Woken::BySignal {
            return Err(Errno::EINTR);
        }
    }
}

/// Sends a signal to a group of processes. Says whether there is one. Also from the threads of interrupts.
pub fn signal_group(
    kernel: &'static Kernel,
    group: u64,
    information: &Information,
    may_block: &mut impl MayBlock,
) -> bool {
    let processes = kernel.processes_table.processes.lock(may_block);
    let members =
        processes.iter().filter(|process| !process.is_zombie() && process.group() == group);
    members.fold(false, |_, process| {
        signal::send::to_process(process, information);
        true
    })
}

/// Whether there is a group of processes with this number, in this session if one is given.
pub fn is_group(
    kernel: &'static Kernel,
    group: u64,
    session: Option<u64>,
    may_fault: &mut MayFault,
) -> bool {
    let processes = kernel.processes_table.processes.lock(may_fault);
    processes.iter().any(|process| {
        !process.is_zombie()
            && process.group() == group
            && session.is_none_or(|session| process.session() == session)
    })
}

/// Acts on each process that has not ended; nobody begins or ends meanwhile.
pub fn each(
    kernel: &'static Kernel,
    may_fault: &mut MayFault,
    mut act: impl FnMut(&'static Process),
) {
    let processes = kernel.processes_table.processes.lock(may_fault);
    processes.iter().filter(|process| !process.is_zombie()).for_each(|process| act(process));
}

impl Process {
    /// It belongs to a group of processes and a session.
    pub(super) fn join_group(&self, group: u64, session: u64) {
        self.group.store(group, Ordering::Relaxed);
        self.session.store(session, Ordering::Relaxed);
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
    while !process.is_zombie() {
        let is_orphan = |process: &&Process| process.parent() == ORPHANED;
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
                    process.end(Outcome::Killed(SIGKILL));
                }
                processes = table.ended.wait(processes, may_fault);
            }
        }
    }
}

/// The process begins a session, and a group, of its own; returns the session.
pub fn begin_session(
    kernel: &'static Kernel,
    process: &Process,
    may_fault: &mut MayFault,
) -> Result<u64, Errno> {
    let processes = kernel.processes_table.processes.lock(may_fault);
    if processes.iter().any(|other| other.group() == process.id) {
        return Err(Errno::EPERM);
    }
    process.join_group(process.id, process.id);
    Ok(process.id)
}

/// Puts a process, the caller's own or a child of its that is no other program yet, into a group of its session.
pub fn set_group(
    kernel: &'static Kernel,
    caller: &Process,
    number: u64,
    group: u64,
    may_fault: &mut MayFault,
) -> Result<(), Errno> {
    let processes = kernel.processes_table.processes.lock(may_fault);
    let process = processes.iter().find(|process| process.id == number).ok_or(Errno::ESRCH)?;
    if number != caller.id {
        if process.parent() != caller.id {
            return Err(Errno::ESRCH);
        }
        if process.has_executed.load(Ordering::Relaxed) {
            return Err(Errno::EACCES);
        }
    }
    let is_other_session = process.session() != caller.session();
    let is_leader = process.session() == number;
    let exists =
        processes.iter().any(|other| other.group() == group && other.session() == caller.session());
    if is_other_session || is_leader || group != number && !exists {
        return Err(Errno::EPERM);
    }
    process.join_group(group, process.session());
    Ok(())
}

impl Process {
    /// What all its LWPs have used, those that have ended included.
    pub fn used(&self, may_fault: &mut MayFault) -> Ended {
        let control = self.control.lock(may_fault);
        let mut used = control.ended;
        // Whoever ends holds the mutex while it adds its own.
        for lwp in self.lwps.lock_anywhere().iter().filter(|lwp| !lwp.has_ended()) {
            used.add(&lwp.times().0, &lwp.counts, lwp.thread());
        }
        used
    }
}
