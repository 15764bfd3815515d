//! What is in the small process: contexts, the LWPs that have them, and what the library knows of threads.

use activations::{Activation, BlockNumber, Event, Slot, Stack, Upcall};
use std::hash::{Hash, Hasher};

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
    pub(super) upcall: Upcall,
    /// Which use of its stack it is.
    pub(super) stack_use: Gives,
    pub(super) events: Vec<Event>,
    /// What it has to give back, and whether it has to call after that.
    pub(super) gives: Vec<Gives>,
    pub(super) calls: bool,
    /// A thread that has blocked with a lock is to be put back.
    pub(super) puts_back: Option<(Activation, BlockNumber)>,
    /// The upcall has several events.
    pub(super) hears_more: bool,
    /// Upcalls that have interrupted this one, and stand below it until it is over.
    pub(super) below: Vec<Handler>,
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
    pub(super) fn context(&self) -> Option<&Context> {
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
    pub(super) known: Known,
    /// How often it will still block.
    pub(super) blocks: u32,
    /// It holds a lock of the library.
    pub(super) holds_lock: bool,
}
