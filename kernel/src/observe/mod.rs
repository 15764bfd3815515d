//! Observing: a process hears of the calls, the signals and the end of others, and decides how they go on.
//!
//! | file | concept |
//! |---|---|
//! | this one | who observes whom: how that begins, is inherited, and ends |
//! | [`standing`] | the observed LWP: it stands still until its observer decides |
//! | [`hearing`] | the observer: what has happened, and what is to become of it |
//! | [`reading`] | memory of an observed process, which an LWP of its own reads |
//!
//! One mutex is held for all of it. An LWP that stands leaves with the mutex held, and a process that ends says so with
//! the mutex held ([`note_end`]): so whoever holds it may use the LWPs that stand, and the processes that have a
//! [`Watch`] and have not ended.
//!
//! Who is not observed pays one test before a call ([`crate::lwp::Lwp::call_work`]), and one at a signal.
//!
//! Locks: the table of processes, then this mutex, then a process's list of LWPs.
//!
//! Solaris: `/proc`, with `truss` as its first user.

pub mod hearing;
pub mod reading;
pub mod standing;

pub use standing::{AtSignal, OfLwp, at_signal};

use crate::kernel::Kernel;
use crate::process::{self, Process};
use abi::errno::Errno;
use abi::observe::{
    AT_END, OBSERVE_AFTER, OBSERVE_ALL, OBSERVE_BEFORE, OBSERVE_CHILDREN, OBSERVE_END, ObserveEvent,
};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use dispatch::{Condvar, Mutex};
use machine::MayFault;
use memory::OutOfMemory;

/// Who observes whom in a system.
pub struct Observations {
    all: Mutex<All>,
    /// Something has happened that an observer waits for.
    heard: Condvar,
}

/// What the mutex protects.
struct All {
    watches: Vec<Watch>,
    /// Events are heard of in the order in which they happen.
    last_sequence: u64,
    /// The last request to read.
    last_ticket: u64,
}

/// A process is observed, or was until it ended.
struct Watch {
    id: u64,
    /// The observing process's number.
    observer: u64,
    state: Watched,
}

/// What is observed.
enum Watched {
    /// A process that has not ended.
    Process(&'static Process),
    /// Its end, of which the observer has to hear.
    End { sequence: u64, event: ObserveEvent, is_told: bool },
}

/// A process's part.
pub struct OfProcess {
    /// What its observer wants; 0: nobody observes it.
    what: AtomicU32,
    /// LWPs that stand and of which the observer has not heard.
    untold: AtomicU32,
    /// It has ended, and cannot be observed any longer.
    is_over: AtomicBool,
}

impl OfProcess {
    /// Nobody observes it.
    pub fn new() -> OfProcess {
        OfProcess {
            what: AtomicU32::new(0),
            untold: AtomicU32::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// What its observer wants.
    fn what(&self) -> u32 {
        self.what.load(Ordering::Relaxed)
    }

    /// What its LWPs have to do at calls.
    pub fn call_work(&self) -> u8 {
        (self.what() & (OBSERVE_BEFORE | OBSERVE_AFTER)) as u8
    }
}

impl Observations {
    /// Nobody observes anybody.
    pub fn new() -> Observations {
        let all = All { watches: Vec::new(), last_sequence: 0, last_ticket: 0 };
        Observations { all: Mutex::new(all), heard: Condvar::new() }
    }
}

impl All {
    fn next_sequence(&mut self) -> u64 {
        self.last_sequence += 1;
        self.last_sequence
    }

    /// The observer of a process.
    fn observer_of(&self, id: u64) -> Option<u64> {
        self.watches.iter().find(|watch| watch.id == id).map(|watch| watch.observer)
    }

    /// The processes that somebody observes.
    fn observed_by(&self, observer: u64) -> impl Iterator<Item = &'static Process> {
        let own = self.watches.iter().filter(move |watch| watch.observer == observer);
        own.filter_map(|watch| match watch.state {
            Watched::Process(process) => Some(process),
            Watched::End { .. } => None,
        })
    }

    fn add(
        &mut self,
        process: &'static Process,
        observer: u64,
        what: u32,
    ) -> Result<(), OutOfMemory> {
        self.watches.try_reserve(1).map_err(|_| OutOfMemory)?;
        self.watches.extend([Watch { id: process.id, observer, state: Watched::Process(process) }]);
        // So the ends of calls that are going on are looked at.
        process.lwps.lock_anywhere().iter().for_each(|lwp| {
            lwp.observed.begin();
            if let Some(thread) = lwp.thread() {
                thread.ask(dispatch::thread::asynchronous::OWNER);
            }
        });
        set_work(process, what);
        Ok(())
    }
}

/// Says what a process's observer wants, to all its LWPs; one that is being added sees it for itself.
fn set_work(process: &Process, what: u32) {
    let lwps = process.lwps.lock_anywhere();
    process.observed.what.store(what, Ordering::Relaxed);
    let work = process.observed.call_work();
    lwps.iter().for_each(|lwp| lwp.call_work.store(work, Ordering::Relaxed));
}

/// Nobody observes a process any longer: its LWPs go on.
fn let_go(process: &Process) {
    set_work(process, 0);
    process.lwps.lock_anywhere().iter().for_each(|lwp| lwp.observed.let_go());
}

/// The running process observes another from now on, or no longer if `what` is 0.
pub fn observe(
    kernel: &'static Kernel,
    id: u64,
    what: u32,
    may_fault: &mut MayFault,
) -> Result<(), Errno> {
    let own = process::current().id;
    if what & !OBSERVE_ALL != 0 || id == own {
        return Err(Errno::EINVAL);
    }
    let found = process::with(kernel, id, may_fault, |process, may_fault| {
        let mut all = kernel.observations.all.lock(may_fault);
        if process.observed.is_over.load(Ordering::Relaxed) {
            return Err(Errno::ESRCH);
        }
        match all.observer_of(id) {
            Some(observer) if observer != own => Err(Errno::EBUSY),
            Some(_) if what == 0 => {
                all.watches.retain(|watch| watch.id != id);
                let_go(process);
                // Who waits may have nothing to wait for any longer.
                kernel.observations.heard.broadcast();
                Ok(())
            }
            Some(_) => {
                set_work(process, what);
                Ok(())
            }
            None if what == 0 => Err(Errno::ESRCH),
            None if is_observed_through(&all, own, id) => Err(Errno::EDEADLK),
            None => all.add(process, own, what).map_err(|OutOfMemory| Errno::ENOMEM),
        }
    });
    found.unwrap_or(Err(Errno::ESRCH))
}

/// Whether a process is observed by another, perhaps through others: they would stand for each other.
fn is_observed_through(all: &All, process: u64, by: u64) -> bool {
    let mut at = process;
    while let Some(observer) = all.observer_of(at) {
        if observer == by {
            return true;
        }
        at = observer;
    }
    false
}

/// A child, which has no LWP yet, is observed as its parent is, if that is wanted.
pub fn inherit(
    kernel: &'static Kernel,
    parent: &Process,
    child: &'static Process,
    may_fault: &mut MayFault,
) -> Result<(), OutOfMemory> {
    if parent.observed.what() & OBSERVE_CHILDREN == 0 {
        return Ok(());
    }
    let mut all = kernel.observations.all.lock(may_fault);
    match all.observer_of(parent.id) {
        // Somebody has found the child already.
        _ if all.observer_of(child.id).is_some() => Ok(()),
        Some(observer) => all.add(child, observer, parent.observed.what()),
        None => Ok(()),
    }
}

/// A process that has got no thread is taken out again.
pub fn forget(kernel: &'static Kernel, process: &Process, may_fault: &mut MayFault) {
    let mut all = kernel.observations.all.lock(may_fault);
    process.observed.is_over.store(true, Ordering::Relaxed);
    all.watches.retain(|watch| watch.id != process.id);
    kernel.observations.heard.broadcast();
}

/// A process comes to its end, on its last LWP: its observer may hear of it, and whom it observes goes on.
pub fn note_end(kernel: &'static Kernel, process: &'static Process, may_fault: &mut MayFault) {
    let mut all = kernel.observations.all.lock(may_fault);
    process.observed.is_over.store(true, Ordering::Relaxed);
    all.observed_by(process.id).for_each(let_go);
    all.watches.retain(|watch| watch.observer != process.id);
    let sequence = all.next_sequence();
    let is_wanted = process.observed.what() & OBSERVE_END != 0;
    let Some(place) = all.watches.iter().position(|watch| watch.id == process.id) else { return };
    if is_wanted {
        let status = process.outcome().map_or(0, process::Outcome::to_status);
        let event = ObserveEvent {
            kind: AT_END,
            signal: (status & 0x7f) as u32,
            process: process.id,
            result: status as u64,
            time: kernel.uptime_nanoseconds(),
            ..ObserveEvent::default()
        };
        all.watches[place].state = Watched::End { sequence, event, is_told: false };
    } else {
        all.watches.swap_remove(place);
    }
    set_work(process, 0);
    kernel.observations.heard.broadcast();
}
