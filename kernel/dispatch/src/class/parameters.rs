//! Changing a thread's class and what the class knows of it, within its limits: what `priocntl` is
//! for.

use super::time_sharing::{self, USER_PRIORITY_MAX};
use super::{Class, change};
use crate::change_priority::{Changed, change_own};
use crate::priority::Priority;
use crate::run_queue::End;
use crate::thread::Thread;
use atomics::Ordering;
use machine::time;

/// What a class may be told about a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// Time sharing with a user's wish from -60 to 60; see [`time_sharing::of_nice`].
    TimeSharing {
        /// The wish.
        user_priority: i8,
    },
    /// The kernel's own class.
    System {
        /// The fixed priority, 60 to 99.
        priority: Priority,
    },
    /// Real time.
    RealTime {
        /// The fixed priority, 100 to 159.
        priority: Priority,
        /// How many clock ticks a turn has: at least 1, or [`INFINITE`](super::INFINITE).
        quantum: u32,
    },
}

/// A parameter is outside of what its class allows; or the thread belongs to its processor, as an idle or an
/// interrupt thread does, and has no other class or priority ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange;

impl Parameters {
    /// Whether the class allows it.
    pub fn check(self) -> Result<(), OutOfRange> {
        let allowed = |class: Class, priority: Priority| {
            let (lowest, highest) = class.range();
            lowest <= priority && priority <= highest
        };
        let good = match self {
            Parameters::TimeSharing { user_priority } => {
                (-USER_PRIORITY_MAX..=USER_PRIORITY_MAX).contains(&user_priority)
            }
            Parameters::System { priority } => allowed(Class::System, priority),
            Parameters::RealTime { priority, quantum } => {
                allowed(Class::RealTime, priority) && quantum != 0
            }
        };
        if good { Ok(()) } else { Err(OutOfRange) }
    }

    /// Changes a thread, which is locked and in no queue.
    fn apply(self, thread: &Thread) {
        let data = &thread.class;
        match self {
            Parameters::TimeSharing { user_priority } => {
                data.user_priority.store(user_priority as u8, Ordering::Relaxed);
                if thread.class() == Class::TimeSharing {
                    // The level stays: one does not rise by changing one's wish.
                    time_sharing::set_priority(thread);
                } else {
                    change(thread, Class::TimeSharing, Priority::new(MIDDLE));
                }
            }
            Parameters::System { priority } => change(thread, Class::System, priority),
            Parameters::RealTime { priority, quantum } => {
                change(thread, Class::RealTime, priority);
                data.begin_turn(quantum, time::now());
            }
        }
    }
}

/// The level with which a thread comes from another class to time sharing.
const MIDDLE: u8 = 29;

/// Changes a thread's class, or what its class knows of it. A thread that waits takes its new place
/// at once; one that runs gives way if it is no longer the most important. Does nothing to a thread
/// that is over.
pub fn set(thread: &'static Thread, parameters: Parameters) -> Result<(), OutOfRange> {
    parameters.check()?;
    match change_own(thread, End::Back, |thread| parameters.apply(thread)) {
        Changed::NotItsOwn => Err(OutOfRange),
        Changed::Yes | Changed::IsOver => Ok(()),
    }
}
