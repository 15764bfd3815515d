//! Who hears of an event, and the upcall that tells it.

use crate::lent::Returns;
use crate::numbers::{Activation, BlockNumber, Slot, Stack, VirtualProcessor};
use crate::protocol::{First, Processor, Protocol, State, UpcallNumber, Use};

/// Events that are not about an activation. Several of a kind are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Posted(u8);

impl Posted {
    /// A signal.
    pub const SIGNAL: Posted = Posted(1);
    /// A timer.
    pub const SIGEV: Posted = Posted(2);
    /// `sa_preempt`.
    pub const USER: Posted = Posted(4);

    /// None.
    pub const fn empty() -> Posted {
        Posted(0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both.
    pub const fn with(self, other: Posted) -> Posted {
        Posted(self.0 | other.0)
    }

    /// Takes one of them out.
    fn take_one(&mut self) -> Option<Posted> {
        let one = Posted(self.0 & self.0.wrapping_neg());
        self.0 &= !one.0;
        (!one.is_empty()).then_some(one)
    }
}

/// Whom the kernel has to make do something, after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nudge {
    /// Nobody: somebody will hear of it anyway, or nobody can.
    Nobody,
    /// This one sleeps and is to be started: it begins an upcall ([`Protocol::upcall`]).
    Start(Activation),
    /// This one sleeps in a call that waits for another one, and is to go on.
    GoOn(Activation),
    /// This one runs and is to come to the border of user mode ([`Protocol::border`]).
    Poke(Activation),
}

/// An upcall that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Upcall {
    /// Where.
    pub processor: VirtualProcessor,
    /// On this stack.
    pub stack: Stack,
    /// Which upcall of its virtual processor it is.
    pub number: UpcallNumber,
    /// What the activation did before is to go into this slot.
    pub interrupted: Option<Slot>,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The virtual processor has a processor, which it did not have before.
    NewProcessor,
    /// The thread that ran there has blocked.
    Blocked(Activation, BlockNumber),
    /// That block is over. The registers are to go into the slot; then [`Protocol::told`].
    Unblocked(Activation, BlockNumber, Slot),
    /// A virtual processor has lost its processor. Likewise.
    Preempted(Activation, Slot),
    /// Something that was posted.
    Posted(Posted),
}

impl Event {
    /// NetBSD's number of this type of upcall.
    pub fn number(&self) -> usize {
        match *self {
            Event::NewProcessor => 0,
            Event::Preempted(..) => 1,
            Event::Blocked(..) => 2,
            Event::Unblocked(..) => 3,
            Event::Posted(Posted::SIGNAL) => 4,
            Event::Posted(Posted::SIGEV) => 5,
            Event::Posted(_) => 6,
        }
    }
}

impl Protocol {
    /// Whether something could be told on a virtual processor.
    pub(crate) fn has_work(&self, home: VirtualProcessor) -> bool {
        let processor = &self.processors[home.place()];
        self.has_events() || processor.first.is_some() || !processor.posted.is_empty()
    }

    /// Whether there is something that any virtual processor could tell.
    pub(crate) fn has_events(&self) -> bool {
        self.events.count() != 0 || !self.posted.is_empty()
    }

    /// Something can be told on any virtual processor: says who is to do it. One that idles is better than one that has
    /// to be interrupted, and the one where it belongs is better than another.
    pub(crate) fn nudge(&mut self, home: VirtualProcessor, returns: &mut impl Returns) -> Nudge {
        if cfg!(feature = "bug-sa-missing-poke") {
            return Nudge::Nobody;
        }
        let is_under_way = self.processors.iter().any(Processor::is_under_way);
        if !self.has_events() || is_under_way {
            return Nudge::Nobody;
        }
        if let Some(nudge) = self.nudge_idle(home, returns) {
            return nudge;
        }
        for place in [home.place()].into_iter().chain(0..self.processors.len()) {
            let processor = &mut self.processors[place];
            if let Use::Running(activation) = processor.used
                && !processor.is_revoked
            {
                processor.is_poked = true;
                return Nudge::Poke(activation);
            }
        }
        // Nobody is there: the next one who gets a processor will hear of it.
        self.want_any();
        Nudge::Nobody
    }

    /// The same of those that idle; `None` if nobody does.
    fn nudge_idle(&mut self, home: VirtualProcessor, returns: &mut impl Returns) -> Option<Nudge> {
        for place in [home.place()].into_iter().chain(0..self.processors.len()) {
            if let Use::Idle(activation) = self.processors[place].used {
                // Whoever gives one back calls.
                let Some(stack) = self.take_stack(returns) else { return Some(Nudge::Nobody) };
                let processor = &mut self.processors[place];
                (processor.used, processor.stack) = (Use::Starting(activation), Some(stack));
                return Some(Nudge::Start(activation));
            }
        }
        None
    }

    /// Something is to be told that is not about an activation: on this virtual processor, or on any.
    pub fn post(
        &mut self,
        what: Posted,
        to: Option<VirtualProcessor>,
        returns: &mut impl Returns,
    ) -> Nudge {
        let Some(home) = to else {
            self.posted = self.posted.with(what);
            return self.nudge(VirtualProcessor::new(0), returns);
        };
        let processor = self.processor(home);
        processor.posted = processor.posted.with(what);
        match processor.used {
            Use::Running(activation) => {
                processor.is_poked = true;
                Nudge::Poke(activation)
            }
            Use::Idle(activation) => match self.take_stack(returns) {
                Some(stack) => {
                    let processor = self.processor(home);
                    (processor.used, processor.stack) = (Use::Starting(activation), Some(stack));
                    Nudge::Start(activation)
                }
                None => Nudge::Nobody,
            },
            Use::Waiting => {
                self.want(home);
                self.hand_over(home, returns)
            }
            _ => Nudge::Nobody,
        }
    }

    /// The activation begins an upcall: it was started, or is at the border and something can be told. `None` if there is
    /// nothing to tell any more, or no room to do it: one that was started idles again, another goes on.
    pub fn upcall(&mut self, activation: Activation, returns: &mut impl Returns) -> Option<Upcall> {
        let State::On(home) = self.record(activation).state else { return None };
        let used = self.processor(home).used;
        let (stack, interrupted) = if used == Use::Starting(activation) {
            let stack = self.processor(home).stack.take()?;
            if !self.has_work(home) {
                self.put_stack(stack, returns);
                self.processor(home).used = Use::Idle(activation);
                return None;
            }
            self.processor(home).used = Use::Running(activation);
            (stack, None)
        } else {
            if !self.has_work(home) {
                return None;
            }
            let slot = self.take_slot(returns)?;
            let Some(stack) = self.take_stack(returns) else {
                self.put_slot(slot);
                return None;
            };
            (stack, Some(slot))
        };
        self.counts.upcalls += 1;
        self.counts.interrupting += u64::from(interrupted.is_some());
        let processor = self.processor(home);
        (processor.tells, processor.is_poked) = (true, false);
        processor.upcalls = UpcallNumber(processor.upcalls.0.wrapping_add(1));
        Some(Upcall { processor: home, stack, number: processor.upcalls, interrupted })
    }

    /// The next event of an upcall; `None` at the end, after which comes [`Protocol::all_told`].
    pub fn next_event(&mut self, upcall: &Upcall, returns: &mut impl Returns) -> Option<Event> {
        let event = self.find_event(upcall, returns)?;
        self.counts.told[event.number()] += 1;
        Some(event)
    }

    /// An upcall has told all that it tells. What it had to leave to others, as its first event was told alone, is for who
    /// idles; if nobody does, it is told when the virtual processor has been put back.
    pub fn all_told(&mut self, upcall: &Upcall, returns: &mut impl Returns) -> Nudge {
        let processor = self.processor(upcall.processor);
        processor.tells = false;
        let was_alone = core::mem::take(&mut processor.is_alone);
        let is_under_way = self.processors.iter().any(Processor::is_under_way);
        if !was_alone || !self.has_events() || is_under_way {
            return Nudge::Nobody;
        }
        self.nudge_idle(upcall.processor, returns).unwrap_or(Nudge::Nobody)
    }

    fn find_event(&mut self, upcall: &Upcall, returns: &mut impl Returns) -> Option<Event> {
        let processor = self.processor(upcall.processor);
        if let Some(first) = processor.first.take() {
            return Some(match first {
                First::NewProcessor => Event::NewProcessor,
                First::Blocked(activation, number) => Event::Blocked(activation, number),
            });
        }
        if processor.is_alone {
            return None;
        }
        if let Some(posted) = processor.posted.take_one() {
            return Some(Event::Posted(posted));
        }
        if let Some(posted) = self.posted.take_one() {
            return Some(Event::Posted(posted));
        }
        self.events.first()?;
        let slot = self.take_slot(returns)?;
        let activation = self.events.take_first(&mut self.records)?;
        let record = self.record(activation);
        let was = core::mem::replace(&mut record.state, State::Told);
        Some(match was {
            State::Preempted => Event::Preempted(activation, slot),
            _ => Event::Unblocked(activation, record.blocks, slot),
        })
    }

    /// The registers of an activation are in the slot of its event: it has no thread any longer.
    pub fn told(&mut self, activation: Activation) {
        debug_assert_eq!(self.record(activation).state, State::Told);
        self.put_into_cache(activation);
    }

    /// The program has said that it has given something back which was waited for. To be called until it comes to nobody:
    /// there is one call of the program's for all that has come back since.
    pub fn look_again(&mut self, home: VirtualProcessor, returns: &mut impl Returns) -> Nudge {
        self.look_for_stacks(returns);
        self.look_for_slots(returns);
        self.nudge_posted(returns).unwrap_or_else(|| self.nudge(home, returns))
    }

    /// One that was posted to, and lacked a stack or a slot to hear it; `None` if there is none.
    fn nudge_posted(&mut self, returns: &mut impl Returns) -> Option<Nudge> {
        for place in 0..self.processors.len() {
            let processor = &mut self.processors[place];
            if processor.posted.is_empty() || processor.is_poked || processor.tells {
                continue;
            }
            match processor.used {
                Use::Running(activation) => {
                    processor.is_poked = true;
                    return Some(Nudge::Poke(activation));
                }
                Use::Idle(activation) => {
                    // Whoever gives one back calls.
                    let stack = self.take_stack(returns)?;
                    let processor = &mut self.processors[place];
                    (processor.used, processor.stack) = (Use::Starting(activation), Some(stack));
                    return Some(Nudge::Start(activation));
                }
                _ => {}
            }
        }
        None
    }
}
