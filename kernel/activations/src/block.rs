//! An activation sleeps, wakes, and comes to the border of user mode.

use crate::deliver::Nudge;
use crate::faults::Fault;
use crate::lent::Returns;
use crate::numbers::{Activation, Stack, VirtualProcessor};
use crate::protocol::{First, Protocol, State, Use};

/// Why an activation sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A system call.
    Call,
    /// A page fault.
    Fault(Fault),
    /// What the protocol itself has it wait for.
    Protocol,
    /// It sleeps at the border until it is started. It may have been, by now: whoever starts it needs not wait until it
    /// sleeps.
    AtBorder,
}

/// What becomes of the virtual processor of an activation that sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// Nothing: the activation sleeps, and its processor goes to whoever wants it. What it would have told is another's.
    Alone(Nudge),
    /// This one goes on there: it is to be started on the processor that the other leaves.
    Start(Activation),
}

/// What an activation does that is about to go on in user mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtBorder {
    /// It goes on.
    Go,
    /// There is something to tell: [`Protocol::upcall`].
    Deliver,
    /// It sleeps until it is started; what it would have gone on with is told. Somebody may have to hear of that.
    Park(Nudge),
}

impl Protocol {
    /// An activation is about to sleep in the kernel. It is asleep for whoever looks, or will be before the one that is
    /// started runs. `in_library` says that the library will put it back: then it is told of alone, as whatever else
    /// there is to tell may need what it holds.
    pub fn blocks(
        &mut self,
        activation: Activation,
        cause: Cause,
        in_library: bool,
        returns: &mut impl Returns,
    ) -> Block {
        let State::On(home) = self.record(activation).state else {
            return Block::Alone(Nudge::Nobody);
        };
        if cause == Cause::AtBorder {
            return Block::Alone(Nudge::Nobody);
        }
        match self.processor(home).used {
            // The upcall that it is about to begin tells of another one's block, and comes first.
            Use::Starting(_) => return Block::Alone(Nudge::Nobody),
            // That is what it is to do.
            Use::Idle(_) => return Block::Alone(Nudge::Nobody),
            _ => {}
        }
        if let Some(next) = self.try_block(activation, home, cause, returns) {
            self.processor(home).is_alone = in_library;
            return Block::Start(next);
        }
        let processor = self.processor(home);
        processor.used = Use::Stalled(activation);
        processor.is_poked = false;
        Block::Alone(self.nudge(home, returns))
    }

    fn try_block(
        &mut self,
        activation: Activation,
        home: VirtualProcessor,
        cause: Cause,
        returns: &mut impl Returns,
    ) -> Option<Activation> {
        if cause == Cause::Protocol {
            return None;
        }
        if let Cause::Fault(fault) = &cause
            && self.faults.is_silent(fault)
        {
            self.counts.stalled_by_fault += 1;
            return None;
        }
        if self.record(activation).stack.is_some() {
            // It has been put back while the upcall that told of its last block was interrupted, and that stack is
            // out still.
            self.counts.stalled_without_stack += 1;
            return None;
        }
        if self.cache.count() == 0 {
            self.counts.stalled_without_activation += 1;
            return None;
        }
        let Some(stack) = self.take_stack(returns) else {
            self.counts.stalled_without_stack += 1;
            return None;
        };
        if let Cause::Fault(fault) = &cause {
            self.faults.note(fault);
        }
        let next = self.cache.take(&mut self.records)?;
        let record = self.record(activation);
        record.state = State::Blocked;
        record.blocks = record.blocks.wrapping_add(1);
        record.stack = Some(stack);
        record.home = home;
        let number = record.blocks;
        self.blocked_on[stack.place()] = Some(activation);
        self.start(next, home, stack, First::Blocked(activation, number));
        Some(next)
    }

    /// Puts an activation on a virtual processor, with an upcall to begin.
    pub(crate) fn start(
        &mut self,
        activation: Activation,
        home: VirtualProcessor,
        stack: Stack,
        first: First,
    ) {
        let record = self.record(activation);
        (record.state, record.home) = (State::On(home), home);
        let processor = self.processor(home);
        processor.used = Use::Starting(activation);
        (processor.stack, processor.first) = (Some(stack), Some(first));
    }

    /// An activation is about to go on in user mode, and was poked, or has slept since the last time. `in_library` says
    /// that it is in a critical section of the library: then it keeps its virtual processor, as only that can go on with
    /// it.
    pub fn border(
        &mut self,
        activation: Activation,
        in_library: bool,
        returns: &mut impl Returns,
    ) -> AtBorder {
        let record = self.record(activation);
        match record.state {
            State::On(home) => self.border_on(activation, home, in_library, returns),
            State::Blocked => {
                let Some(stack) = record.stack else {
                    return AtBorder::Park(self.queue(activation, State::Queued, returns));
                };
                record.state = State::Held;
                if cfg!(feature = "bug-sa-early-unblock") {
                    return AtBorder::Park(self.queue(activation, State::Queued, returns));
                }
                // If it is back, or comes back meanwhile, the activation is brought up.
                if !self.look_for_stack(stack, returns) && !self.mark_stack(stack, returns) {
                    self.counts.held_back += 1;
                    return AtBorder::Park(Nudge::Nobody);
                }
                let home = self.record(activation).home;
                AtBorder::Park(self.nudge(home, returns))
            }
            State::Awaited(caller) => {
                record.state = State::Kept;
                AtBorder::Park(Nudge::GoOn(caller))
            }
            state => {
                debug_assert!(false, "{activation:?} is at the border: {state:?}");
                AtBorder::Go
            }
        }
    }

    fn border_on(
        &mut self,
        activation: Activation,
        home: VirtualProcessor,
        in_library: bool,
        returns: &mut impl Returns,
    ) -> AtBorder {
        let processor = self.processor(home);
        processor.is_poked = false;
        debug_assert!(
            matches!(processor.used, Use::Running(runs) | Use::Stalled(runs) if runs == activation)
        );
        processor.used = Use::Running(activation);
        if processor.is_revoked && in_library {
            self.counts.spared += 1;
        } else if processor.is_revoked {
            self.leave_processor(home, true);
            self.pay();
            self.counts.taken += 1;
            return AtBorder::Park(self.queue(activation, State::Preempted, returns));
        }
        if self.has_work(home) { AtBorder::Deliver } else { AtBorder::Go }
    }

    /// There is something to tell of an activation at the border.
    pub(crate) fn queue(
        &mut self,
        activation: Activation,
        state: State,
        returns: &mut impl Returns,
    ) -> Nudge {
        let record = self.record(activation);
        record.state = state;
        let home = record.home;
        self.events.push_last(activation, &mut self.records);
        self.nudge(home, returns)
    }
}
