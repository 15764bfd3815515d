//! The kinds of events, and what an event holds.

/// An event's name: the processor that it happened on and its number there, from 1. Names of events
/// are only ever compared and looked up; an event may have been overwritten since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventId(u64);

impl EventId {
    /// No event.
    pub const NONE: EventId = EventId(0);

    const NUMBER_BITS: u32 = 48;

    /// The event with this number on this processor; the first has number 1.
    pub const fn new(processor: u16, number: u64) -> EventId {
        EventId((processor as u64) << Self::NUMBER_BITS | number & ((1 << Self::NUMBER_BITS) - 1))
    }

    /// As a word, to be kept in an atomic.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// From the word.
    pub const fn from_bits(bits: u64) -> EventId {
        EventId(bits)
    }

    /// Whether this is [`EventId::NONE`].
    pub const fn is_none(self) -> bool {
        self.number() == 0
    }

    /// The processor.
    pub const fn processor(self) -> u16 {
        (self.0 >> Self::NUMBER_BITS) as u16
    }

    /// The number on that processor.
    pub const fn number(self) -> u64 {
        self.0 & ((1 << Self::NUMBER_BITS) - 1)
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub id: EventId,
    /// When, in ticks of the machine's clock.
    pub stamp: u64,
    /// What.
    pub kind: Kind,
    /// What it was about; see the kind.
    pub argument: u64,
    /// The event that brought it about, or [`EventId::NONE`].
    pub cause: EventId,
}

/// How an event stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Something begins on its processor, and the next end of the same group ends it.
    Begin,
    /// Something ends.
    End,
    /// A moment.
    Moment,
}

macro_rules! groups {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Groups {
            $($(#[$doc])* pub const $name: Groups = Groups(1 << $bit);)*

            /// Every group, with its name.
            pub const NAMED: &'static [(&'static str, Groups)] = &[$(($text, Groups::$name)),*];
        }
    };
}

/// A set of groups of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups(u32);

groups! {
    /// Interrupts: handled, held back.
    INTERRUPT = 0, "interrupt";
    /// Pokes: sent, received.
    POKE = 1, "poke";
    /// Exceptions and page faults.
    FAULT = 2, "fault";
    /// System calls.
    CALL = 3, "call";
    /// A processor halts and goes on.
    IDLE = 4, "idle";
    /// One context makes way for another.
    SWITCH = 5, "switch";
    /// Programs start and end.
    PROGRAM = 6, "program";
    /// Threads begin, end, get and lose processors, sleep and wake.
    DISPATCH = 7, "dispatch";
    /// Bindings of threads, and processors that go off and on line.
    BIND = 8, "bind";
    /// Virtual memory: faults being helped, pages read and written, chains taken apart, translations forgotten.
    MEMORY = 9, "memory";
    /// Scheduler activations: threads of programs that block and come back, upcalls, processors granted and taken.
    ACTIVATIONS = 10, "activations";
}

impl Groups {
    /// No group.
    pub const NONE: Groups = Groups(0);
    /// Every group.
    pub const ALL: Groups = {
        let mut all = 0;
        let mut index = 0;
        while index < Groups::NAMED.len() {
            all |= Groups::NAMED[index].1.0;
            index += 1;
        }
        Groups(all)
    };

    /// As a word, to be kept in an atomic.
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// From the word.
    pub const fn from_bits(bits: u32) -> Groups {
        Groups(bits)
    }

    /// Both sets together.
    pub const fn with(self, other: Groups) -> Groups {
        Groups(self.0 | other.0)
    }

    /// This set without the other.
    pub const fn without(self, other: Groups) -> Groups {
        Groups(self.0 & !other.0)
    }

    /// Whether the sets have a group in common.
    pub const fn meets(self, other: Groups) -> bool {
        self.0 & other.0 != 0
    }

    /// Reads `all`, `none`, or names with commas; `None` if a name is no group's.
    pub fn parse(text: &str) -> Option<Groups> {
        match text {
            "all" => return Some(Groups::ALL),
            "none" => return Some(Groups::NONE),
            _ => {}
        }
        text.split(',').try_fold(Groups::NONE, |groups, name| {
            let (_, group) = Groups::NAMED.iter().find(|(known, _)| *known == name)?;
            Some(groups.with(*group))
        })
    }
}

macro_rules! kinds {
    ($($name:ident = $number:literal, $group:ident, $phase:ident, $text:literal, $argument:literal;)*) => {
        /// What can happen. The number is in the trace; it is never given to another kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Kind {
            $(#[doc = concat!("`", $text, "`; its argument: ", $argument, ".")] $name = $number,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$name),*];

            /// The group that switches it on.
            pub const fn group(self) -> Groups {
                match self {
                    $(Kind::$name => Groups::$group,)*
                }
            }

            /// How it stands in time.
            pub const fn phase(self) -> Phase {
                match self {
                    $(Kind::$name => Phase::$phase,)*
                }
            }

            /// Its name: one word.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Kind::$name => $text,)*
                }
            }

            /// What its argument says.
            pub const fn argument(self) -> &'static str {
                match self {
                    $(Kind::$name => $argument,)*
                }
            }

            /// The kind with this number.
            pub const fn from_number(number: u8) -> Option<Kind> {
                match number {
                    $($number => Some(Kind::$name),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    InterruptBegin = 1, INTERRUPT, Begin, "interrupt", "level * 16 + line";
    InterruptEnd = 2, INTERRUPT, End, "interrupt-end", "level * 16 + line";
    InterruptHeld = 3, INTERRUPT, Moment, "interrupt-held", "level * 16 + line";
    PokeSent = 4, POKE, Moment, "poke-sent", "the other processor";
    PokeReceived = 5, POKE, Moment, "poke-received", "nothing";
    PageFault = 6, FAULT, Moment, "page-fault", "the address";
    Exception = 7, FAULT, Moment, "exception", "the vector";
    CallBegin = 8, CALL, Begin, "call", "the number of the system call";
    CallEnd = 9, CALL, End, "call-end", "the result";
    IdleBegin = 10, IDLE, Begin, "idle", "nothing";
    IdleEnd = 11, IDLE, End, "idle-end", "nothing";
    Switch = 12, SWITCH, Moment, "switch", "the address of the next context";
    ProgramBegin = 13, PROGRAM, Begin, "program", "the first instruction";
    ProgramEnd = 14, PROGRAM, End, "program-end", "the status, or 256 plus the signal";
    ThreadBegin = 15, DISPATCH, Moment, "thread", "the thread";
    ThreadEnd = 16, DISPATCH, Moment, "thread-end", "the thread";
    Dispatch = 17, DISPATCH, Moment, "dispatch", "the thread that the processor goes to";
    Block = 18, DISPATCH, Moment, "block", "the address of what is waited for";
    Wake = 19, DISPATCH, Moment, "wake", "the thread that has been woken";
    Preempt = 20, DISPATCH, Moment, "preempt", "the thread whose processor is taken away";
    Migrate = 21, DISPATCH, Moment, "migrate", "the thread that comes from another processor";
    Bind = 22, BIND, Moment, "bind", "the thread";
    Unbind = 23, BIND, Moment, "unbind", "the thread";
    OffLine = 24, BIND, Moment, "off-line", "the processor";
    OnLine = 25, BIND, Moment, "on-line", "the processor";
    FaultBegin = 26, MEMORY, Begin, "fault", "the address of the page";
    FaultEnd = 27, MEMORY, End, "fault-end", "what it came to: see `FaultEnd`";
    PageIn = 28, MEMORY, Moment, "page-in", "the first page's place on the device";
    PageInDone = 29, MEMORY, Moment, "page-in-done", "how many pages have been read; 0 if the device failed";
    PageOut = 30, MEMORY, Moment, "page-out", "the first page's slot of swap space";
    PageOutDone = 31, MEMORY, Moment, "page-out-done", "how many pages have been written; 0 if the device failed";
    Collapse = 32, MEMORY, Moment, "collapse", "the number of the object that is merged into its shadow";
    Bypass = 33, MEMORY, Moment, "bypass", "the number of the object that a shadow looks past";
    ShootDownBegin = 34, MEMORY, Begin, "shoot-down", "the processors that are asked: a bit for each";
    ShootDownEnd = 35, MEMORY, End, "shoot-down-end", "nothing";
    ShootDownDone = 36, MEMORY, Moment, "shoot-down-done", "the processor that has asked";
    ActivationBlocks = 38, ACTIVATIONS, Moment, "activation-blocks", "its virtual processor * 65536 + the activation";
    ActivationReturns = 39, ACTIVATIONS, Moment, "activation-returns", "its virtual processor * 65536 + the activation";
    Upcall = 40, ACTIVATIONS, Moment, "upcall", "the virtual processor * 65536 + a bit for each of the seven kinds of events";
    ProcessorGranted = 41, ACTIVATIONS, Moment, "processor-granted", "the process's place * 65536 + how many processors";
    ProcessorIdle = 42, ACTIVATIONS, Moment, "processor-idle-taken", "the process's place * 65536 + how many processors";
    ProcessorNotice = 43, ACTIVATIONS, Moment, "processor-notice", "the process's place * 65536 + how many processors it is to give back";
    ProcessorForced = 44, ACTIVATIONS, Moment, "processor-forced", "the process's place * 65536 + how many processors";
    CallArgument = 37, CALL, Moment, "call-argument", "an argument of the call that is its cause; the first one comes first";
}

impl Kind {
    /// The kind with this name.
    pub fn from_text(text: &str) -> Option<Kind> {
        Self::ALL.iter().copied().find(|kind| kind.text() == text)
    }
}

macro_rules! fault_ends {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        /// What an attempt to help a fault came to: the argument of [`Kind::FaultEnd`]. An attempt that has to wait
        /// ends, and another one begins after the wait.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum FaultEnd {
            $(#[doc = concat!("`", $text, "`.")] $name = $number,)*
        }

        impl FaultEnd {
            /// All of them.
            pub const ALL: &'static [FaultEnd] = &[$(FaultEnd::$name),*];

            /// In words.
            pub const fn text(self) -> &'static str {
                match self {
                    $(FaultEnd::$name => $text,)*
                }
            }

            /// The one with this number.
            pub fn from_number(number: u64) -> Option<FaultEnd> {
                Self::ALL.iter().copied().find(|end| *end as u64 == number)
            }
        }
    };
}

fault_ends! {
    Failed = 0, "cannot be helped";
    Again = 1, "begins again";
    WaitsForPage = 2, "waits for a busy page";
    WaitsForMemory = 3, "waits for memory";
    WaitsForDevice = 4, "waits for a device";
    Resident = 5, "the page was there";
    File = 6, "the file's page was there";
    Zeros = 7, "a page of zeros";
    Copied = 8, "a copy";
    Below = 9, "the page of a backing object, to be read";
    Read = 10, "the page has been read";
    Frame = 11, "a device's frame";
}

#[cfg(test)]
mod tests {
    use super::{EventId, FaultEnd, Groups, Kind};

    #[test]
    fn names_and_numbers_lead_back_to_their_kind() {
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_number(kind as u8), Some(kind));
            assert_eq!(Kind::from_text(kind.text()), Some(kind), "{kind:?}");
        }
        assert_eq!(Kind::from_number(0), None, "0 is an empty slot");
        for &end in FaultEnd::ALL {
            assert_eq!(FaultEnd::from_number(end as u64), Some(end));
        }
        assert_eq!(FaultEnd::from_number(99), None);
    }

    #[test]
    fn groups_are_read_by_name() {
        assert_eq!(Groups::parse("all"), Some(Groups::ALL));
        assert_eq!(Groups::parse("none"), Some(Groups::NONE));
        assert_eq!(Groups::parse("poke,idle"), Some(Groups::POKE.with(Groups::IDLE)));
        assert_eq!(Groups::parse("poke,"), None);
        assert_eq!(Groups::parse("nonsense"), None);
    }

    #[test]
    fn an_identity_keeps_both_its_parts() {
        let id = EventId::new(63, 123_456_789);
        assert_eq!((id.processor(), id.number()), (63, 123_456_789));
        assert_eq!(EventId::from_bits(id.to_bits()), id);
        assert!(EventId::NONE.is_none() && !id.is_none());
    }
}
