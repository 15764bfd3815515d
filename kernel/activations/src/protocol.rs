//! The state of one process.

use crate::deliver::Posted;
use crate::faults::Faults;
use crate::lent::Lent;
use crate::list::{List, Pile};
use crate::numbers::{Activation, BlockNumber, Stack, VirtualProcessor};
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::ops::Range;

/// There is no memory for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// An empty list with room for so many.
pub(crate) fn reserved<T>(most: u32) -> Result<Vec<T>, OutOfMemory> {
    let mut list = Vec::new();
    list.try_reserve_exact(most as usize).map_err(|_| OutOfMemory)?;
    Ok(list)
}

/// How much there can be of what the program chooses the number of.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Virtual processors.
    pub processors: u32,
    /// Upcall stacks.
    pub stacks: u32,
    /// Save slots; all of them are there from the beginning.
    pub slots: u32,
    /// Addresses of the text of the library's scheduler: see [`crate::faults`].
    pub scheduler: Range<u64>,
}

/// Where an activation is. See the picture in [`crate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum State {
    /// There is none of this number.
    Absent,
    /// It is being made.
    Made,
    /// It sleeps, and has no thread: it can be used.
    Cached,
    /// It is a virtual processor's.
    On(VirtualProcessor),
    /// It sleeps in the kernel with its thread, or is on its way back.
    Blocked,
    /// It is at the border of user mode; its UNBLOCKED is held back until a stack is back.
    Held,
    /// Likewise; its UNBLOCKED can be told.
    Queued,
    /// Likewise; its PREEMPTED can be told.
    Preempted,
    /// Its thread's registers are being put into a slot.
    Told,
    /// It sleeps in the kernel, and this one waits for it: see [`crate::yielding`].
    Awaited(Activation),
    /// It is at the border, and a call takes its thread.
    Kept,
}

/// An activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) state: State,
    /// How often it has blocked, as the library was told.
    pub(crate) blocks: BlockNumber,
    /// The stack of its last BLOCKED, until that is back.
    pub(crate) stack: Option<Stack>,
    /// Where it has run last.
    pub(crate) home: VirtualProcessor,
    /// The next in the list that it is in.
    pub(crate) next: Option<Activation>,
}

/// One without a thread is as good as another.
impl Hash for Record {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state.hash(hasher);
        match self.state {
            State::Absent | State::Cached => {}
            State::Queued | State::Preempted => {
                (self.blocks, self.stack, self.home, self.next).hash(hasher);
            }
            _ => (self.blocks, self.stack, self.home).hash(hasher),
        }
    }
}

/// What a virtual processor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Use {
    /// The program has not asked for it.
    Absent,
    /// It has no processor.
    Waiting,
    /// The library had nothing to do on it; the activation sleeps and can be started again.
    Idle(Activation),
    /// The activation has been started, and has not begun its upcall.
    Starting(Activation),
    /// The activation runs.
    Running(Activation),
    /// The activation sleeps, and nobody was told.
    Stalled(Activation),
}

/// What an upcall tells first, of its virtual processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum First {
    NewProcessor,
    Blocked(Activation, BlockNumber),
}

/// Which upcall of its virtual processor it is. For what happens next it matters only whether that is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpcallNumber(pub u32);

impl Hash for UpcallNumber {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// Whether the allocator has to hear of something. It is no part of what the protocol does next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct News(pub(crate) bool);

impl PartialEq for News {
    fn eq(&self, _: &News) -> bool {
        true
    }
}

impl Eq for News {}

impl Hash for News {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A virtual processor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Processor {
    pub(crate) used: Use,
    /// For the upcall that is about to begin.
    pub(crate) stack: Option<Stack>,
    pub(crate) first: Option<First>,
    /// The number of its last upcall.
    pub(crate) upcalls: UpcallNumber,
    /// Its activation is telling events: it takes what comes meanwhile along.
    pub(crate) tells: bool,
    /// The first event is told alone.
    pub(crate) is_alone: bool,
    /// Its activation has been told to come to the border of user mode.
    pub(crate) is_poked: bool,
    /// Its processor is to be taken away.
    pub(crate) is_revoked: bool,
    /// It has no processor, and could use one.
    pub(crate) wants: bool,
    /// What has been posted to this one.
    pub(crate) posted: Posted,
}

impl Processor {
    /// Whether it will look for events that any virtual processor can tell.
    pub(crate) fn is_under_way(&self) -> bool {
        let is_starting = matches!(self.used, Use::Starting(_));
        is_starting || self.tells || self.is_poked && !self.is_revoked
    }
}

/// What has happened, counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Events told: NEWPROC, PREEMPTED, BLOCKED, UNBLOCKED, SIGNAL, SIGEV, USER.
    pub told: [u64; 7],
    /// Upcalls, and those of them that have interrupted something.
    pub upcalls: u64,
    /// See [`Counts::upcalls`].
    pub interrupting: u64,
    /// A virtual processor stalled: for a fault that must raise no upcall.
    pub stalled_by_fault: u64,
    /// For want of an activation.
    pub stalled_without_activation: u64,
    /// For want of a stack.
    pub stalled_without_stack: u64,
    /// Because the library put a thread back that holds its locks.
    pub put_back: u64,
    /// An UNBLOCKED was held back.
    pub held_back: u64,
    /// A virtual processor lost its processor: it idled.
    pub taken_idle: u64,
    /// The library gave it back.
    pub given_back: u64,
    /// It was taken by force.
    pub taken: u64,
    /// It was to be taken by force, and was in the library.
    pub spared: u64,
    /// There was no stack or slot to lend.
    pub no_stack: u64,
    /// See [`Counts::no_stack`].
    pub no_slot: u64,
}

/// Counts are no part of what is compared: two states that differ in them alone go on alike.
impl PartialEq for Counts {
    fn eq(&self, _: &Counts) -> bool {
        true
    }
}

impl Eq for Counts {}

impl Hash for Counts {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// The protocol's state of one process. See [`crate`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocol {
    pub(crate) records: Vec<Record>,
    pub(crate) processors: Vec<Processor>,
    pub(crate) stacks: Lent,
    pub(crate) slots: Lent,
    /// For each stack, whose BLOCKED it is lent for.
    pub(crate) blocked_on: Vec<Option<Activation>>,
    /// Numbers that no activation has.
    pub(crate) absent: Pile,
    /// Activations without a thread.
    pub(crate) cache: Pile,
    /// Activations with an event that can be told, in order.
    pub(crate) events: List,
    /// What has been posted to whichever virtual processor.
    pub(crate) posted: Posted,
    /// How many virtual processors want a processor.
    pub(crate) waiting: u32,
    /// How many processors the program is to give back.
    pub(crate) owed: u32,
    /// It wants a processor more, or has given one back.
    pub(crate) news: News,
    pub(crate) faults: Faults,
    pub(crate) counts: Counts,
}

impl Protocol {
    /// A process without virtual processors, stacks and activations.
    pub fn new(limits: Limits) -> Result<Protocol, OutOfMemory> {
        let mut slots = Lent::new(limits.slots)?;
        while slots.add().is_some_and(|added| added + 1 < limits.slots) {}
        let mut processors = reserved(limits.processors)?;
        let absent = Processor {
            used: Use::Absent,
            stack: None,
            first: None,
            upcalls: UpcallNumber(0),
            tells: false,
            is_alone: false,
            is_poked: false,
            is_revoked: false,
            wants: false,
            posted: Posted::empty(),
        };
        processors.resize(limits.processors as usize, absent);
        Ok(Protocol {
            records: Vec::new(),
            processors,
            stacks: Lent::new(limits.stacks)?,
            slots,
            blocked_on: reserved(limits.stacks)?,
            absent: Pile::default(),
            cache: Pile::default(),
            events: List::default(),
            posted: Posted::empty(),
            waiting: 0,
            owed: 0,
            news: News(false),
            faults: Faults::new(limits.stacks, limits.scheduler)?,
            counts: Counts::default(),
        })
    }

    /// One more stack to lend, at these addresses. `None` if there are as many as there can be.
    pub fn add_stack(&mut self, addresses: Range<u64>) -> Option<Stack> {
        let stack = Stack::new(self.stacks.add()?);
        self.faults.add_stack(addresses);
        self.blocked_on.extend([None]);
        Some(stack)
    }

    /// One more activation. It is used from [`Protocol::cache_activation`] on.
    pub fn make_activation(&mut self) -> Result<Activation, OutOfMemory> {
        self.make_record(State::Made)
    }

    /// An activation that was made sleeps until it is started.
    pub fn cache_activation(&mut self, activation: Activation) {
        debug_assert_eq!(self.record(activation).state, State::Made);
        self.put_into_cache(activation);
    }

    /// An activation that was made is not used.
    pub fn unmake_activation(&mut self, activation: Activation) {
        debug_assert_eq!(self.record(activation).state, State::Made);
        self.record(activation).state = State::Absent;
        self.absent.put(activation, &mut self.records);
    }

    /// Whether an activation that has been started goes on with what it did before, and does not begin an upcall.
    pub fn goes_on(&self, activation: Activation) -> bool {
        let home = self.processor_of(activation);
        home.is_some_and(|home| self.processors[home.place()].used == Use::Running(activation))
    }

    pub(crate) fn make_record(&mut self, state: State) -> Result<Activation, OutOfMemory> {
        let home = VirtualProcessor::new(0);
        let record = Record { state, blocks: 0, stack: None, home, next: None };
        if let Some(absent) = self.absent.take(&mut self.records) {
            // Numbers of blocks go on: the program knows them.
            let blocks = self.record(absent).blocks;
            *self.record(absent) = Record { blocks, ..record };
            return Ok(absent);
        }
        self.records.try_reserve(1).map_err(|_| OutOfMemory)?;
        self.records.extend([record]);
        Ok(Activation::new(self.records.len() as u32 - 1))
    }

    /// How many activations the cache lacks, so that every virtual processor that runs could block, and every one that waits
    /// begin.
    pub fn wanted_activations(&self) -> u32 {
        if cfg!(feature = "bug-sa-lost-vp") {
            // One, and that is not replaced.
            return u32::from(self.records.len() < self.processors.len() + 1);
        }
        let waiting = self.processors.iter().filter(|one| one.used == Use::Waiting).count() as u32;
        (self.at_work() + waiting).saturating_sub(self.cache.count())
    }

    /// How many virtual processors could block.
    pub(crate) fn at_work(&self) -> u32 {
        let is_at_work = |processor: &&Processor| {
            matches!(processor.used, Use::Running(_) | Use::Starting(_) | Use::Stalled(_))
        };
        self.processors.iter().filter(is_at_work).count() as u32
    }

    /// What has happened.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn record(&mut self, activation: Activation) -> &mut Record {
        &mut self.records[activation.place()]
    }

    pub(crate) fn processor(&mut self, processor: VirtualProcessor) -> &mut Processor {
        &mut self.processors[processor.place()]
    }

    /// The virtual processor of an activation, if it is on one.
    pub fn processor_of(&self, activation: Activation) -> Option<VirtualProcessor> {
        match self.records[activation.place()].state {
            State::On(processor) => Some(processor),
            _ => None,
        }
    }

    /// The number of the last upcall of a virtual processor.
    pub fn last_upcall(&self, home: VirtualProcessor) -> UpcallNumber {
        self.processors[home.place()].upcalls
    }

    /// The number of an activation's last block that was told, or is about to be.
    pub fn last_block(&self, activation: Activation) -> BlockNumber {
        self.records[activation.place()].blocks
    }

    pub(crate) fn put_into_cache(&mut self, activation: Activation) {
        self.record(activation).state = State::Cached;
        self.cache.put(activation, &mut self.records);
    }
}
