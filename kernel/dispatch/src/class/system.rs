//! The system class and that of interrupt threads: fixed priorities, and nobody's turn is ever
//! over.
//!
//! Solaris: `SYS`, and what `thread_create_intr` sets up.

use super::{INFINITE, SchedulingClass, Verdict};
use crate::priority::Priority;
use crate::run_queue::End;
use crate::thread::Thread;

/// A class without turns.
pub(super) struct Fixed {
    lowest: Priority,
    highest: Priority,
}

pub(super) const SYSTEM: Fixed =
    Fixed { lowest: Priority::SYSTEM_MIN, highest: Priority::SYSTEM_MAX };

pub(super) const INTERRUPT: Fixed =
    Fixed { lowest: Priority::of_interrupt(1), highest: Priority::of_interrupt(10) };

impl SchedulingClass for Fixed {
    fn range(&self) -> (Priority, Priority) {
        (self.lowest, self.highest)
    }

    fn enter(&self, thread: &Thread, priority: Priority) {
        thread.priority.store(priority);
        thread.class.begin_turn(INFINITE, 0);
    }

    fn tick(&self, _: &Thread) -> Verdict {
        Verdict::GoesOn
    }

    fn preempted(&self, _: &Thread) -> End {
        End::Front
    }

    fn sleeps(&self, _: &Thread) {}

    fn wakes(&self, _: &Thread) -> End {
        End::Back
    }

    fn starves(&self, _: &Thread, _: u64, _: u64) -> bool {
        false
    }

    fn lift(&self, _: &Thread) {}
}
