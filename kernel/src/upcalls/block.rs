//! An LWP sleeps: another one goes on in its place.
//!
//! This is called where a thread has been put to sleep and still stands on its stack, at the dispatcher's level
//! ([`dispatch::ThreadOwner::sleeps`]). It may have been woken by now; then it comes to the border soon.

use super::memory::Words;
use crate::lwp::Lwp;
use activations::{Activation, Block, Cause, Fault, Nudge, VirtualProcessor};
use core::sync::atomic::Ordering;
use dispatch::Thread;
use dispatch::class::time_sharing;
use dispatch::thread::asynchronous::OWNER;
use machine::tracing::emit;
use trace::{EventId, Kind};

/// The LWP's thread sleeps.
pub fn sleeps(lwp: &Lwp, thread: &Thread) {
    let own = &lwp.activation;
    let Some((of, activation)) = own.get() else { return };
    let cause = own.cause();
    let mut state = of.lock();
    let Some(home) = state.protocol.processor_of(activation) else { return };
    state.note_left(of, own, home);
    let in_library = own.left.lock_anywhere().mark != 0;
    let block = state.protocol.blocks(activation, cause, in_library, &mut Words(&of.shared));
    // It has slept, so there may be something to do at the border.
    thread.ask(OWNER);
    match block {
        Block::Alone(nudge) => state.act(nudge),
        Block::Start(next) => {
            let event = emit(Kind::ActivationBlocks, named(home, activation), EventId::NONE);
            own.note_event(event);
            // The library waits for what it brings.
            time_sharing::expect(thread);
            state.act(Nudge::Start(next));
        }
    }
}

/// As the trace says it.
pub fn named(home: VirtualProcessor, activation: Activation) -> u64 {
    u64::from(home.number()) << 16 | u64::from(activation.number())
}

impl super::OfLwp {
    /// The trace's event of its last block, or of its return from that.
    pub fn last_event(&self) -> EventId {
        EventId::from_bits(self.event.load(Ordering::Relaxed))
    }

    /// There is another one, or none any more: returns the one before.
    pub fn note_event(&self, event: EventId) -> EventId {
        EventId::from_bits(self.event.swap(event.to_bits(), Ordering::Relaxed))
    }

    /// A page fault of user mode begins.
    pub fn begin_fault(&self, fault: &Fault, writes: bool) {
        self.fault[1].store(fault.address, Ordering::Relaxed);
        self.fault[2].store(fault.program_counter, Ordering::Relaxed);
        self.fault[3].store(fault.stack_pointer, Ordering::Relaxed);
        self.fault[0].store(1 + u64::from(writes), Ordering::Relaxed);
    }

    /// It is over.
    pub fn end_fault(&self) {
        self.fault[0].store(0, Ordering::Relaxed);
    }

    /// The page fault that it is in, and whether it writes.
    pub fn fault(&self) -> Option<(Fault, bool)> {
        let [kind, address, program_counter, stack_pointer] =
            [0, 1, 2, 3].map(|place| self.fault[place].load(Ordering::Relaxed));
        (kind != 0).then_some((Fault { address, program_counter, stack_pointer }, kind == 2))
    }

    fn cause(&self) -> Cause {
        if self.is_parked.load(Ordering::Relaxed) {
            return Cause::AtBorder;
        }
        if self.is_quiet.load(Ordering::Relaxed) {
            return Cause::Protocol;
        }
        self.fault().map_or(Cause::Call, |(fault, _)| Cause::Fault(fault))
    }
}
