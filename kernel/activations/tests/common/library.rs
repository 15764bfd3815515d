//! The small process's library: it decides as freely as a library may.

use super::World;
use super::context::{Context, Gives, Handler, Known, Lwp, Thread};
use activations::{
    Activation, Block, BlockNumber, Cause, Event, Nudge, Slot, Stack, Unblock, VirtualProcessor,
    Yield,
};

impl World {
    pub(super) fn thread_goes(
        &mut self,
        number: usize,
        thread: usize,
        mut gives: Vec<Gives>,
        calls: bool,
    ) {
        let activation = Activation::new(number as u32);
        if !gives.is_empty() {
            let mut calls = calls;
            for one in gives.drain(..) {
                calls |= self.give(one);
            }
            self.lwps[number] = Lwp::User(Context::Thread { thread, gives, calls });
        } else if calls {
            let home = self.protocol.processor_of(activation).unwrap();
            self.look_again(home);
            self.lwps[number] = Lwp::Awake(Context::Thread { thread, gives, calls: false });
        } else {
            // It is over; the library chooses another, on that thread's stack.
            self.threads[thread] = Thread { known: Known::Over, blocks: 0, holds_lock: false };
            let home = self.protocol.processor_of(activation).unwrap();
            self.current[home.number() as usize] = None;
            self.leave(number, vec![], 0, None);
        }
    }

    /// The call that says that something has been given back.
    fn look_again(&mut self, home: VirtualProcessor) {
        loop {
            let nudge = self.protocol.look_again(home, &mut self.words);
            self.act(nudge);
            if nudge == Nudge::Nobody {
                return;
            }
        }
    }

    /// Stores that something is given back. Says whether the library has to call.
    pub(super) fn give(&mut self, what: Gives) -> bool {
        let (word, number) = match what {
            Gives::Stack(stack, number) => {
                (self.words.stacks.entry(stack.number()).or_default(), number)
            }
            Gives::Slot(slot, number) => {
                (self.words.slots.entry(slot.number()).or_default(), number)
            }
        };
        word.0 = number;
        word.1
    }

    pub(super) fn library_goes(&mut self, number: usize, mut handler: Handler) {
        let activation = Activation::new(number as u32);
        let home = self.protocol.processor_of(activation).unwrap();
        if !handler.gives.is_empty() {
            for one in std::mem::take(&mut handler.gives) {
                handler.calls |= self.give(one);
            }
        } else if std::mem::take(&mut handler.calls) {
            self.look_again(home);
            self.lwps[number] = Lwp::Awake(Context::Library(handler));
            return;
        } else if handler.upcall.interrupted.is_some() || !handler.events.is_empty() {
            // Under the library's lock: who interrupts that continues it first.
            if let Some(slot) = handler.upcall.interrupted.take() {
                if self.puts_off && matches!(self.slots[&slot.number()], Context::Library(_)) {
                    return self.stands_below(number, handler, slot);
                }
                self.is_interrupted(slot);
            }
            let events = std::mem::take(&mut handler.events);
            handler.hears_more = events.len() > 1;
            for event in events {
                self.hear(&mut handler, event);
            }
        } else if let Some((blocked, block)) = handler.puts_back {
            // After all events: nothing of this upcall may be left when it ends.
            self.unblock_yield(number, handler, blocked, block);
            return;
        } else if let Some(mut below) = handler.below.pop() {
            below.gives.push(handler.stack_use);
            below.below.append(&mut handler.below);
            handler = below;
        } else if let Some(slot) = self.first.pop() {
            let gives = vec![handler.stack_use];
            self.resume(number, slot, gives);
            return;
        } else {
            unreachable!("it picks a thread");
        }
        self.lwps[number] = Lwp::User(Context::Library(handler));
    }

    /// An upcall that has interrupted another one goes on with that at once, and is heard when it is over.
    fn stands_below(&mut self, number: usize, handler: Handler, slot: Slot) {
        let Some(Context::Library(mut above)) = self.slots.remove(&slot.number()) else { panic!() };
        above.gives.push(Gives::Slot(slot, self.protocol.slot_use(slot)));
        above.below.push(handler);
        self.lwps[number] = Lwp::User(Context::Library(above));
    }

    /// Something has been interrupted: a thread can go on later, unless it holds a lock; the library goes on first.
    pub(super) fn is_interrupted(&mut self, slot: Slot) {
        match &self.slots[&slot.number()] {
            Context::Thread { thread, .. } => {
                let thread = &mut self.threads[*thread];
                thread.known = Known::Ready;
                if thread.holds_lock {
                    self.first.push(slot);
                } else {
                    self.ready.push(slot);
                }
            }
            Context::Library(_) => self.first.push(slot),
        }
    }

    pub(super) fn hear(&mut self, handler: &mut Handler, event: Event) {
        match event {
            Event::NewProcessor | Event::Posted(_) => {}
            Event::Blocked(activation, block) => {
                let thread = self.told.remove(&(activation, block)).expect("a thread ran there");
                let of = &mut self.threads[thread];
                assert_eq!(of.known, Known::Runs, "thread {thread} blocks");
                of.known = Known::Blocked(activation, block);
                if of.holds_lock {
                    assert!(!handler.hears_more, "others' events come with that of a holder");
                    handler.puts_back = Some((activation, block));
                }
            }
            Event::Unblocked(activation, block, slot) => {
                let Context::Thread { thread, .. } = self.slots[&slot.number()] else {
                    panic!("the library has unblocked")
                };
                let of = &mut self.threads[thread];
                let expected = Known::Blocked(activation, block);
                assert_eq!(of.known, expected, "thread {thread}: UNBLOCKED without its BLOCKED");
                assert!(!of.holds_lock, "a holder of a lock is put on the run queue");
                of.known = Known::Ready;
                self.ready.push(slot);
            }
            Event::Preempted(_, slot) => {
                let is_thread = matches!(
                    self.slots[&slot.number()],
                    Context::Thread { thread, .. } if !self.threads[thread].holds_lock
                );
                assert!(is_thread, "the library has lost its virtual processor");
                self.is_interrupted(slot);
            }
        }
    }

    pub(super) fn unblock_yield(
        &mut self,
        number: usize,
        mut handler: Handler,
        blocked: Activation,
        block: BlockNumber,
    ) {
        let caller = Activation::new(number as u32);
        let home = handler.upcall.processor.number() as usize;
        let upcall = handler.upcall.number;
        let thread = self
            .threads
            .iter()
            .position(|thread| thread.known == Known::Blocked(blocked, block))
            .expect("it is blocked");
        let said = self.protocol.unblock_yield(caller, blocked, block, upcall, &mut self.words);
        let said = said.expect("it is blocked");
        let is_given_away = said != Unblock::Wait;
        assert!(!is_given_away || handler.below.is_empty(), "an upcall below is lost");
        match said {
            Unblock::Stall(nudge) => {
                self.act(nudge);
                self.threads[thread].known = Known::Runs;
                self.current[home] = Some(thread);
            }
            Unblock::GoOn(other, nudge) => {
                self.act(nudge);
                self.threads[thread].known = Known::Runs;
                self.current[home] = Some(thread);
                let Lwp::Parked(context) = self.take_lwp(other.number() as usize) else {
                    panic!("{other:?} goes on")
                };
                self.lwps[other.number() as usize] = Lwp::Awake(context);
                self.falls_asleep_late(other);
            }
            Unblock::Wait => {
                self.threads[thread].known = Known::Ready;
                handler.puts_back = None;
                let block = self.protocol.blocks(caller, Cause::Protocol, true, &mut self.words);
                let Block::Alone(nudge) = block else { panic!("{block:?}") };
                self.act(nudge);
                self.lwps[number] = Lwp::Awaits(Context::Library(handler), blocked);
            }
        }
    }

    /// The library has done all that the upcall told: it runs a thread, or nothing.
    pub(super) fn pick(&mut self, number: usize, handler: Handler, which: usize) {
        let gives = vec![handler.stack_use];
        self.leave(number, gives, which, Some(handler.upcall.stack));
    }

    pub(super) fn leave(
        &mut self,
        number: usize,
        gives: Vec<Gives>,
        which: usize,
        stack: Option<Stack>,
    ) {
        if which < self.ready.len() {
            let slot = self.ready.remove(self.ready.len() - 1 - which);
            return self.resume(number, slot, gives);
        }
        if !self.fresh.is_empty() {
            let thread = self.fresh.remove(0);
            return self.run(number, Context::Thread { thread, gives, calls: false });
        }
        self.yields(number, stack, false);
    }

    /// The library gives its processor back; others run what there is.
    pub(super) fn gives_back(&mut self, number: usize, handler: Handler) {
        self.yields(number, Some(handler.upcall.stack), true);
    }

    fn yields(&mut self, number: usize, stack: Option<Stack>, gives_back: bool) {
        let activation = Activation::new(number as u32);
        match self.protocol.yields(activation, stack, gives_back, &mut self.words).unwrap() {
            Yield::Deliver => self.lwps[number] = Lwp::Started,
            Yield::Idle => self.lwps[number] = Lwp::Empty,
            Yield::Cached(nudge) => {
                self.lwps[number] = Lwp::Empty;
                self.act(nudge);
            }
        }
    }

    /// Goes on with what is in a slot, which is given back with the rest.
    pub(super) fn resume(&mut self, number: usize, slot: Slot, mut gives: Vec<Gives>) {
        gives.push(Gives::Slot(slot, self.protocol.slot_use(slot)));
        let mut context = self.slots.remove(&slot.number()).expect("there is something in it");
        match &mut context {
            Context::Thread { gives: own, .. } => own.extend(gives),
            Context::Library(handler) => handler.gives.extend(gives),
        }
        self.run(number, context);
    }

    pub(super) fn run(&mut self, number: usize, context: Context) {
        let home = self.protocol.processor_of(Activation::new(number as u32)).unwrap();
        if let Context::Thread { thread, .. } = context {
            let of = &mut self.threads[thread];
            assert_eq!(of.known, Known::Ready, "thread {thread} is run");
            of.known = Known::Runs;
            self.current[home.number() as usize] = Some(thread);
        }
        self.lwps[number] = Lwp::User(context);
    }
}
