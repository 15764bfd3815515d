//! Saying what happens: the way to the current processor's ring of events (crate `trace`).
//!
//! [`emit`] is for every layer from here up. Where an event's group is off it costs a load and a test.
//! It may be called anywhere, also where interrupts are off, and never waits.

use crate::{Cpu, System, backend, time};
use ::trace::{EventId, Groups, Kind, Ring};
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// A processor's part. Core's atomics in every flavour: what is traced has no say in what happens.
pub(crate) struct Tracing {
    /// The groups that are on; none while there is no ring.
    pub(crate) groups: AtomicU32,
    ring: AtomicPtr<Ring<'static>>,
    /// The poke that was sent here last and not yet received.
    poke: AtomicU64,
}

impl Tracing {
    pub(crate) fn new() -> Tracing {
        Tracing {
            groups: AtomicU32::new(0),
            ring: AtomicPtr::new(core::ptr::null_mut()),
            poke: AtomicU64::new(0),
        }
    }

    /// Leaves the name of a poke for its receiver.
    pub(crate) fn announce_poke(&self, poke: EventId) {
        if !poke.is_none() {
            self.poke.store(poke.to_bits(), Ordering::Relaxed);
        }
    }

    /// The poke that is being received.
    pub(crate) fn announced_poke(&self) -> EventId {
        EventId::from_bits(self.poke.swap(0, Ordering::Relaxed))
    }
}

/// Whether a group is on, on the current processor.
#[inline]
pub fn is_on(group: Groups) -> bool {
    backend::trace_groups() & group.to_bits() != 0
}

/// Notes an event of the current processor's, if its group is on. Returns its name, for the events
/// that it causes.
#[inline]
pub fn emit(kind: Kind, argument: u64, cause: EventId) -> EventId {
    if backend::trace_groups() & kind.group().to_bits() == 0 {
        return EventId::NONE;
    }
    write(kind, argument, cause)
}

/// The same, for an argument and a cause that are asked for only if the group is on.
#[inline]
pub fn emit_with(kind: Kind, what: impl FnOnce() -> (u64, EventId)) {
    if backend::trace_groups() & kind.group().to_bits() != 0 {
        let (argument, cause) = what();
        write(kind, argument, cause);
    }
}

#[cold]
fn write(kind: Kind, argument: u64, cause: EventId) -> EventId {
    // On one processor, at one time, one writer: so stamps rise with numbers, nobody is preempted in
    // the middle of an event while the ring turns, and only an NMI, which writes none, comes between.
    backend::without_interrupts(|atomic| match ring(Cpu::current(atomic)) {
        Some(ring) => ring.write(time::now(), kind, argument, cause),
        None => EventId::NONE,
    })
}

/// A processor's ring, if it has one.
pub fn ring(cpu: &Cpu) -> Option<&'static Ring<'static>> {
    let ring = cpu.tracing.ring.load(Ordering::Acquire);
    // SAFETY: null, or `give_ring` stored a `&'static Ring`.
    unsafe { ring.as_ref() }
}

/// Gives a processor its ring. Once.
pub fn give_ring(cpu: &Cpu, ring: &'static Ring<'static>) {
    cpu.tracing.ring.store(core::ptr::from_ref(ring).cast_mut(), Ordering::Release);
}

/// The groups that are on, on the current processor; on the others too, unless somebody is changing them.
pub fn groups() -> Groups {
    Groups::from_bits(backend::trace_groups())
}

/// Switches groups on, and all others off, on every processor.
pub fn set_groups(system: &System, groups: Groups) {
    for cpu in system.cpus() {
        cpu.tracing.groups.store(groups.to_bits(), Ordering::Relaxed);
    }
}
