//! Taking processors off line, and putting them on line again.
//!
//! An off-line processor runs its idle thread and nothing else; it still takes pokes.
//! Going off line:
//!
//! 1. Refused for the last processor of the system or of its set.
//! 2. Users' bindings to it are undone: the soft ones, or all if forced.
//! 3. Refused if the caller is bound to it.
//! 4. Devices send their interrupts elsewhere.
//! 5. It is in motion, the bindings drain, all are paused, late binders are looked for
//!    ([`crate::in_motion`]). Refused if bindings last, or an interrupt whose handler has blocked there.
//! 6. With all paused: it leaves the set of processors of its partition, and its queue is emptied.
//!    From here on nobody chooses it.
//! 7. Callouts move.
//!
//! A refusal undoes the steps before it, except that bindings which gave way in step 2 stay undone.
//!
//! Nothing has to be done about threads that ran there last and sleep: the processor is asked about
//! again when they are made runnable, and its object stays for ever. (In Solaris, where it did not,
//! a pointer to the queue of a processor that was gone was bug 6217375.)
//!
//! Solaris: `cpu_offline`, `cpu_online`.

use crate::binding::request;
use crate::callout::migrate_callouts;
use crate::cpu::{CpuDispatch, Presence};
use crate::cpu_lock::CpuLockGuard;
use crate::in_motion::{NotQuiet, take_away};
use crate::pause::with_all_paused;
use crate::resched;
use crate::resources::OutOfMemory;
use crate::thread::{State, Thread};
use atomics::Ordering;
use core::ptr;
use machine::MayFault;
use machine::tracing::emit;
use trace::{EventId, Kind};

/// What else a processor does that has to move when it goes off line. Called with `cpu_lock` held,
/// by a thread that runs elsewhere and may not take it again.
pub trait Duties {
    /// Devices send their interrupts to other processors from now on. `false` if one cannot.
    fn move_interrupts(&self, cpu: &'static CpuDispatch) -> bool {
        let _ = cpu;
        true
    }

    /// Devices may send it interrupts again: it is on line, or did not go.
    fn return_interrupts(&self, cpu: &'static CpuDispatch) {
        let _ = cpu;
    }
}

/// No further duties.
pub struct NoDuties;

impl Duties for NoDuties {}

/// Why a processor does not go off line. All but the last two are `EBUSY` for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffLineError {
    /// It is the last of the system.
    Last,
    /// It is the last of its set.
    LastOfSet,
    /// The caller is bound to it.
    SelfBound,
    /// Threads are bound to it, and stay so.
    Bound,
    /// A device's interrupt cannot move.
    Interrupts,
    /// It has never been started.
    NotReady,
    /// There is no memory to pause the others.
    OutOfMemory,
}

impl From<NotQuiet> for OffLineError {
    fn from(why: NotQuiet) -> OffLineError {
        match why {
            NotQuiet::Bound => OffLineError::Bound,
            NotQuiet::OutOfMemory => OffLineError::OutOfMemory,
        }
    }
}

/// Takes a processor off line. `forced` undoes users' hard bindings too; the system's own
/// are respected always.
pub fn cpu_offline(
    cpu: &'static CpuDispatch,
    forced: bool,
    duties: &dyn Duties,
    lock: &CpuLockGuard,
    may_fault: &mut MayFault,
) -> Result<(), OffLineError> {
    if !cpu.is_ready() {
        return Err(OffLineError::NotReady);
    }
    if !cpu.is_online() {
        return Ok(());
    }
    refuse_last(cpu, lock)?;
    undo_requests(cpu, forced, lock);
    if Thread::running().binding.strong.is(cpu, Ordering::Relaxed) {
        return Err(OffLineError::SelfBound);
    }
    if !duties.move_interrupts(cpu) {
        duties.return_interrupts(cpu);
        return Err(OffLineError::Interrupts);
    }
    // That it is not the last of its set cannot change while `cpu_lock` is held.
    let is_needed = || false;
    let moved = take_away(cpu, lock, may_fault, is_needed, || {
        cpu.set_presence(Presence::OffLine);
        cpu.partition().leave(cpu);
    });
    if let Err(why) = moved {
        duties.return_interrupts(cpu);
        return Err(why.into());
    }
    emit(Kind::OffLine, cpu.index() as u64, EventId::NONE);
    let other = lock.dispatch().cpus().find(|other| other.is_online());
    migrate_callouts(cpu, other.expect("a processor that is on line calls this"));
    Ok(())
}

fn refuse_last(cpu: &'static CpuDispatch, lock: &CpuLockGuard) -> Result<(), OffLineError> {
    let others = |other: &CpuDispatch| other.is_online() && !ptr::eq(other, cpu);
    if !lock.dispatch().cpus().any(others) {
        return Err(OffLineError::Last);
    }
    if cpu.partition().online() == cpu.bit() {
        return Err(OffLineError::LastOfSet);
    }
    Ok(())
}

/// Undoes users' bindings to a processor, in force or not: the soft ones, or all.
fn undo_requests(cpu: &'static CpuDispatch, all: bool, lock: &CpuLockGuard) {
    for thread in lock.dispatch().all_threads.iter() {
        let binding = &thread.binding;
        if thread.state() != State::Zombie
            && binding.requested.is(cpu, Ordering::Relaxed)
            && (all || binding.soft.load(Ordering::Relaxed))
        {
            // A thread that is over by now is bound to nothing.
            let _ = request(thread, None);
        }
    }
}

/// Puts a processor on line again. It has been started once.
pub fn cpu_online(
    cpu: &'static CpuDispatch,
    duties: &dyn Duties,
    lock: &CpuLockGuard,
    may_fault: &mut MayFault,
) -> Result<(), OutOfMemory> {
    assert!(cpu.is_ready(), "a processor goes on line by being started, the first time");
    if cpu.is_online() {
        return Ok(());
    }
    let affinity = crate::binding::affinity_here();
    let done = with_all_paused(lock, may_fault, |_| {
        cpu.set_presence(Presence::OnLine);
        cpu.partition().enter(cpu);
    });
    drop(affinity);
    done?;
    emit(Kind::OnLine, cpu.index() as u64, EventId::NONE);
    duties.return_interrupts(cpu);
    // It looks for what waits elsewhere.
    resched::reconsider(cpu.partition());
    Ok(())
}
