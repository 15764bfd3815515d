//! A process in small: the protocol itself, a kernel that does what it says, and a library that decides as freely as it
//! may. Every step is one that could be interrupted by any other.
//!
//! What runs is a [`Context`]: it is at one place at a time, which the types see to (contexts are moved, not copied); that
//! none is lost, the world checks in every state.
//!
//! | file | is |
//! |---|---|
//! | this one | the world: what can happen next, and what must hold |
//! | [`context`] | what runs, and where it can be |
//! | [`words`] | what kernel and library share |
//! | [`kernel`], [`library`] | what each of the two does |

#![allow(dead_code, reason = "each test uses a part")]

mod context;
mod kernel;
mod library;
mod words;

use activations::{
    Activation, Block, BlockNumber, Cause, Limits, Nudge, Posted, Protocol, Slot, Stack,
};
use context::{Context, Handler, Known, Lwp, Thread};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
pub use words::Words;

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
    /// An upcall that has interrupted another one stands below that until it is over.
    pub puts_off: bool,
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
        puts_off: false,
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
    puts_off: bool,
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
    /// It gives its processor back instead, as it was told.
    GivesBack(usize),
    /// The program is told to give one processor more back.
    Notices,
    /// What it has not given back is taken.
    Forces,
    /// A virtual processor that wants one gets a processor.
    Grants,
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
            | Step::GivesBack(lwp)
            | Step::Picks(lwp, _) => Some(lwp),
            Step::Wakes(_) | Step::Notices | Step::Forces | Step::Grants | Step::Posts => None,
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
            puts_off: plan.puts_off,
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
            let added = world.protocol.add_processor(&mut world.words);
            assert_eq!(added, Some(Nudge::Nobody));
            let nudge = world.protocol.grant(&mut world.words);
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
        if self.protocol.is_short() {
            steps.push(Step::Grants);
        }
        if self.revocations > 0 && self.protocol.owed() < self.protocol.demand().granted {
            steps.push(Step::Notices);
        }
        if self.protocol.clone().force() != 0 {
            steps.push(Step::Forces);
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
                let is_done = has_heard && handler.puts_back.is_none() && handler.below.is_empty();
                if is_done && handler.gives.is_empty() && !handler.calls && self.first.is_empty() {
                    for which in 0..self.choices().max(1) {
                        steps.push(Step::Picks(number, which));
                    }
                    if self.protocol.owed() != 0 {
                        steps.push(Step::GivesBack(number));
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
            Step::GivesBack(number) => {
                let Lwp::User(Context::Library(handler)) = self.take_lwp(number) else { panic!() };
                self.gives_back(number, handler);
            }
            Step::Notices => {
                self.revocations -= 1;
                // Who idles loses his processor without being asked.
                if !self.protocol.take_idle() {
                    let nudge = self.protocol.notice(self.protocol.owed() + 1, &mut self.words);
                    self.act(nudge);
                }
            }
            Step::Forces => {
                self.protocol.force();
            }
            Step::Grants => {
                let nudge = self.protocol.grant(&mut self.words);
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
