//! A process in small: the protocol itself, a kernel that does what it says, and a library that decides as freely as it
//! may. Every step is one that could be interrupted by any other.
//!
//! What runs is a [`Context`]: it is at one place at a time, which the types see to (contexts are moved, not copied); that
//! none is lost, the world checks in every state.

#![allow(dead_code, reason = "each test uses a part")]

use activations::{
    Activation, AtBorder, Block, BlockNumber, Cause, Event, Fault, Limits, Nudge, Posted, Protocol,
    Refused, Returns, Slot, Stack, Unblock, Upcall, VirtualProcessor, Yield,
};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The words that kernel and library share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    stacks: BTreeMap<u32, (u32, bool)>,
    slots: BTreeMap<u32, (u32, bool)>,
}

impl Returns for Words {
    fn stack(&self, stack: Stack) -> u32 {
        self.stacks.get(&stack.number()).map_or(0, |word| word.0)
    }

    fn slot(&self, slot: Slot) -> u32 {
        self.slots.get(&slot.number()).map_or(0, |word| word.0)
    }

    fn mark_stack(&mut self, stack: Stack, calls: bool) {
        self.stacks.entry(stack.number()).or_default().1 = calls;
    }

    fn mark_slot(&mut self, slot: Slot, calls: bool) {
        self.slots.entry(slot.number()).or_default().1 = calls;
    }
}

/// What a processor executes in user mode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Context {
    /// A thread. First of all it gives back what the scheduler had that switched to it.
    Thread { thread: usize, gives: Vec<Gives>, calls: bool },
    /// The library, in an upcall.
    Library(Handler),
}

/// Something that is given back by a store, and the number that is stored. (It is always the right one.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    Stack(Stack, u32),
    Slot(Slot, u32),
}

impl Hash for Gives {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self {
            Gives::Stack(stack, _) => (0, stack).hash(hasher),
            Gives::Slot(slot, _) => (1, slot).hash(hasher),
        }
    }
}

/// An upcall in user mode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Handler {
    upcall: Upcall,
    /// Which use of its stack it is.
    stack_use: Gives,
    events: Vec<Event>,
    /// What it has to give back, and whether it has to call after that.
    gives: Vec<Gives>,
    calls: bool,
    /// A thread that has blocked with a lock is to be put back.
    puts_back: Option<(Activation, BlockNumber)>,
    /// The upcall has several events.
    hears_more: bool,
}

/// Where an LWP is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Lwp {
    /// It sleeps, in the cache or of a virtual processor that idles.
    Empty,
    /// It has been told to begin an upcall.
    Started,
    /// It begins one: these events it has written.
    Telling(Upcall, Vec<Event>),
    /// It runs in user mode.
    User(Context),
    /// It sleeps in the kernel.
    Asleep(Context),
    /// It runs in the kernel, on its way to the border.
    Awake(Context),
    /// It sleeps at the border.
    Parked(Context),
    /// It sleeps in a call until another one is at the border.
    Awaits(Context, Activation),
}

impl Lwp {
    /// What it has of the program.
    fn context(&self) -> Option<&Context> {
        match self {
            Lwp::User(context)
            | Lwp::Asleep(context)
            | Lwp::Awake(context)
            | Lwp::Parked(context)
            | Lwp::Awaits(context, _) => Some(context),
            Lwp::Empty | Lwp::Started | Lwp::Telling(..) => None,
        }
    }
}

/// What the library knows of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    Runs,
    Blocked(Activation, BlockNumber),
    Ready,
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    known: Known,
    /// How often it will still block.
    blocks: u32,
    /// It holds a lock of the library.
    holds_lock: bool,
}

/// How much happens.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub processors: u32,
    pub threads: usize,
    pub stacks: u32,
    pub slots: u32,
    /// How often each thread blocks.
    pub blocks: u32,
    /// The first thread may take a lock of the library.
    pub locks: bool,
    /// How often a processor is taken away and given back.
    pub revocations: u32,
    /// How often something is posted.
    pub posts: u32,
    /// Upcalls may fault on their stacks.
    pub faults: bool,
}

impl Plan {
    pub const SMALL: Plan = Plan {
        processors: 1,
        threads: 2,
        stacks: 3,
        slots: 4,
        blocks: 1,
        locks: false,
        revocations: 0,
        posts: 0,
        faults: false,
    };
}

#[derive(Clone, Debug)]
pub struct World {
    pub protocol: Protocol,
    words: Words,
    lwps: Vec<Lwp>,
    threads: Vec<Thread>,
    slots: BTreeMap<u32, Context>,
    /// Slots of threads that the library can run.
    ready: Vec<Slot>,
    /// Slots of upcalls that have been interrupted, the last first.
    first: Vec<Slot>,
    /// Threads that were never run.
    fresh: Vec<usize>,
    /// Which thread each virtual processor has: a word that the library writes and the kernel tells with a BLOCKED. (The
    /// library could not look there itself: when it comes to that, another upcall may have gone first.)
    current: Vec<Option<usize>>,
    /// What the kernel has read there.
    told: BTreeMap<(Activation, BlockNumber), usize>,
    revocations: u32,
    posts: u32,
    faults: bool,
    /// Threads fault where they would call.
    faults_only: bool,
    locks: bool,
}

/// One step that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The LWP does what comes next.
    Goes(usize),
    /// Its thread calls something that sleeps.
    Blocks(usize),
    /// It faults.
    Faults(usize),
    /// It takes or releases a lock.
    Locks(usize),
    /// It comes to the border.
    Border(usize),
    /// What it sleeps for happens.
    Wakes(usize),
    /// The library, with nothing of an upcall left, takes this one of the ready threads, counted from the last.
    Picks(usize, usize),
    Revokes(u32),
    Grants(u32),
    Posts,
}

impl Step {
    /// The LWP that goes on, if the step is not one of the world outside.
    pub fn lwp(&self) -> Option<usize> {
        match *self {
            Step::Goes(lwp)
            | Step::Blocks(lwp)
            | Step::Faults(lwp)
            | Step::Locks(lwp)
            | Step::Border(lwp)
            | Step::Picks(lwp, _) => Some(lwp),
            Step::Wakes(_) | Step::Revokes(_) | Step::Grants(_) | Step::Posts => None,
        }
    }
}

impl World {
    pub fn new(plan: Plan) -> World {
        let limits = Limits {
            processors: plan.processors,
            stacks: plan.stacks,
            slots: plan.slots,
            scheduler: 0..0,
        };
        let mut protocol = Protocol::new(limits).unwrap();
        for stack in 0..u64::from(plan.stacks) {
            let at = 0x1000 + 0x100 * stack;
            protocol.add_stack(at..at + 0x80).unwrap();
        }
        let thread = Thread { known: Known::Ready, blocks: plan.blocks, holds_lock: false };
        let mut world = World {
            protocol,
            words: Words::default(),
            lwps: Vec::new(),
            threads: vec![thread; plan.threads],
            slots: BTreeMap::new(),
            ready: Vec::new(),
            first: Vec::new(),
            fresh: (1..plan.threads).collect(),
            current: vec![None; plan.processors as usize],
            told: BTreeMap::new(),
            revocations: plan.revocations,
            posts: plan.posts,
            faults: plan.faults,
            faults_only: plan.faults,
            locks: plan.locks,
        };
        let enabled = world.protocol.enable(&mut world.words);
        let (first, upcall) = enabled.unwrap().expect("there are a stack and a slot");
        assert_eq!(first.number(), 0);
        world.lwps.push(Lwp::Empty);
        let context = Context::Thread { thread: 0, gives: vec![], calls: false };
        world.put(upcall.interrupted.expect("the caller goes on later"), context);
        world.tell_one(0, upcall, vec![]);
        world.refill();
        for _ in 1..plan.processors {
            let nudge = world.protocol.add_processor(&mut world.words);
            world.act(nudge);
            world.refill();
        }
        world
    }

    /// Whoever begins an upcall sees to it that there is one for the next block.
    fn refill(&mut self) {
        for _ in 0..self.protocol.wanted_activations() {
            let added = self.protocol.make_activation().unwrap();
            self.protocol.cache_activation(added);
            if added.number() as usize == self.lwps.len() {
                self.lwps.push(Lwp::Empty);
            }
        }
    }

    fn act(&mut self, nudge: Nudge) {
        match nudge {
            Nudge::Nobody | Nudge::Poke(_) => {}
            Nudge::Start(activation) => {
                let lwp = &mut self.lwps[activation.number() as usize];
                assert_eq!(*lwp, Lwp::Empty, "{activation:?} is started");
                *lwp = Lwp::Started;
                self.falls_asleep_late(activation);
            }
            Nudge::GoOn(caller) => {
                let lwp = &self.lwps[caller.number() as usize];
                assert!(matches!(lwp, Lwp::Awaits(..)), "{lwp:?} goes on");
            }
        }
    }

    /// Whoever sleeps at the border may have been started before it was asleep: it says that it sleeps afterwards.
    fn falls_asleep_late(&mut self, activation: Activation) {
        let block = self.protocol.blocks(activation, Cause::AtBorder, false, &mut self.words);
        assert_eq!(
            block,
            Block::Alone(Nudge::Nobody),
            "{activation:?} was told what it sleeps for"
        );
    }

    /// A number of this state. Two states that go on alike have the same: which use of a stack it is, and which upcall,
    /// matters only as far as somebody compares it.
    pub fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.protocol.hash(&mut hasher);
        for (&number, &(said, calls)) in &self.words.stacks {
            let is_back = said == self.protocol.stack_use(Stack::new(number));
            (0, number, is_back, calls).hash(&mut hasher);
        }
        for (&number, &(said, calls)) in &self.words.slots {
            let is_back = said == self.protocol.slot_use(Slot::new(number));
            (1, number, is_back, calls).hash(&mut hasher);
        }
        let in_slots = self.slots.values();
        for context in in_slots.chain(self.lwps.iter().filter_map(Lwp::context)) {
            if let Context::Library(Handler { upcall, .. }) = context {
                (self.protocol.last_upcall(upcall.processor) == upcall.number).hash(&mut hasher);
            }
        }
        (&self.lwps, &self.threads, &self.slots, &self.ready).hash(&mut hasher);
        (&self.first, &self.fresh, &self.current, &self.told).hash(&mut hasher);
        (self.revocations, self.posts, self.faults).hash(&mut hasher);
        hasher.finish()
    }

    /// All that could happen next.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (number, lwp) in self.lwps.iter().enumerate() {
            let activation = Activation::new(number as u32);
            match lwp {
                Lwp::Empty | Lwp::Parked(_) => {}
                Lwp::Started | Lwp::Telling(..) | Lwp::Awake(_) => steps.push(Step::Goes(number)),
                Lwp::Awaits(_, other) => {
                    if self.protocol.is_kept(*other) {
                        steps.push(Step::Goes(number));
                    }
                }
                Lwp::Asleep(_) => steps.push(Step::Wakes(number)),
                Lwp::User(context) => {
                    if self.protocol.is_asked_to_border(activation) {
                        steps.push(Step::Border(number));
                    }
                    self.user_steps(number, context, &mut steps);
                }
            }
        }
        for processor in 0..self.current.len() as u32 {
            let home = VirtualProcessor::new(processor);
            if self.protocol.is_waiting(home) {
                steps.push(Step::Grants(processor));
            } else if self.revocations > 0 {
                steps.push(Step::Revokes(processor));
            }
        }
        if self.posts > 0 {
            steps.push(Step::Posts);
        }
        steps
    }

    fn user_steps(&self, number: usize, context: &Context, steps: &mut Vec<Step>) {
        match context {
            Context::Thread { thread, gives, calls } => {
                steps.push(Step::Goes(number));
                let of = &self.threads[*thread];
                if !gives.is_empty() || *calls {
                    return;
                }
                if of.blocks > 0 {
                    let is_fault = self.faults_only;
                    steps.push(if is_fault { Step::Faults(number) } else { Step::Blocks(number) });
                }
                if self.locks && *thread == 0 && of.blocks > 0 {
                    steps.push(Step::Locks(number));
                }
            }
            Context::Library(handler) => {
                let has_heard = handler.events.is_empty() && handler.upcall.interrupted.is_none();
                let is_done = has_heard && handler.puts_back.is_none();
                if is_done && handler.gives.is_empty() && !handler.calls && self.first.is_empty() {
                    for which in 0..self.choices().max(1) {
                        steps.push(Step::Picks(number, which));
                    }
                } else {
                    steps.push(Step::Goes(number));
                }
                if self.faults {
                    steps.push(Step::Faults(number));
                }
            }
        }
    }

    fn choices(&self) -> usize {
        (self.ready.len() + self.fresh.len()).min(2)
    }

    /// Takes a step. Panics if something is wrong with what comes of it.
    pub fn take(&mut self, step: Step) {
        match step {
            Step::Goes(number) => self.goes(number),
            Step::Blocks(number) => self.blocks(number, false),
            Step::Faults(number) => self.blocks(number, true),
            Step::Locks(number) => {
                let Lwp::User(Context::Thread { thread, .. }) = self.lwps[number] else { panic!() };
                let holds = &mut self.threads[thread].holds_lock;
                *holds = !*holds;
            }
            Step::Border(number) => {
                let Lwp::User(context) = self.take_lwp(number) else { panic!() };
                self.border(number, context);
            }
            Step::Wakes(number) => {
                let Lwp::Asleep(context) = self.take_lwp(number) else { panic!() };
                self.border(number, context);
            }
            Step::Picks(number, which) => {
                let Lwp::User(Context::Library(handler)) = self.take_lwp(number) else { panic!() };
                self.pick(number, handler, which);
            }
            Step::Revokes(processor) => {
                self.revocations -= 1;
                let nudge = self.protocol.revoke(VirtualProcessor::new(processor));
                self.act(nudge);
            }
            Step::Grants(processor) => {
                let home = VirtualProcessor::new(processor);
                let nudge = self.protocol.grant(home, &mut self.words);
                self.act(nudge);
            }
            Step::Posts => {
                self.posts -= 1;
                let nudge = self.protocol.post(Posted::SIGEV, None, &mut self.words);
                self.act(nudge);
            }
        }
        self.protocol.audit();
        self.count_contexts();
        // Rule 4: there is one for everybody who could block.
        assert_eq!(self.protocol.counts().stalled_without_activation, 0, "no spare LWP");
    }

    fn take_lwp(&mut self, number: usize) -> Lwp {
        std::mem::replace(&mut self.lwps[number], Lwp::Empty)
    }

    fn goes(&mut self, number: usize) {
        match self.take_lwp(number) {
            Lwp::Started => self.begin(number),
            Lwp::Telling(upcall, events) => self.tell(number, upcall, events),
            Lwp::Awake(context) => self.border(number, context),
            Lwp::Awaits(context, other) => self.take_back(number, context, other),
            Lwp::User(Context::Thread { thread, gives, calls }) => {
                self.thread_goes(number, thread, gives, calls);
            }
            Lwp::User(Context::Library(handler)) => self.library_goes(number, handler),
            other => panic!("{other:?} goes"),
        }
    }

    // The kernel.

    fn blocks(&mut self, number: usize, faults: bool) {
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
        let in_library = match &context {
            Context::Thread { thread, .. } => self.threads[*thread].holds_lock,
            Context::Library(_) => true,
        };
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

    fn border(&mut self, number: usize, context: Context) {
        let activation = Activation::new(number as u32);
        match self.protocol.border(activation, &mut self.words) {
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

    fn put(&mut self, slot: Slot, context: Context) {
        let before = self.slots.insert(slot.number(), context);
        assert_eq!(before, None, "{slot:?} is used while it is");
    }

    fn begin(&mut self, number: usize) {
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
    fn tell(&mut self, number: usize, upcall: Upcall, events: Vec<Event>) {
        self.lwps[number] = Lwp::Telling(upcall, events);
        while let Lwp::Telling(upcall, events) = &self.lwps[number] {
            let (upcall, events) = (*upcall, events.clone());
            self.tell_one(number, upcall, events);
        }
    }

    fn tell_one(&mut self, number: usize, upcall: Upcall, mut events: Vec<Event>) {
        let Some(event) = self.protocol.next_event(&upcall, &mut self.words) else {
            let handler = Handler {
                stack_use: Gives::Stack(upcall.stack, self.protocol.stack_use(upcall.stack)),
                upcall,
                events,
                gives: vec![],
                calls: false,
                puts_back: None,
                hears_more: false,
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

    fn take_back(&mut self, number: usize, context: Context, other: Activation) {
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

    // The library.

    fn thread_goes(&mut self, number: usize, thread: usize, mut gives: Vec<Gives>, calls: bool) {
        let activation = Activation::new(number as u32);
        if !gives.is_empty() {
            let mut calls = calls;
            for one in gives.drain(..) {
                calls |= self.give(one);
            }
            self.lwps[number] = Lwp::User(Context::Thread { thread, gives, calls });
        } else if calls {
            let home = self.protocol.processor_of(activation).unwrap();
            let nudge = self.protocol.look_again(home, &mut self.words);
            self.act(nudge);
            self.lwps[number] = Lwp::Awake(Context::Thread { thread, gives, calls: false });
        } else {
            // It is over; the library chooses another, on that thread's stack.
            self.threads[thread] = Thread { known: Known::Over, blocks: 0, holds_lock: false };
            let home = self.protocol.processor_of(activation).unwrap();
            self.current[home.number() as usize] = None;
            self.leave(number, vec![], 0, None);
        }
    }

    /// Stores that something is given back. Says whether the library has to call.
    fn give(&mut self, what: Gives) -> bool {
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

    fn library_goes(&mut self, number: usize, mut handler: Handler) {
        let activation = Activation::new(number as u32);
        let home = self.protocol.processor_of(activation).unwrap();
        if !handler.gives.is_empty() {
            for one in std::mem::take(&mut handler.gives) {
                handler.calls |= self.give(one);
            }
        } else if std::mem::take(&mut handler.calls) {
            let nudge = self.protocol.look_again(home, &mut self.words);
            self.act(nudge);
            self.lwps[number] = Lwp::Awake(Context::Library(handler));
            return;
        } else if handler.upcall.interrupted.is_some() || !handler.events.is_empty() {
            // Under the library's lock: who interrupts that continues it first.
            if let Some(slot) = handler.upcall.interrupted.take() {
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
        } else if let Some(slot) = self.first.pop() {
            let gives = vec![handler.stack_use];
            self.resume(number, slot, gives);
            return;
        } else {
            unreachable!("it picks a thread");
        }
        self.lwps[number] = Lwp::User(Context::Library(handler));
    }

    /// Something has been interrupted: a thread can go on later, unless it holds a lock; the library goes on first.
    fn is_interrupted(&mut self, slot: Slot) {
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

    fn hear(&mut self, handler: &mut Handler, event: Event) {
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
            Event::Preempted(_, slot) => self.is_interrupted(slot),
        }
    }

    fn unblock_yield(
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
        match said.expect("it is blocked") {
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
    fn pick(&mut self, number: usize, handler: Handler, which: usize) {
        let gives = vec![handler.stack_use];
        self.leave(number, gives, which, Some(handler.upcall.stack));
    }

    fn leave(&mut self, number: usize, gives: Vec<Gives>, which: usize, stack: Option<Stack>) {
        if which < self.ready.len() {
            let slot = self.ready.remove(self.ready.len() - 1 - which);
            return self.resume(number, slot, gives);
        }
        if !self.fresh.is_empty() {
            let thread = self.fresh.remove(0);
            return self.run(number, Context::Thread { thread, gives, calls: false });
        }
        let activation = Activation::new(number as u32);
        match self.protocol.yields(activation, stack, &mut self.words).unwrap() {
            Yield::Deliver => self.lwps[number] = Lwp::Started,
            Yield::Idle => self.lwps[number] = Lwp::Empty,
            Yield::Cached(nudge) => {
                self.lwps[number] = Lwp::Empty;
                self.act(nudge);
            }
        }
    }

    /// Goes on with what is in a slot, which is given back with the rest.
    fn resume(&mut self, number: usize, slot: Slot, mut gives: Vec<Gives>) {
        gives.push(Gives::Slot(slot, self.protocol.slot_use(slot)));
        let mut context = self.slots.remove(&slot.number()).expect("there is something in it");
        match &mut context {
            Context::Thread { gives: own, .. } => own.extend(gives),
            Context::Library(handler) => handler.gives.extend(gives),
        }
        self.run(number, context);
    }

    fn run(&mut self, number: usize, context: Context) {
        let home = self.protocol.processor_of(Activation::new(number as u32)).unwrap();
        if let Context::Thread { thread, .. } = context {
            let of = &mut self.threads[thread];
            assert_eq!(of.known, Known::Ready, "thread {thread} is run");
            of.known = Known::Runs;
            self.current[home.number() as usize] = Some(thread);
        }
        self.lwps[number] = Lwp::User(context);
    }

    // What must hold.

    /// Rule 3: no thread is at two places, and none that is not over is at none.
    fn count_contexts(&self) {
        let mut found = vec![0; self.threads.len()];
        let of_lwps = self.lwps.iter().filter_map(Lwp::context);
        for context in of_lwps.chain(self.slots.values()) {
            if let Context::Thread { thread, .. } = context {
                found[*thread] += 1;
            }
        }
        self.fresh.iter().for_each(|thread| found[*thread] += 1);
        for (number, thread) in self.threads.iter().enumerate() {
            let expected = usize::from(thread.known != Known::Over);
            assert_eq!(found[number], expected, "thread {number}, of which is known: {thread:?}");
        }
    }

    /// Nothing can happen any more: everybody is through.
    pub fn is_good_end(&self) -> bool {
        self.threads.iter().all(|thread| thread.known == Known::Over)
    }
}
