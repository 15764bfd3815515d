//! The trace of a run, read back from its report channel.
//!
//! At the end of a run the kernel sends what is left in its rings. A ring forgets its oldest events
//! when it is full, so a processor's events may start anywhere; their numbers say how many are gone.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use report::Line;
pub use trace::event::Phase;
pub use trace::{Event, EventId, FaultEnd, Groups, Kind};

use crate::report_log::ReportLog;

/// Everything that the kernel has sent of its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    hertz: u64,
    start: u64,
    lanes: BTreeMap<u16, Vec<Event>>,
    /// The arguments of calls, by their beginnings.
    arguments: HashMap<EventId, Vec<u64>>,
}

impl Trace {
    /// From the report of a machine with this many processors; each has a lane, even an empty one.
    pub fn read(report: &ReportLog, processors: u32) -> Result<Trace> {
        let value = |unit, wanted| {
            let values = report.values(unit);
            values.into_iter().find(|(name, _)| *name == wanted).map(|(_, value)| value)
        };
        let hertz = value("hertz", "trace.hertz").filter(|hertz| *hertz > 0);
        let hertz = hertz.context("the kernel has sent no trace; it does so when a run ends")?;
        let mut lanes: BTreeMap<u16, Vec<Event>> =
            (0..=u16::MAX).take(processors as usize).map(|index| (index, Vec::new())).collect();
        for event in report.lines().filter_map(event) {
            lanes.entry(event.id.processor()).or_default().push(event);
        }
        for lane in lanes.values_mut() {
            lane.sort_by_key(|event| event.id.number());
            lane.dedup_by_key(|event| event.id.number());
        }
        let earliest = || lanes.values().flatten().map(|event| event.stamp).min();
        let start = value("ticks", "trace.start").or_else(earliest).unwrap_or(0);
        let mut given: Vec<&Event> =
            lanes.values().flatten().filter(|event| is_detail(event)).collect();
        // An LWP may be on another processor by the next argument.
        given.sort_by_key(|event| event.stamp);
        let mut arguments = HashMap::<EventId, Vec<u64>>::new();
        for event in given {
            arguments.entry(event.cause).or_default().push(event.argument);
        }
        Ok(Trace { hertz, start, lanes, arguments })
    }

    /// The processors with their events, in order.
    pub fn lanes(&self) -> impl Iterator<Item = (u16, &[Event])> {
        self.lanes.iter().map(|(processor, events)| (*processor, &events[..]))
    }

    /// All events, processor by processor.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.lanes.values().flatten()
    }

    /// The event with this name, if it was not overwritten.
    pub fn find(&self, id: EventId) -> Option<&Event> {
        let lane = self.lanes.get(&id.processor())?;
        let place = lane.binary_search_by_key(&id.number(), |event| event.id.number()).ok()?;
        Some(&lane[place])
    }

    /// What is known of the arguments of the call that begins with this event.
    pub fn arguments(&self, call: &Event) -> &[u64] {
        self.arguments.get(&call.id).map_or(&[], |arguments| &arguments[..])
    }

    /// Causes and their effects, where both are there. What is shown with its cause is no effect.
    pub fn causes(&self) -> impl Iterator<Item = (&Event, &Event)> {
        self.events()
            .filter(|event| !is_detail(event))
            .filter_map(|effect| Some((self.find(effect.cause)?, effect)))
    }

    /// The stamp of the latest event.
    pub fn last_stamp(&self) -> u64 {
        self.events().map(|event| event.stamp).max().unwrap_or(self.start)
    }

    /// When that was, in microseconds after the kernel's first instruction, to a tenth of a
    /// nanosecond.
    pub fn microseconds(&self, stamp: u64) -> f64 {
        let ticks = i128::from(stamp) - i128::from(self.start);
        (ticks as f64 * 1e10 / self.hertz as f64).round() / 1e4
    }
}

/// Whether an event only says more of its cause, and is shown with that.
pub fn is_detail(event: &Event) -> bool {
    event.kind == Kind::CallArgument
}

/// How many of a processor's events are missing: those overwritten, before the first that is left.
pub fn missing(lane: &[Event]) -> u64 {
    lane.first().map_or(0, |event| event.id.number().saturating_sub(1))
}

/// The event in a line of the channel.
fn event(line: Line<'_>) -> Option<Event> {
    let Line::Event { processor, number, stamp, kind, argument, cause } = line else { return None };
    let (by, cause) = cause;
    Some(Event {
        id: EventId::new(processor, number),
        stamp,
        kind: Kind::from_text(kind)?,
        argument,
        cause: EventId::new(by, cause),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{EventId, Trace, missing};
    use crate::report_log::ReportLog;

    /// What a kernel with two processors could have sent: a poke, a program's call, and a ring that
    /// starts in the middle of an interrupt. One tick is a nanosecond.
    pub(crate) const SMALL: &str = "\
        value trace.hertz hertz 1000000000\n\
        value trace.start ticks 1000\n\
        event 0 1 2000 program 4198400 0 0\n\
        event 0 2 3000 call 1 0 0\n\
        event 0 3 3500 poke-sent 1 0 0\n\
        event 0 4 4000 call-end 22 0 0\n\
        event 0 5 5000 call 231 0 0\n\
        event 0 6 6000 program-end 0 0 0\n\
        event 1 8 3200 interrupt-end 160 0 0\n\
        event 1 9 3300 idle 0 0 0\n\
        event 1 10 3600 interrupt 176 0 3\n\
        event 1 11 3700 poke-received 0 0 3\n\
        event 1 12 3800 interrupt-end 176 0 0\n\
        event 1 13 3900 idle-end 0 1 2\n";

    pub(crate) fn trace(text: &str) -> Trace {
        Trace::read(&ReportLog::new(text.as_bytes()), 2).unwrap()
    }

    #[test]
    fn events_are_found_by_name() {
        let small = trace(SMALL);
        assert_eq!(small.find(EventId::new(1, 11)).unwrap().stamp, 3700);
        assert_eq!(small.find(EventId::new(1, 7)), None);
        assert_eq!(small.find(EventId::NONE), None);
        assert_eq!(small.lanes().map(|(_, lane)| missing(lane)).collect::<Vec<_>>(), [0, 7]);
        assert_eq!(small.last_stamp(), 6000);
    }

    #[test]
    fn a_cause_counts_only_if_it_is_there() {
        let small = trace(SMALL);
        let numbers: Vec<_> =
            small.causes().map(|(cause, effect)| (cause.id.number(), effect.id.number())).collect();
        assert_eq!(numbers, [(3, 10), (3, 11)]);
    }

    #[test]
    fn time_starts_with_the_kernel() {
        assert_eq!(trace(SMALL).microseconds(2234), 1.234);
        assert_eq!(trace(SMALL).microseconds(999), -0.001);
    }

    #[test]
    fn disorder_and_garbage_do_no_harm() {
        let text = "event 1 2 9 idle 0 0 0\nvalue trace.hertz hertz 5\nevent 1 1 8 idle 0 0 0\n\
                    event 1 2 9 idle 0 0 0\nevent 0 1 1 nonsense 0 0 0\nevent 1 x\nevent 1 3 9 id";
        let trace = trace(text);
        let lanes: Vec<_> =
            trace.lanes().map(|(processor, lane)| (processor, lane.len())).collect();
        assert_eq!(lanes, [(0, 0), (1, 2)]);
        assert_eq!(trace.microseconds(8), 0.0, "without a start, the first event is it");
        assert!(Trace::read(&ReportLog::new(b"event 0 1 1 idle 0 0 0\n"), 1).is_err());
    }
}
