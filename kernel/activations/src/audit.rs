//! The invariants, for the tests on the host and for debug builds of the kernel.

use crate::numbers::{Activation, Stack, VirtualProcessor};
use crate::protocol::{Processor, Protocol, State, Use};

impl Protocol {
    /// Panics if something does not fit together.
    pub fn audit(&self) {
        self.audit_processors();
        self.audit_activations();
        self.audit_stacks();
        self.audit_idleness();
    }

    /// Rule 3, as far as the kernel can see it: an activation on a virtual processor is that one's.
    fn audit_processors(&self) {
        for (place, processor) in self.processors.iter().enumerate() {
            let home = VirtualProcessor::new(place as u32);
            let used = processor.used;
            if let Use::Idle(on) | Use::Starting(on) | Use::Running(on) | Use::Stalled(on) = used {
                let state = self.records[on.place()].state;
                assert_eq!(state, State::On(home), "{home:?} has {on:?}");
            } else {
                assert!(!processor.is_poked && !processor.is_revoked, "{home:?} has no activation");
            }
            let waits = used == Use::Waiting;
            assert!(waits || !processor.wants, "{home:?} has a processor, and wants one");
            let lies = waits && !processor.posted.is_empty() && !processor.wants;
            assert!(!lies, "{home:?} has something to tell, and wants no processor");
            let is_starting = matches!(used, Use::Starting(_));
            assert_eq!(processor.stack.is_some(), is_starting, "{home:?}: the stack of its upcall");
            if processor.first.is_some() {
                assert!(is_starting || processor.tells, "{home:?}: an event that nobody tells");
            }
        }
    }

    fn audit_activations(&self) {
        let mut counts = [0; 3];
        for (place, record) in self.records.iter().enumerate() {
            let activation = Activation::new(place as u32);
            match record.state {
                State::Absent => counts[0] += 1,
                State::Cached => counts[1] += 1,
                State::Queued | State::Preempted => counts[2] += 1,
                State::On(home) => {
                    let used = self.processors[home.place()].used;
                    let is_its = matches!(used, Use::Idle(on) | Use::Starting(on) | Use::Running(on) | Use::Stalled(on) if on == activation);
                    assert!(is_its, "{activation:?} is on {home:?}, which has {used:?}");
                }
                // Rule 2.
                State::Held => assert!(record.stack.is_some(), "{activation:?} waits for no stack"),
                State::Made | State::Blocked | State::Told | State::Awaited(_) | State::Kept => {}
            }
        }
        let listed = [self.absent.count(), self.cache.count(), self.events.count()];
        assert_eq!(counts, listed, "absent, cached and queued activations, and the lists");
        for activation in self.events.iter(&self.records) {
            let state = self.records[activation.place()].state;
            assert!(matches!(state, State::Queued | State::Preempted), "{activation:?}: {state:?}");
        }
    }

    /// Rule 2: a stack that is lent for a BLOCKED is that of its activation, and is out.
    fn audit_stacks(&self) {
        for (place, blocked) in self.blocked_on.iter().enumerate() {
            let Some(blocked) = blocked else { continue };
            let stack = Stack::new(place as u32);
            assert!(self.stacks.is_out(stack.number()), "{stack:?} is here");
            assert_eq!(self.records[blocked.place()].stack, Some(stack), "{stack:?}: {blocked:?}");
        }
    }

    /// Rules 1 and 7: if a virtual processor idles although there is something to tell, somebody is under way to tell it,
    /// or what is missing will be asked for again.
    fn audit_idleness(&self) {
        let idles = self.processors.iter().any(|one| matches!(one.used, Use::Idle(_)));
        let is_under_way = self.processors.iter().any(Processor::is_under_way);
        let wanting = self.processors.iter().filter(|one| one.wants).count();
        assert_eq!(wanting as u32, self.waiting, "virtual processors that want a processor");
        let revoked = self.processors.iter().filter(|one| one.is_revoked).count();
        assert!(revoked as u32 <= self.owed, "more are to lose their processors than are owed");
        let is_anybody_there = self.processors.iter().any(|one| {
            matches!(one.used, Use::Running(_) | Use::Starting(_) | Use::Idle(_) | Use::Stalled(_))
        });
        assert!(
            is_anybody_there || !self.has_events() || self.waiting != 0 || !self.is_enabled(),
            "there is something to tell, nobody to tell it, and nobody wants a processor"
        );
        let is_short = self.stacks.here() == 0 || self.slots.here() <= self.slots_kept();
        assert!(
            !idles || !self.has_events() || is_under_way || is_short,
            "a virtual processor idles, and there is something to tell"
        );
    }
}
