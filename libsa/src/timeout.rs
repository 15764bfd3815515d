//! Waiting until a time: who waits for something, and how long.
//!
//! Deadlines lie in one heap ([`scheduler::timers`]). Where the kernel tells what happens one timer of its is set to the
//! earliest, and whichever virtual processor hears of it lets those go on whose time has come. Without upcalls a virtual
//! processor that idles sleeps until then at most, and one that runs looks when it goes from one thread to the next. A
//! thread that is an LWP sleeps until its deadline by itself.
//!
//! A thread that is woken while its time comes has been woken: the lock of the queue in which it waits decides.

use crate::control::{ControlBlock, THREADS_MAX, Threads, block, id_of};
use crate::dispatch;
use crate::line;
use crate::runtime::{self, Mode};
use abi::activations::{SA_NONE, SIGEV_SA};
use abi::calls::{TimerEvent, TimerTimes};
use abi::errno::Errno;
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicI32, Ordering, fence};
use core::time::Duration;
use scheduler::timers::{Deadline, Deadlines, NEVER, Timers};
use scheduler::wait::WaitQueue;
use scheduler::{Place, ThreadId};
use userland::clock;
use userland::system::raw;

/// Where the deadlines are: as many as threads, and only those are touched that were used.
const TABLE: usize = 0x1b00_0000_0000;

/// What a thread waits for that has a deadline.
#[repr(C)]
struct TimedWait {
    deadline: Deadline,
    /// The queue that it is in; null if it is parked.
    queue: Cell<*const WaitQueue>,
}

struct TimedWaits;

impl Deadlines for TimedWaits {
    fn deadline(&self, thread: ThreadId) -> &Deadline {
        &timed_wait(thread).deadline
    }
}

fn timed_wait(thread: ThreadId) -> &'static TimedWait {
    let address = TABLE + thread.number() as usize * size_of::<TimedWait>();
    // SAFETY: the table is mapped for good, and all zeros are no deadline.
    unsafe { &*(address as *const TimedWait) }
}

static TIMERS: Timers = Timers::new();

/// The kernel's timer.
static TIMER: AtomicI32 = AtomicI32::new(-1);

/// Maps the table. Says whether there is room.
pub fn begin() -> bool {
    runtime::map(TABLE, THREADS_MAX * size_of::<TimedWait>()).is_some()
}

/// Makes the kernel's timer.
pub fn make_timer() {
    const MONOTONIC: i32 = 1;
    let event = TimerEvent { value: u64::from(SA_NONE), notify: SIGEV_SA, ..TimerEvent::default() };
    let mut timer = 0;
    // SAFETY: both are there.
    let made = unsafe { raw::timer_create(MONOTONIC, &raw const event, &raw mut timer) };
    assert!(made.is_ok(), "timer_create: {made:?}");
    TIMER.store(timer, Ordering::Relaxed);
}

/// When so much time is over, in nanoseconds since boot.
pub fn after(time: Duration) -> u64 {
    let time = u64::try_from(time.as_nanos()).unwrap_or(NEVER);
    clock::nanoseconds().saturating_add(time).min(NEVER - 1)
}

/// The running thread, which has just been put into a queue, leaves until somebody takes it out, or until its deadline if it
/// has one: says whether that came first. As [`leave_until`].
#[inline]
pub fn leave(me: &'static ControlBlock, at: Option<u64>, queue: &WaitQueue) -> bool {
    match at {
        Some(at) => leave_until(me, at, Some(queue)),
        None => {
            dispatch::leave(me);
            false
        }
    }
}

/// The running thread, which has just been put into a queue, or has parked, leaves until somebody wakes it or its time
/// comes: says whether that came first. In a critical section, the only one; returns outside of it.
pub fn leave_until(me: &'static ControlBlock, at: u64, queue: Option<&WaitQueue>) -> bool {
    let id = id_of(me);
    timed_wait(id).queue.set(queue.map_or(ptr::null(), ptr::from_ref));
    if runtime::mode() == Mode::Lwp {
        return leave_lwp_until(me, at);
    }
    if TIMERS.add(id, at, &TimedWaits) && runtime::mode() == Mode::Sa {
        set_timer();
    }
    dispatch::leave(me);
    line::critical(|| TIMERS.ends(id, &TimedWaits))
}

/// The LWP of a thread sleeps by itself.
fn leave_lwp_until(me: &'static ControlBlock, at: u64) -> bool {
    line::leave();
    let mut is_over = false;
    while me.is_woken.swap(0, Ordering::Acquire) == 0 {
        let left = clock::span(at.saturating_sub(clock::nanoseconds()));
        let limit = if is_over { ptr::null() } else { &raw const left };
        // SAFETY: the time is there, if there is one.
        let parked = unsafe { raw::lwp_park(limit) };
        if parked == Err(Errno::ETIMEDOUT) {
            if line::critical(|| waits_no_longer(id_of(me))) {
                return true;
            }
            // Somebody has taken it out, and wakes it now.
            is_over = true;
        }
    }
    false
}

/// A thread's time has come: takes it out of what it waits in. Says whether it was there still.
fn waits_no_longer(thread: ThreadId) -> bool {
    // SAFETY: the queue stays while a thread waits in it with a deadline.
    match unsafe { timed_wait(thread).queue.get().as_ref() } {
        Some(queue) => queue.lock().remove(thread, &Threads),
        None => block(thread).scheduler.unpark_late(),
    }
}

/// Sets the kernel's timer to the earliest deadline. In a critical section.
fn set_timer() {
    loop {
        let earliest = TIMERS.earliest();
        if earliest == NEVER {
            return;
        }
        const ABSOLUTE: i32 = 1;
        let times = TimerTimes { value: clock::span(earliest.max(1)), ..TimerTimes::default() };
        let timer = TIMER.load(Ordering::Relaxed);
        // SAFETY: the times are there.
        let set = unsafe { raw::timer_settime(timer, ABSOLUTE, &raw const times, ptr::null_mut()) };
        assert!(set.is_ok(), "timer_settime: {set:?}");
        // Another one may have set it to a later time meanwhile, or an earlier one has come.
        fence(Ordering::SeqCst);
        if TIMERS.earliest() >= earliest {
            return;
        }
    }
}

/// When somebody's time comes next, if anybody waits for one.
pub fn earliest() -> Option<u64> {
    Some(TIMERS.earliest()).filter(|earliest| *earliest != NEVER)
}

/// Lets those go on whose time has come. In a critical section.
#[inline]
pub fn look() {
    if TIMERS.earliest() != NEVER {
        let_go_on();
    }
}

#[cold]
fn let_go_on() {
    let now = clock::nanoseconds();
    if TIMERS.earliest() <= now {
        TIMERS.expire(now, &TimedWaits, |thread| {
            let waited = waits_no_longer(thread);
            if waited {
                dispatch::ready(thread, Place::Last);
            }
            waited
        });
    }
    if runtime::mode() == Mode::Sa {
        set_timer();
    }
}
