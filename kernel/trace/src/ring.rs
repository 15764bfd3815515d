//! Where a processor keeps its latest events.
//!
//! One processor writes, anybody may read, nobody waits. An interrupt may come between any two steps
//! of a writer and write events of its own: each takes its number first, with one atomic addition, and
//! so its slot. A slot's number is taken away before its words change and put back after, so a reader
//! that sees the same number before and after its reading has read one event whole (a sequence lock
//! per slot, as in Boehm, "Can seqlocks get along with programming language memory models?", 2012).
//!
//! Invariant: while a writer is in the middle of an event, fewer events are written on top of it, by
//! interrupts, than the ring has slots. So no two writers are ever in the same slot.

use crate::event::{Event, EventId, Kind};
use atomics::{AtomicU64, Ordering, fence};

/// Room for an event.
pub struct Slot {
    /// The event's number, or 0 while there is none or it is being written.
    number: AtomicU64,
    stamp: AtomicU64,
    kind: AtomicU64,
    argument: AtomicU64,
    cause: AtomicU64,
}

impl Slot {
    /// Empty.
    #[expect(clippy::new_without_default, reason = "only rings are made of them")]
    pub fn new() -> Slot {
        Slot {
            number: AtomicU64::new(0),
            stamp: AtomicU64::new(0),
            kind: AtomicU64::new(0),
            argument: AtomicU64::new(0),
            cause: AtomicU64::new(0),
        }
    }
}

/// A processor's latest events. See the module.
pub struct Ring<'a> {
    processor: u16,
    slots: &'a [Slot],
    /// Events written, or being written.
    count: AtomicU64,
}

impl<'a> Ring<'a> {
    /// An empty ring for this processor.
    pub fn new(processor: u16, slots: &'a [Slot]) -> Ring<'a> {
        assert!(!slots.is_empty(), "a ring has slots");
        Ring { processor, slots, count: AtomicU64::new(0) }
    }

    /// Notes an event; called on the ring's own processor. Returns its name.
    pub fn write(&self, stamp: u64, kind: Kind, argument: u64, cause: EventId) -> EventId {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let slot = self.slot(number);
        slot.number.store(0, Ordering::Relaxed);
        // Whoever reads one of the new words sees that the old number is gone.
        #[cfg(not(feature = "bug-trace-no-fence"))]
        fence(Ordering::Release);
        slot.stamp.store(stamp, Ordering::Relaxed);
        slot.kind.store(kind as u64, Ordering::Relaxed);
        slot.argument.store(argument, Ordering::Relaxed);
        slot.cause.store(cause.to_bits(), Ordering::Relaxed);
        slot.number.store(number, Ordering::Release);
        EventId::new(self.processor, number)
    }

    fn slot(&self, number: u64) -> &Slot {
        &self.slots[(number - 1) as usize % self.slots.len()]
    }

    /// How many events have been noted, those since overwritten with them.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// The event with this number, unless it has been overwritten or is being written.
    pub fn read(&self, number: u64) -> Option<Event> {
        if number == 0 {
            return None;
        }
        let slot = self.slot(number);
        if slot.number.load(Ordering::Acquire) != number {
            return None;
        }
        let stamp = slot.stamp.load(Ordering::Relaxed);
        let kind = slot.kind.load(Ordering::Relaxed);
        let argument = slot.argument.load(Ordering::Relaxed);
        let cause = slot.cause.load(Ordering::Relaxed);
        // The words are read before the number is looked at again.
        fence(Ordering::Acquire);
        if slot.number.load(Ordering::Relaxed) != number {
            return None;
        }
        Some(Event {
            id: EventId::new(self.processor, number),
            stamp,
            kind: Kind::from_number(kind as u8)?,
            argument,
            cause: EventId::from_bits(cause),
        })
    }

    /// The latest events that can be read, oldest first, `most` of them at the most.
    pub fn latest(&self, most: u64) -> impl Iterator<Item = Event> + '_ {
        let end = self.count();
        let kept = most.min(self.slots.len() as u64);
        (end.saturating_sub(kept) + 1..=end).filter_map(|number| self.read(number))
    }
}
