//! A frame: 4 KiB of physical memory, its number and its descriptor.
//!
//! There is one descriptor per frame, in one array from frame 0 up. The allocator works in *blocks*
//! of 2^order frames; a block's state stands in the descriptor of its first frame, the *head*. The
//! descriptors of the other frames say `Kind::Tail`, or still `Kind::Absent` if they never were
//! a head: so making, splitting and joining a block touches its head or two, not every frame.
//!
//! A descriptor of zeros says `Kind::Absent`.
//!
//! The fields are core's atomics in every flavour. Links are changed under the allocator's lock only.
//! The state of a used or cached frame is changed by whoever has the frame, with or without the lock:
//! there is no order to keep, but a second free of the same frame must lose. So whoever frees
//! something used *claims* it first, with a compare-and-exchange of kind and order together; only the
//! one who succeeds goes on. Nothing says that it is used unless somebody has allocated it.

use core::fmt;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// Bytes in a frame, as a power of two.
pub const FRAME_SHIFT: u32 = 12;

/// Bytes in a frame.
pub const FRAME_SIZE: u64 = 1 << FRAME_SHIFT;

/// Which frame: its physical address divided by [`FRAME_SIZE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameNumber(u64);

impl FrameNumber {
    /// The frame with this number.
    pub const fn new(number: u64) -> FrameNumber {
        FrameNumber(number)
    }

    /// The frame that contains this physical address.
    pub const fn containing(address: u64) -> FrameNumber {
        FrameNumber(address >> FRAME_SHIFT)
    }

    /// The first frame that begins at this physical address or above.
    pub const fn at_or_above(address: u64) -> FrameNumber {
        FrameNumber(address.div_ceil(FRAME_SIZE))
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The physical address of its first byte.
    pub const fn address(self) -> u64 {
        self.0 << FRAME_SHIFT
    }
}

impl fmt::Debug for FrameNumber {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "frame {:#x}", self.0)
    }
}

impl fmt::Display for FrameNumber {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, to)
    }
}

/// What a frame is, as seen from outside ([`FrameAllocator::state`](crate::FrameAllocator::state)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameState {
    /// No memory, or none that the allocator has been told of.
    Absent,
    /// Memory that is not for the allocator: firmware's, the kernel's image.
    Reserved,
    /// The head of a free block.
    Free {
        /// The block has 2^order frames.
        order: u8,
    },
    /// The head of a block that somebody has allocated.
    Used {
        /// The block has 2^order frames.
        order: u8,
    },
    /// A free frame in a processor's cache.
    Cached,
    /// Inside a free block, but not its head.
    InsideFree {
        /// The head.
        head: FrameNumber,
    },
    /// Inside a block that somebody has allocated, but not its head.
    InsideUsed {
        /// The head.
        head: FrameNumber,
    },
}

/// What a descriptor says. See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Not the head of a block, and never was.
    Absent,
    /// Inside a block.
    Tail,
    /// Heads a reserved block.
    Reserved,
    /// Heads a free block.
    Free,
    /// Heads a block that somebody has allocated.
    Used,
    /// In a processor's cache; order 0.
    Cached,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Absent, Kind::Tail, Kind::Reserved, Kind::Free, Kind::Used, Kind::Cached];

    fn from_byte(byte: u8) -> Kind {
        Kind::ALL[usize::from(byte)]
    }

    /// Whether the descriptor heads a block.
    pub(crate) fn is_head(self) -> bool {
        !matches!(self, Kind::Absent | Kind::Tail)
    }
}

/// A frame's descriptor. See the module.
pub struct Frame {
    /// Free heads: the index of the next head in the free list of this order.
    pub(crate) next: AtomicU32,
    /// Free heads: the index of the head before.
    pub(crate) previous: AtomicU32,
    /// Kind in the low byte, order in the high one: one word, so that a claim covers both.
    state: AtomicU16,
}

/// How a descriptor says it.
const fn state(kind: Kind, order: u8) -> u16 {
    u16::from_le_bytes([kind as u8, order])
}

const _: () = assert!(size_of::<Frame>() <= 16, "a descriptor per frame has to stay small");

impl Frame {
    /// What it says, and for heads: the block has 2^order frames.
    #[inline]
    pub(crate) fn says(&self) -> (Kind, u8) {
        let [kind, order] = self.state.load(Ordering::Relaxed).to_le_bytes();
        (Kind::from_byte(kind), order)
    }

    /// Makes it say something else. Not for what others may claim.
    #[inline]
    pub(crate) fn set(&self, kind: Kind, order: u8) {
        self.state.store(state(kind, order), Ordering::Relaxed);
    }

    /// Makes the head of a block of this kind and order say something else, of order 0; of several
    /// who try, one succeeds.
    #[inline]
    pub(crate) fn claim(&self, from: Kind, order: u8, to: Kind) -> bool {
        self.state
            .compare_exchange(
                state(from, order),
                state(to, 0),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Makes a used single frame a cached one; of several who try, one succeeds.
    #[inline]
    pub(crate) fn cache(&self) -> bool {
        self.claim(Kind::Used, 0, Kind::Cached)
    }
}
