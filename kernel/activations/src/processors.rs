//! Virtual processors come, and begin; activations end.

use crate::deliver::{Nudge, Upcall};
use crate::lent::Returns;
use crate::numbers::{Activation, VirtualProcessor};
use crate::protocol::{First, OutOfMemory, Protocol, State, Use};

impl Protocol {
    /// `sa_enable`: the caller becomes the activation of the first virtual processor and begins its first upcall, which
    /// interrupts what the caller does. `None` if there are virtual processors already, or no stack or slot.
    pub fn enable(
        &mut self,
        returns: &mut impl Returns,
    ) -> Result<Option<(Activation, Upcall)>, OutOfMemory> {
        let home = VirtualProcessor::new(0);
        if self.is_enabled() {
            return Ok(None);
        }
        let activation = self.make_record(State::On(home))?;
        let processor = self.processor(home);
        processor.used = Use::Running(activation);
        processor.first = Some(First::NewProcessor);
        if let Some(upcall) = self.upcall(activation, returns) {
            return Ok(Some((activation, upcall)));
        }
        let processor = self.processor(home);
        (processor.used, processor.first) = (Use::Absent, None);
        self.record(activation).state = State::Absent;
        self.absent.put(activation, &mut self.records);
        Ok(None)
    }

    /// Adds a virtual processor, which wants a processor from now on; if all are there, wakes up one that idles: one more
    /// runs the library. `None` if there is none left, or what it needs is missing.
    pub fn add_processor(&mut self, returns: &mut impl Returns) -> Option<Nudge> {
        let first =
            |is: fn(&Use) -> bool| self.processors.iter().position(|processor| is(&processor.used));
        if let Some(absent) = first(|used| *used == Use::Absent) {
            self.processors[absent].used = Use::Waiting;
            self.want(VirtualProcessor::new(absent as u32));
            return Some(Nudge::Nobody);
        }
        let idle = first(|used| matches!(used, Use::Idle(_)))?;
        let nudge = self.begin_on(VirtualProcessor::new(idle as u32), returns);
        (nudge != Nudge::Nobody).then_some(nudge)
    }

    /// The library begins on a virtual processor that has no thread.
    pub(crate) fn begin_on(&mut self, home: VirtualProcessor, returns: &mut impl Returns) -> Nudge {
        let idling = match self.processor(home).used {
            Use::Idle(activation) => Some(activation),
            _ => None,
        };
        if idling.is_none() && self.cache.count() == 0 {
            return Nudge::Nobody;
        }
        let Some(stack) = self.take_stack(returns) else { return Nudge::Nobody };
        let cached = || self.cache.take(&mut self.records);
        let Some(activation) = idling.or_else(cached) else { return Nudge::Nobody };
        let processor = self.processor(home);
        processor.is_revoked = false;
        let wanted = core::mem::take(&mut processor.wants);
        self.waiting -= u32::from(wanted);
        self.start(activation, home, stack, First::NewProcessor);
        Nudge::Start(activation)
    }

    /// Takes an activation out of the cache for good: its LWP ends. `None` if there is none to spare.
    pub fn remove_activation(&mut self) -> Option<Activation> {
        if self.cache.count() == 0 {
            return None;
        }
        let activation = self.cache.take(&mut self.records)?;
        self.record(activation).state = State::Absent;
        self.absent.put(activation, &mut self.records);
        Some(activation)
    }

    /// An activation is over, wherever it was. If it was on a virtual processor, the library begins there anew.
    pub fn ends(&mut self, activation: Activation, returns: &mut impl Returns) -> Nudge {
        let record = self.record(activation);
        let State::On(home) = record.state else {
            // Its process ends, or becomes another program: nobody is told of anything.
            return Nudge::Nobody;
        };
        record.state = State::Absent;
        self.absent.put(activation, &mut self.records);
        self.leave_processor(home, true);
        self.begin_on(home, returns)
    }

    /// Whether there are virtual processors: they do not go before the process does.
    pub fn is_enabled(&self) -> bool {
        self.processors.first().is_some_and(|first| first.used != Use::Absent)
    }

    /// Whether the program may ask for a virtual processor of this number.
    pub fn has_processor(&self, number: u32) -> bool {
        (number as usize) < self.processors.len()
    }

    /// Whether the program runs on a virtual processor.
    pub fn is_running(&self, home: VirtualProcessor) -> bool {
        matches!(self.processors[home.place()].used, Use::Running(_))
    }

    /// Whether an activation that runs in user mode is to come to the border.
    pub fn is_asked_to_border(&self, activation: Activation) -> bool {
        self.processor_of(activation).is_some_and(|home| {
            let processor = &self.processors[home.place()];
            processor.is_poked || processor.is_revoked
        })
    }
}
