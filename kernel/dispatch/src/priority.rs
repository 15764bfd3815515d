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
/// other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(i16);

impl Priority {
    /// That of an idle processor and of an empty queue.
    pub const NONE: Priority = Priority(-1);
    /// Lowest of time sharing, and of all.
    pub const MIN: Priority = Priority(0);
    /// Highest of time sharing.
    pub const TIME_SHARING_MAX: Priority = Priority(59);
    /// Lowest of the system class.
    pub const SYSTEM_MIN: Priority = Priority(60);
    /// Highest of the system class.
    pub const SYSTEM_MAX: Priority = Priority(99);
    /// Lowest that preempts the kernel and waits in the partition's queue.
    pub const KERNEL_PREEMPT: Priority = Priority(100);
    /// Lowest of real time.
    pub const REAL_TIME_MIN: Priority = Priority(100);
    /// Highest of real time.
    pub const REAL_TIME_MAX: Priority = Priority(159);
    /// Highest of all.
    pub const MAX: Priority = Priority(PRIORITIES as i16 - 1);

    /// The priority with this number, 0 to 169.
    pub const fn new(number: u8) -> Priority {
        assert!((number as usize) < PRIORITIES);
        Priority(number as i16)
    }

    /// That of the interrupt thread of a level from 1 to 10.
    pub const fn of_interrupt(level: u8) -> Priority {
        assert!(level >= 1 && level <= 10);
        Priority(159 + level as i16)
    }

    /// Its number; `None` has none.
    pub const fn number(self) -> Option<u8> {
        if self.0 < 0 { None } else { Some(self.0 as u8) }
    }

    /// Its place among the levels of a queue; must not be [`Priority::NONE`].
    #[inline]
    pub(crate) fn index(self) -> usize {
        debug_assert!(self.0 >= 0, "a thread has a priority");
        self.0 as usize
    }
}

/// A priority that others read without a lock. Who sees it sees what was written before it: the thread
/// whose priority it is.
pub(crate) struct AtomicPriority(AtomicU16);

impl AtomicPriority {
    pub(crate) fn new(priority: Priority) -> AtomicPriority {
        AtomicPriority(AtomicU16::new((priority.0 + 1) as u16))
    }

    #[inline]
    pub(crate) fn load(&self) -> Priority {
        Priority(self.0.load(Ordering::Acquire) as i16 - 1)
    }

    #[inline]
    pub(crate) fn store(&self, priority: Priority) {
        self.0.store((priority.0 + 1) as u16, Ordering::Release);
    }
}
