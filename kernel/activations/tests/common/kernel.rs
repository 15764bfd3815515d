//! The small process's kernel: it tells the protocol what happens, and does what that says, as the real one does.

use super::World;
use super::context::{Context, Gives, Handler, Lwp};
use activations::{Activation, AtBorder, Block, Cause, Event, Fault, Nudge, Refused, Slot, Upcall};

impl World {
    pub(super) fn blocks(&mut self, number: usize, faults: bool) {
        let Lwp::User(context) = self.take_lwp(number) else { panic!() };
        let activation = Activation::new(number as u32);
        let stack_pointer = match &context {
            Context::Thread { thread, .. } => {
                self.threads[*thread].blocks -= 1;
                *thread as u64
            }
            // Within its stack.
            Context::Library(handler) => 0x1000 + 0x100 * u64::from(handler.upcall.stack.number()),
        };
        let is_thread = matches!(context, Context::Thread { .. });
        let fault = Fault { address: stack_pointer, program_counter: 7, stack_pointer };
        let cause = if faults { Cause::Fault(fault) } else { Cause::Call };
        if !is_thread {
            self.faults = false;
        }
        let in_library = self.is_in_library(&context);
        let block = self.protocol.blocks(activation, cause, in_library, &mut self.words);
        self.lwps[number] = Lwp::Asleep(context);
        match block {
            Block::Alone(nudge) => self.act(nudge),
            Block::Start(next) => {
                let Lwp::Asleep(Context::Thread { thread, .. }) = self.lwps[number] else {
                    panic!("an upcall tells of an upcall that has blocked")
                };
                let home = self.protocol.processor_of(next).unwrap();
                assert_eq!(self.current[home.number() as usize].take(), Some(thread));
                let block = self.protocol.last_block(activation);
                self.told.insert((activation, block), thread);
                self.act(Nudge::Start(next));
            }
        }
    }

    pub(super) fn border(&mut self, number: usize, context: Context) {
        let activation = Activation::new(number as u32);
        let in_library = self.is_in_library(&context);
        match self.protocol.border(activation, in_library, &mut self.words) {
            AtBorder::Go => self.lwps[number] = Lwp::User(context),
            AtBorder::Deliver => {
                let Some(upcall) = self.protocol.upcall(activation, &mut self.words) else {
                    self.lwps[number] = Lwp::User(context);
                    return;
                };
                let slot = upcall.interrupted.expect("something was interrupted");
                self.put(slot, context);
                self.tell_one(number, upcall, vec![]);
            }
            AtBorder::Park(nudge) => {
                self.lwps[number] = Lwp::Parked(context);
                self.act(nudge);
            }
        }
    }

    fn is_in_library(&self, context: &Context) -> bool {
        match context {
            Context::Thread { thread, .. } => self.threads[*thread].holds_lock,
            Context::Library(_) => true,
        }
    }

    pub(super) fn put(&mut self, slot: Slot, context: Context) {
        let before = self.slots.insert(slot.number(), context);
        assert_eq!(before, None, "{slot:?} is used while it is");
    }

    pub(super) fn begin(&mut self, number: usize) {
        let activation = Activation::new(number as u32);
        match self.protocol.upcall(activation, &mut self.words) {
            None => self.lwps[number] = Lwp::Empty,
            Some(upcall) => {
                self.refill();
                self.tell_one(number, upcall, vec![]);
            }
        }
    }

    /// The first event comes with the upcall, the others are one step: what comes in between is told.
    pub(super) fn tell(&mut self, number: usize, upcall: Upcall, events: Vec<Event>) {
        self.lwps[number] = Lwp::Telling(upcall, events);
        while let Lwp::Telling(upcall, events) = &self.lwps[number] {
            let (upcall, events) = (*upcall, events.clone());
            self.tell_one(number, upcall, events);
        }
    }

    pub(super) fn tell_one(&mut self, number: usize, upcall: Upcall, mut events: Vec<Event>) {
        let Some(event) = self.protocol.next_event(&upcall, &mut self.words) else {
            let handler = Handler {
                stack_use: Gives::Stack(upcall.stack, self.protocol.stack_use(upcall.stack)),
                upcall,
                events,
                gives: vec![],
                calls: false,
                puts_back: None,
                hears_more: false,
                below: vec![],
            };
            // Once more to the border: what there was no room for.
            self.lwps[number] = Lwp::User(Context::Library(handler));
            let nudge = self.protocol.all_told(&upcall, &mut self.words);
            self.act(nudge);
            return;
        };
        if let Event::Unblocked(from, _, slot) | Event::Preempted(from, slot) = event {
            let Lwp::Parked(context) = self.take_lwp(from.number() as usize) else {
                panic!("{event:?} tells of one that is not at the border")
            };
            self.put(slot, context);
            self.protocol.told(from);
        }
        events.push(event);
        self.lwps[number] = Lwp::Telling(upcall, events);
    }

    pub(super) fn take_back(&mut self, number: usize, context: Context, other: Activation) {
        match self.protocol.take_back(other, &mut self.words) {
            Ok(slot) => {
                let Lwp::Parked(thread) = self.take_lwp(other.number() as usize) else { panic!() };
                self.put(slot, thread);
                self.protocol.told(other);
                let Context::Library(mut handler) = context else { panic!() };
                handler.puts_back = None;
                // It is continued before anything else: it holds a lock.
                self.first.push(slot);
                self.lwps[number] = Lwp::Awake(Context::Library(handler));
            }
            // It is called again, when there is one.
            Err(Refused::NoSlot) => self.lwps[number] = Lwp::Awake(context),
            Err(error) => panic!("{error:?}"),
        }
    }
}
