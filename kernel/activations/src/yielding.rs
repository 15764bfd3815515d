//! `sa_yield` and `sa_unblockyield`.
//!
//! A thread may block while it holds locks of the library: a page that it touches is not there. The library cannot put
//! it aside, as everybody else would wait for the lock; so it gives the virtual processor back to the thread
//! ([`Protocol::unblock_yield`]), although that sleeps. No UNBLOCKED follows, and the stack of the BLOCKED upcall is
//! back by this. There are three cases:
//!
//! - the thread still sleeps: its virtual processor stalls with it;
//! - it has come to the border meanwhile, and its UNBLOCKED is held back: it goes on;
//! - the BLOCKED upcall has been interrupted by another upcall, which has continued it and now stands below it: the
//!   virtual processor cannot be given away with all that. The call waits for the thread, takes its registers into a
//!   slot and comes back; the library continues the thread from there.
//!
//! C. Limpach, "SA, libpthread and page faults", 2003. There the third case ended the blocked LWP and let its thread
//! fault again; here it may have blocked in a system call, which cannot be begun again.

use crate::deliver::Nudge;
use crate::lent::Returns;
use crate::numbers::{Activation, BlockNumber, Slot, Stack, VirtualProcessor};
use crate::protocol::{Protocol, State, UpcallNumber, Use};

/// What becomes of an activation that calls `sa_yield`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yield {
    /// There is something to tell: [`Protocol::upcall`] begins it.
    Deliver,
    /// It sleeps until it is started.
    Idle,
    /// It sleeps until it is started, perhaps for another virtual processor: this one has lost its processor. Another one
    /// may begin with that, or somebody have to hear of what waited for the stack.
    Cached(Nudge),
}

/// What becomes of an activation that calls `sa_unblockyield`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unblock {
    /// It sleeps until it is started; the other one sleeps and has the virtual processor. Somebody may have to hear of
    /// what waited for the stack.
    Stall(Nudge),
    /// The same, but the other one is at the border, and is to go on.
    GoOn(Activation, Nudge),
    /// It waits for the other one, then calls [`Protocol::take_back`].
    Wait,
}

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The caller is on no virtual processor.
    NoProcessor,
    /// There is no such block, it is not this virtual processor's, or it is over.
    NoBlock,
    /// There is no such stack, or it is not lent to the program.
    NoStack,
    /// There is no slot for the registers: the library is to give one back, and to call again.
    NoSlot,
}

impl Protocol {
    /// The activation has nothing to do, or `gives_back` its processor although it has; this stack comes back with it.
    pub fn yields(
        &mut self,
        activation: Activation,
        stack: Option<Stack>,
        gives_back: bool,
        returns: &mut impl Returns,
    ) -> Result<Yield, Refused> {
        let State::On(home) = self.record(activation).state else {
            return Err(Refused::NoProcessor);
        };
        if let Some(stack) = stack {
            if !self.stack_is_out(stack) {
                return Err(Refused::NoStack);
            }
            self.put_stack(stack, returns);
        }
        if gives_back || self.owed != 0 || self.processor(home).is_revoked {
            return Ok(Yield::Cached(self.gives_back(activation, home, gives_back, returns)));
        }
        self.processor(home).is_poked = false;
        if self.has_work(home)
            && let Some(stack) = self.take_stack(returns)
        {
            let processor = self.processor(home);
            (processor.used, processor.stack) = (Use::Starting(activation), Some(stack));
            return Ok(Yield::Deliver);
        }
        if let Some(other) = self.first_that_wants() {
            // It could not begin when it was to: a stack was missing.
            self.leave_processor(home, false);
            self.put_into_cache(activation);
            return Ok(Yield::Cached(self.begin_on(other, returns)));
        }
        self.processor(home).used = Use::Idle(activation);
        Ok(Yield::Idle)
    }

    /// The library gives the virtual processor back to a thread that has blocked there. `number` says which block of the
    /// activation was told, `upcall` which upcall told it.
    pub fn unblock_yield(
        &mut self,
        caller: Activation,
        blocked: Activation,
        number: BlockNumber,
        upcall: UpcallNumber,
        returns: &mut impl Returns,
    ) -> Result<Unblock, Refused> {
        let State::On(home) = self.record(caller).state else { return Err(Refused::NoProcessor) };
        let record = self.records.get(blocked.place()).ok_or(Refused::NoBlock)?;
        if record.blocks != number {
            return Err(Refused::NoBlock);
        }
        let is_on_top = record.home == home && upcall == self.processors[home.place()].upcalls;
        match (record.state, record.stack) {
            (State::Blocked, Some(stack)) if is_on_top => {
                self.put_back(caller, blocked, home, returns, stack);
                let processor = self.processor(home);
                (processor.used, processor.is_poked) = (Use::Stalled(blocked), false);
                Ok(Unblock::Stall(self.nudge(home, returns)))
            }
            (State::Held, Some(stack)) if is_on_top => {
                self.put_back(caller, blocked, home, returns, stack);
                self.processor(home).used = Use::Running(blocked);
                Ok(Unblock::GoOn(blocked, self.nudge(home, returns)))
            }
            (State::Blocked | State::Held, Some(stack)) => {
                self.counts.put_back += 1;
                self.blocked_on[stack.place()] = None;
                let record = self.record(blocked);
                let is_held = record.state == State::Held;
                record.stack = None;
                record.state = if is_held { State::Kept } else { State::Awaited(caller) };
                Ok(Unblock::Wait)
            }
            // There was no slot before.
            (State::Kept, _) => Ok(Unblock::Wait),
            _ => Err(Refused::NoBlock),
        }
    }

    /// The virtual processor is another activation's again, and the stack of its BLOCKED is back.
    fn put_back(
        &mut self,
        caller: Activation,
        blocked: Activation,
        home: VirtualProcessor,
        returns: &mut impl Returns,
        stack: Stack,
    ) {
        self.counts.put_back += 1;
        // Nobody is to hear of it.
        self.blocked_on[stack.place()] = None;
        let record = self.record(blocked);
        (record.state, record.stack) = (State::On(home), None);
        self.put_stack(stack, returns);
        self.put_into_cache(caller);
    }

    /// Whether the activation that a call waits for has come to the border.
    pub fn is_kept(&self, awaited: Activation) -> bool {
        self.records[awaited.place()].state == State::Kept
    }

    /// Takes the thread of an activation that was waited for: its registers are to go into the slot; then
    /// [`Protocol::told`].
    pub fn take_back(
        &mut self,
        awaited: Activation,
        returns: &mut impl Returns,
    ) -> Result<Slot, Refused> {
        if !self.is_kept(awaited) {
            return Err(Refused::NoBlock);
        }
        let slot = self.take_kept_slot(returns).ok_or(Refused::NoSlot)?;
        self.record(awaited).state = State::Told;
        Ok(slot)
    }
}
