//! What threads wait for each other with.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libsa::sync::{Barrier, Condvar, Mutex, Once, OnceLock, RwLock, Semaphore, TryLockError};
use libsa::thread;
use userland::fail;
use userland::report::{Checks, Why};

const THREADS: usize = 16;
const ROUNDS: u64 = 500;

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("a-mutex-is-one-threads"), mutex);
    checks.check(format_args!("a-mutex-may-be-tried"), tries);
    checks.check(format_args!("condition-variables-lose-nothing"), condvar);
    checks.check(format_args!("notify-all-wakes-all"), notify_all);
    checks.check(format_args!("readers-or-one-writer"), rwlock);
    checks.check(format_args!("a-barrier-holds-all"), barrier);
    checks.check(format_args!("a-semaphore-has-so-many-units"), semaphore);
    checks.check(format_args!("once-is-once"), once);
}

/// Runs this in many threads, and waits for all.
fn in_all(act: impl Fn(usize) + Copy + Send + 'static) {
    let threads: [_; THREADS] = core::array::from_fn(|number| thread::spawn(move || act(number)));
    for thread in threads {
        let Ok(()) = thread.join();
    }
}

fn mutex() -> Result<(), Why> {
    static COUNT: Mutex<u64> = Mutex::new(0);
    in_all(|number| {
        for round in 0..ROUNDS {
            let Ok(mut count) = COUNT.lock();
            let before = *count;
            if (number as u64 + round).is_multiple_of(7) {
                thread::yield_now();
            }
            *count = before + 1;
        }
    });
    let Ok(count) = COUNT.lock();
    if *count == THREADS as u64 * ROUNDS { Ok(()) } else { fail!("{}", *count) }
}

fn tries() -> Result<(), Why> {
    static LOCK: Mutex<u64> = Mutex::new(0);
    let Ok(held) = LOCK.lock();
    let Ok(found) = thread::spawn(|| LOCK.try_lock().err()).join();
    drop(held);
    let free = LOCK.try_lock().is_ok();
    if found == Some(TryLockError::WouldBlock) && free { Ok(()) } else { fail!("{found:?} {free}") }
}

fn condvar() -> Result<(), Why> {
    static BALL: Mutex<u64> = Mutex::new(0);
    static CHANGED: Condvar = Condvar::new();
    fn play(side: u64) {
        for _ in 0..5000 {
            let Ok(ball) = BALL.lock();
            let Ok(mut ball) = CHANGED.wait_while(ball, |ball| *ball % 2 != side);
            *ball += 1;
            CHANGED.notify_one();
        }
    }
    let other = thread::spawn(|| play(1));
    play(0);
    let Ok(()) = other.join();
    let Ok(ball) = BALL.lock();
    if *ball == 10_000 { Ok(()) } else { fail!("{}", *ball) }
}

fn notify_all() -> Result<(), Why> {
    static GATE: Mutex<(bool, u64)> = Mutex::new((false, 0));
    static CHANGED: Condvar = Condvar::new();
    let threads: [_; THREADS] = core::array::from_fn(|_| {
        thread::spawn(|| {
            let Ok(mut gate) = GATE.lock();
            gate.1 += 1;
            CHANGED.notify_all();
            let Ok(_gate) = CHANGED.wait_while(gate, |gate| !gate.0);
        })
    });
    let Ok(gate) = GATE.lock();
    let Ok(mut gate) = CHANGED.wait_while(gate, |gate| gate.1 != THREADS as u64);
    gate.0 = true;
    drop(gate);
    CHANGED.notify_all();
    for thread in threads {
        let Ok(()) = thread.join();
    }
    Ok(())
}

fn rwlock() -> Result<(), Why> {
    static PAIR: RwLock<(u64, u64)> = RwLock::new((0, 0));
    static WRONG: AtomicU64 = AtomicU64::new(0);
    in_all(|number| {
        for _ in 0..ROUNDS {
            if number % 4 == 0 {
                let Ok(mut pair) = PAIR.write();
                pair.0 += 1;
                thread::yield_now();
                pair.1 += 1;
            } else {
                let Ok(pair) = PAIR.read();
                let first = pair.0;
                thread::yield_now();
                WRONG.fetch_add(u64::from((first, first) != *pair), Relaxed);
            }
        }
    });
    let wrong = WRONG.load(Relaxed);
    let Ok(pair) = PAIR.read();
    let expected = ROUNDS * THREADS as u64 / 4;
    let several = PAIR.try_read().is_ok() && PAIR.try_write().is_err();
    if wrong == 0 && *pair == (expected, expected) && several {
        Ok(())
    } else {
        fail!("{wrong} {:?} {several}", *pair)
    }
}

fn barrier() -> Result<(), Why> {
    static BARRIER: Barrier = Barrier::new(THREADS);
    static COME: AtomicU64 = AtomicU64::new(0);
    static LEADERS: AtomicU64 = AtomicU64::new(0);
    static EARLY: AtomicU64 = AtomicU64::new(0);
    in_all(|_| {
        for round in 1..=50 {
            COME.fetch_add(1, Relaxed);
            LEADERS.fetch_add(u64::from(BARRIER.wait().is_leader()), Relaxed);
            EARLY.fetch_add(u64::from(COME.load(Relaxed) < round * THREADS as u64), Relaxed);
        }
    });
    let (leaders, early) = (LEADERS.load(Relaxed), EARLY.load(Relaxed));
    if (leaders, early) == (50, 0) { Ok(()) } else { fail!("{leaders} leaders, {early} too early") }
}

fn semaphore() -> Result<(), Why> {
    static UNITS: Semaphore = Semaphore::new(3);
    static INSIDE: AtomicU64 = AtomicU64::new(0);
    static MOST: AtomicU64 = AtomicU64::new(0);
    in_all(|_| {
        for _ in 0..ROUNDS / 5 {
            let _permit = UNITS.permit();
            let inside = INSIDE.fetch_add(1, Relaxed) + 1;
            MOST.fetch_max(inside, Relaxed);
            thread::yield_now();
            INSIDE.fetch_sub(1, Relaxed);
        }
    });
    let most = MOST.load(Relaxed);
    let back = (0..4).map(|_| UNITS.try_acquire()).filter(|has| *has).count();
    if (1..=3).contains(&most) && back == 3 { Ok(()) } else { fail!("{most} inside, {back} back") }
}

fn once() -> Result<(), Why> {
    static ONCE: Once = Once::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static VALUE: OnceLock<u64> = OnceLock::new();
    static WRONG: AtomicU64 = AtomicU64::new(0);
    struct Slow(UnsafeCell<u64>);
    // SAFETY: written once.
    unsafe impl Sync for Slow {}
    static SLOW: Slow = Slow(UnsafeCell::new(0));
    in_all(|number| {
        ONCE.call_once(|| {
            thread::yield_now();
            COUNT.fetch_add(1, Relaxed);
            // SAFETY: once.
            unsafe { SLOW.0.get().write(7) };
        });
        // SAFETY: written before.
        let slow = unsafe { SLOW.0.get().read() };
        let value = *VALUE.get_or_init(|| number as u64 + 100);
        WRONG.fetch_add(u64::from(slow != 7 || VALUE.get() != Some(&value)), Relaxed);
    });
    let (count, wrong) = (COUNT.load(Relaxed), WRONG.load(Relaxed));
    let again = VALUE.set(1);
    if (count, wrong, again) == (1, 0, Err(1)) {
        Ok(())
    } else {
        fail!("{count} {wrong} {again:?}")
    }
}
