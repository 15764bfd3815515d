//! Waiting until a time: what comes first, and that it comes once.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use libsa::sync::mpsc::{self, RecvTimeoutError};
use libsa::sync::{Condvar, Mutex, Semaphore};
use libsa::thread;
use userland::report::{Checks, Why};
use userland::{clock, fail};

const SOON: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_secs(60);

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("waits-end-when-their-time-is-over"), over);
    checks.check(format_args!("who-is-woken-in-time-does-not-wait-on"), in_time);
    checks.check(format_args!("sleepers-wake-in-order"), order);
    checks.check(format_args!("units-and-deadlines-race"), race);
}

/// Does something that is to take this long at least; says how long it took.
fn takes<R>(at_least: Duration, act: impl FnOnce() -> R) -> Result<R, Why> {
    let before = clock::nanoseconds();
    let result = act();
    let took = Duration::from_nanos(clock::nanoseconds() - before);
    if took < at_least || took > at_least + LATE / 4 {
        fail!("it took {} ns, not {}", took.as_nanos(), at_least.as_nanos());
    }
    Ok(result)
}

fn over() -> Result<(), Why> {
    takes(SOON, || thread::sleep(SOON))?;
    // A token that is left of earlier checks.
    thread::park_timeout(Duration::ZERO);
    takes(SOON, || thread::park_timeout(SOON))?;
    let semaphore = Semaphore::new(0);
    if takes(SOON, || semaphore.acquire_timeout(SOON))? {
        fail!("there was no unit");
    }
    let (mutex, condvar) = (Mutex::new(()), Condvar::new());
    let Ok(guard) = mutex.lock();
    let Ok((guard, result)) = takes(SOON, || condvar.wait_timeout(guard, SOON))?;
    if !result.timed_out() {
        fail!("nobody has notified");
    }
    let Ok((guard, result)) = takes(SOON, || condvar.wait_timeout_while(guard, SOON, |()| true))?;
    drop(guard);
    let (sender, receiver) = mpsc::channel::<u32>();
    let came = takes(SOON, || receiver.recv_timeout(SOON))?;
    drop(sender);
    let ended = receiver.recv_timeout(LATE);
    let all = (result.timed_out(), came, ended);
    let expected = (true, Err(RecvTimeoutError::Timeout), Err(RecvTimeoutError::Disconnected));
    if all == expected { Ok(()) } else { fail!("{all:?}") }
}

fn in_time() -> Result<(), Why> {
    static UNITS: Semaphore = Semaphore::new(0);
    static STATE: Mutex<u32> = Mutex::new(0);
    static CHANGED: Condvar = Condvar::new();
    let parked = thread::spawn(|| takes(Duration::ZERO, || thread::park_timeout(LATE)).is_ok());
    let waits = thread::spawn(|| UNITS.acquire_timeout(LATE));
    let (sender, receiver) = mpsc::channel::<u32>();
    let receives = thread::spawn(move || receiver.recv_timeout(LATE));
    let changes = thread::spawn(|| {
        let Ok(state) = STATE.lock();
        let Ok((state, result)) = CHANGED.wait_timeout_while(state, LATE, |state| *state == 0);
        (*state, result.timed_out())
    });
    thread::sleep(SOON);
    parked.thread().unpark();
    UNITS.release();
    let sent = sender.send(7);
    {
        let Ok(mut state) = STATE.lock();
        *state = 9;
    }
    CHANGED.notify_one();
    let Ok(parked) = parked.join();
    let Ok(waited) = waits.join();
    let Ok(received) = receives.join();
    let Ok(changed) = changes.join();
    let all = (parked, waited, sent, received, changed);
    if all == (true, true, Ok(()), Ok(7), (9, false)) { Ok(()) } else { fail!("{all:?}") }
}

/// Many sleep for different times: who sleeps longer does not wake before who sleeps less by far.
fn order() -> Result<(), Why> {
    const THREADS: u64 = 200;
    let begin = clock::nanoseconds();
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let time = Duration::from_millis(10 + (number * 37) % 100);
            thread::spawn(move || {
                thread::sleep(time);
                Duration::from_nanos(clock::nanoseconds() - begin) >= time
            })
        })
        .collect();
    for thread in threads {
        let Ok(is_right) = thread.join();
        if !is_right {
            fail!("one has slept less than it was to");
        }
    }
    Ok(())
}

/// Units come about when the patience of those who wait for them ends: none is lost, and none is had twice.
fn race() -> Result<(), Why> {
    static UNITS: Semaphore = Semaphore::new(0);
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    const THREADS: u64 = 8;
    const ROUNDS: u64 = 60;
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            thread::spawn(move || {
                for round in 0..ROUNDS {
                    let time = Duration::from_micros(200 + (number * 331 + round * 173) % 1500);
                    if UNITS.acquire_timeout(time) {
                        TAKEN.fetch_add(1, Relaxed);
                    }
                }
            })
        })
        .collect();
    let mut given = 0;
    while threads.iter().any(|thread| !thread.is_finished()) {
        UNITS.release();
        given += 1;
        thread::park_timeout(Duration::from_micros(300));
    }
    for thread in threads {
        let Ok(()) = thread.join();
    }
    let mut left = 0;
    while UNITS.try_acquire() {
        left += 1;
    }
    let taken = TAKEN.load(Relaxed);
    if taken + left == given { Ok(()) } else { fail!("{given} given, {taken} taken, {left} left") }
}
