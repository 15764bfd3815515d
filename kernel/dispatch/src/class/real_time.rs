//! The real-time class: fixed priorities, and turns among equals.
//!
//! A thread whose turn is over goes behind the others of its priority. A turn may be without end;
//! then it runs until it sleeps or something more important comes. Sleeping begins a new turn.
//!
//! Solaris: `RT`, `rt_dptbl`.

use super::{INFINITE, SchedulingClass, Verdict};
use crate::priority::Priority;
use crate::run_queue::End;
use crate::thread::Thread;
use atomics::Ordering;
use machine::time;

/// The turn of a thread that says nothing about it, in clock ticks: 100 ms at the lowest priority,
/// shorter the more important it is, 10 ms at the highest.
pub(super) const fn default_quantum(priority: Priority) -> u32 {
    let above = match priority.number() {
        Some(number) => number.saturating_sub(100) as u32,
        None => 0,
    };
    10 - above * 9 / 59
}

/// The class' rules.
pub(super) struct RealTime;

impl SchedulingClass for RealTime {
    fn range(&self) -> (Priority, Priority) {
        (Priority::REAL_TIME_MIN, Priority::REAL_TIME_MAX)
    }

    fn enter(&self, thread: &Thread, priority: Priority) {
        thread.priority.store(priority);
        thread.class.begin_turn(default_quantum(priority), time::now());
    }

    fn tick(&self, thread: &Thread) -> Verdict {
        if !thread.class.use_tick() {
            return Verdict::GoesOn;
        }
        thread.class.begin_turn(thread.class.quantum.load(Ordering::Relaxed), time::now());
        Verdict::TurnOver
    }

    fn preempted(&self, thread: &Thread) -> End {
        thread.class.end()
    }

    fn sleeps(&self, thread: &Thread) {
        thread.class.gives_way.store(false, Ordering::Relaxed);
    }

    fn wakes(&self, thread: &Thread) -> End {
        let quantum = thread.class.quantum.load(Ordering::Relaxed);
        if quantum != INFINITE {
            thread.class.begin_turn(quantum, time::now());
        }
        End::Back
    }

    fn starves(&self, _: &Thread, _: u64, _: u64) -> bool {
        false
    }

    fn lift(&self, _: &Thread) {}
}
