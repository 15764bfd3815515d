//! The time-sharing class: who computes sinks, who sleeps rises, who starves is lifted.
//!
//! A thread has a *level* from 0 to 59, which moves, and a wish of its user's, which does not. Its
//! priority is the sum of the two, kept within 0 to 59. What a level means is in [`TABLE`]:
//!
//! | occasion | the thread's level becomes |
//! |---|---|
//! | its turn is over | `after_turn`: 10 lower |
//! | woken, [`Row::patience`] seconds or more after its turn began | `after_sleep`: 50 or more |
//! | it waits for a processor for as long | the same |
//!
//! Low levels have long turns, high levels short ones: who computes runs seldom and long, who
//! answers runs soon and briefly. The seconds count from the beginning of the turn, not from the
//! beginning of the sleep or wait, so a thread does not escape from sinking by a short sleep before
//! each tick.
//!
//! Starving threads are looked for twice: when a thread is preempted, and once a second by the
//! clock tick of the processor in whose queue it waits ([`crate::tick`]).
//!
//! A thread that sleeps may be *expected* ([`expect`]): what it brings back from the kernel is waited for. When it is woken
//! it has the lowest priority of the system class, above all other threads of this one, until it has arrived
//! ([`arrives`]), or has used up a turn. Solaris has that for whoever holds locks of the kernel (`TSKPRI`).
//!
//! Solaris: `TS`, `ts_dptbl`, `ts_tick`, `ts_wakeup`, `ts_update`.

use super::{Class, SchedulingClass, Verdict};
use crate::Dispatch;
use crate::change_priority::change_own;
use crate::priority::Priority;
use crate::run_queue::End;
use crate::thread::Thread;
use atomics::Ordering;
use machine::time;

/// How many levels there are.
pub const LEVELS: usize = 60;

/// Lowest and highest wish of a user.
pub const USER_PRIORITY_MAX: i8 = 60;

/// What a level means.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// How long a turn is, in clock ticks.
    pub quantum: u32,
    /// The level after a turn that was used up.
    pub after_turn: u8,
    /// The level after a sleep, and for a thread that starves.
    pub after_sleep: u8,
    /// How many seconds after the beginning of its turn a thread rises by sleeping or waiting.
    pub patience: u32,
}

/// All levels.
pub static TABLE: [Row; LEVELS] = table();

const fn table() -> [Row; LEVELS] {
    let mut rows = [Row { quantum: 2, after_turn: 0, after_sleep: 59, patience: 1 }; LEVELS];
    let mut level = 0;
    while level < LEVELS {
        // 200 ms at the bottom, 40 ms less every ten levels, 20 ms at the top.
        let steps = level as u32 / 10;
        rows[level].quantum = if steps < 5 { 20 - 4 * steps } else { 2 };
        rows[level].after_turn = (level as u8).saturating_sub(10);
        rows[level].after_sleep = 50 + level as u8 / 6;
        level += 1;
    }
    rows
}

/// The user's wish that a `nice` value from -20 to 19 stands for.
pub const fn of_nice(nice: i8) -> i8 {
    let nice = if nice < -20 {
        -20
    } else if nice > 19 {
        19
    } else {
        nice
    };
    -3 * nice
}

/// The class' rules.
pub(super) struct TimeSharing;

fn row(thread: &Thread) -> &'static Row {
    let level = usize::from(thread.class.level.load(Ordering::Relaxed));
    &TABLE[level.min(LEVELS - 1)]
}

/// Gives a thread a level, the priority that follows from it, and a new turn.
fn begin_turn_at(thread: &Thread, level: u8) {
    thread.class.level.store(level, Ordering::Relaxed);
    thread.class.begin_turn(row(thread).quantum, time::now());
    set_priority(thread);
}

/// The thread, which is asleep or about to be, is waited for in the kernel. Another class knows no hurry.
pub fn expect(thread: &Thread) {
    thread.class.is_expected.store(true, Ordering::Relaxed);
}

/// The running thread has brought what it was waited for: it has its own priority again, and gives way if that is not the
/// highest any longer.
pub fn arrives(thread: &'static Thread) {
    if thread.class.is_expected.load(Ordering::Relaxed) {
        let _ = change_own(thread, End::Front, |thread| {
            thread.class.is_expected.store(false, Ordering::Relaxed);
            if thread.class() == Class::TimeSharing {
                set_priority(thread);
            }
        });
    }
}

/// The priority that follows from level and wish; or that of one who is expected.
pub(super) fn set_priority(thread: &Thread) {
    if thread.class.is_expected.load(Ordering::Relaxed) {
        return thread.priority.store(Priority::SYSTEM_MIN);
    }
    let level = i16::from(thread.class.level.load(Ordering::Relaxed));
    let wish = i16::from(thread.class.user_priority.load(Ordering::Relaxed) as i8);
    let number = (level + wish).clamp(0, LEVELS as i16 - 1);
    thread.priority.store(Priority::new(number as u8));
}

/// Whether a thread's turn began so long ago that it rises. Never without a clock tick: nobody
/// would sink.
fn is_overdue(thread: &Thread, now: u64, second: u64) -> bool {
    let began = thread.class.began.load(Ordering::Relaxed);
    second != 0 && now.saturating_sub(began) >= u64::from(row(thread).patience) * second
}

fn is_overdue_now(thread: &Thread) -> bool {
    is_overdue(thread, time::now(), Dispatch::current().second())
}

fn rise(thread: &Thread) {
    begin_turn_at(thread, row(thread).after_sleep);
}

impl SchedulingClass for TimeSharing {
    fn range(&self) -> (Priority, Priority) {
        (Priority::MIN, Priority::TIME_SHARING_MAX)
    }

    fn enter(&self, thread: &Thread, priority: Priority) {
        begin_turn_at(thread, priority.index() as u8);
    }

    fn tick(&self, thread: &Thread) -> Verdict {
        if !thread.class.use_tick() {
            return Verdict::GoesOn;
        }
        thread.class.is_expected.store(false, Ordering::Relaxed);
        begin_turn_at(thread, row(thread).after_turn);
        Verdict::TurnOver
    }

    fn preempted(&self, thread: &Thread) -> End {
        let end = thread.class.end();
        if is_overdue_now(thread) {
            rise(thread);
        }
        end
    }

    fn sleeps(&self, thread: &Thread) {
        thread.class.gives_way.store(false, Ordering::Relaxed);
    }

    fn wakes(&self, thread: &Thread) -> End {
        if is_overdue_now(thread) {
            rise(thread);
        } else if thread.class.is_expected.load(Ordering::Relaxed) {
            set_priority(thread);
        }
        End::Back
    }

    fn starves(&self, thread: &Thread, now: u64, second: u64) -> bool {
        is_overdue(thread, now, second)
    }

    fn lift(&self, thread: &Thread) {
        rise(thread);
    }
}
