//! Global priorities: one scale on which the threads of all scheduling classes compete.
//!
//! | range | class |
//! |---|---|
//! | 0 to 59 | time sharing |
//! | 60 to 99 | system |
//! | 100 to 159 | real time |
//! | 160 to 169 | interrupt threads, 159 plus the interrupt's level |
//!
//! From [`Priority::KERNEL_PREEMPT`] on a thread preempts others also while they run in the kernel,
//! and waits in the queue that all processors of its partition serve. The scale is Solaris'
//! (`v_maxsyspri`, `kpreemptpri`, `kpqpri`).

use atomics::{AtomicU16, Ordering};

/// How many priorities there are.
pub const PRIORITIES: usize = 170;

/// A global priority, or none at all: that of an idle processor and of an empty queue, below every
/// other. Represented by its number plus 1, and 0 for none: so loads and stores convert nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u16);

impl Priority {
    /// That of an idle processor and of an empty queue.
    pub const NONE: Priority = Priority(0);
    /// Lowest of time sharing, and of all.
    pub const MIN: Priority = Priority::new(0);
    /// Highest of time sharing.
    pub const TIME_SHARING_MAX: Priority = Priority::new(59);
    /// Lowest of the system class.
    pub const SYSTEM_MIN: Priority = Priority::new(60);
    /// Highest of the system class.
    pub const SYSTEM_MAX: Priority = Priority::new(99);
    /// Lowest that preempts the kernel and waits in the partition's queue.
    pub const KERNEL_PREEMPT: Priority = Priority::new(100);
    /// Lowest of real time.
    pub const REAL_TIME_MIN: Priority = Priority::new(100);
    /// Highest of real time.
    pub const REAL_TIME_MAX: Priority = Priority::new(159);
    /// Highest of all.
    pub const MAX: Priority = Priority::new(PRIORITIES as u8 - 1);

    /// The priority with this number, 0 to 169.
    pub const fn new(number: u8) -> Priority {
        assert!((number as usize) < PRIORITIES);
        Priority(number as u16 + 1)
    }

    /// That of the interrupt thread of a level from 1 to 10.
    pub const fn of_interrupt(level: u8) -> Priority {
        assert!(level >= 1 && level <= 10);
        Priority::new(159 + level)
    }

    /// Its number; `None` has none.
    pub const fn number(self) -> Option<u8> {
        if self.0 == 0 { None } else { Some((self.0 - 1) as u8) }
    }

    /// Its place among the levels of a queue; must not be [`Priority::NONE`].
    #[inline]
    pub(crate) fn index(self) -> usize {
        debug_assert!(self.0 > 0, "a thread has a priority");
        usize::from(self.0).wrapping_sub(1)
    }

    /// The priority at this place among the levels of a queue.
    #[inline]
    pub(crate) fn at(index: usize) -> Priority {
        debug_assert!(index < PRIORITIES);
        Priority(index as u16 + 1)
    }
}

/// A priority that others read without a lock. Who sees it sees what was written before it: the thread
/// whose priority it is.
pub(crate) struct AtomicPriority(AtomicU16);

impl AtomicPriority {
    pub(crate) fn new(priority: Priority) -> AtomicPriority {
        AtomicPriority(AtomicU16::new(priority.0))
    }

    #[inline]
    pub(crate) fn load(&self) -> Priority {
        Priority(self.0.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn store(&self, priority: Priority) {
        self.0.store(priority.0, Ordering::Release);
    }
}
