//! Two threads: each makes the other go on.

use crate::Table;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use libsa::sync::{Condvar, Mutex, mpsc};
use libsa::thread;
use userland::bench::per_long_operation;

/// Operations in a round.
const OPERATIONS: u64 = 100;

pub fn measure(table: &Table) {
    table.value("yield_roundtrip", yield_roundtrip());
    table.value("mutex_handoff", mutex_handoff());
    let roundtrip = cond_roundtrip();
    table.value("cond_roundtrip", roundtrip);
    // Anderson's: one signals a thread that waits, and waits itself.
    table.value("signal_wait", roundtrip.div_ceil(2));
    table.value("channel_roundtrip", channel_roundtrip());
}

static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Another thread does something again and again while this is measured.
fn beside(other: impl Fn() + Send + 'static, operation: impl FnMut(), last: impl FnOnce()) -> u64 {
    IS_OVER.store(false, Relaxed);
    let other = thread::spawn(move || {
        while !IS_OVER.load(Relaxed) {
            other();
        }
    });
    let value = per_long_operation(OPERATIONS, operation);
    IS_OVER.store(true, Relaxed);
    last();
    let Ok(()) = other.join();
    value
}

fn yield_roundtrip() -> u64 {
    beside(thread::yield_now, thread::yield_now, || ())
}

/// Each gives the lock to the other, which waits for it, and waits for it itself: that is handed over twice.
fn mutex_handoff() -> u64 {
    static MUTEX: Mutex<u64> = Mutex::new(0);
    let take = || {
        let Ok(guard) = MUTEX.lock();
        guard
    };
    IS_OVER.store(false, Relaxed);
    let mut held = Some(take());
    let other = thread::spawn(move || {
        while !IS_OVER.load(Relaxed) {
            drop(take());
        }
    });
    // It waits for the lock from now on.
    thread::yield_now();
    let twice = per_long_operation(OPERATIONS, || {
        drop(held.take());
        held = Some(take());
    });
    IS_OVER.store(true, Relaxed);
    drop(held);
    let Ok(()) = other.join();
    twice.div_ceil(2)
}

/// Each waits until it is its turn, and gives the turn to the other.
fn cond_roundtrip() -> u64 {
    static TURN: Mutex<bool> = Mutex::new(false);
    static CHANGED: [Condvar; 2] = [const { Condvar::new() }; 2];
    fn take_turn(mine: bool) {
        let Ok(turn) = TURN.lock();
        let Ok(mut turn) = CHANGED[usize::from(mine)].wait_while(turn, |turn| *turn != mine);
        *turn = !mine;
        drop(turn);
        CHANGED[usize::from(!mine)].notify_one();
    }
    beside(|| take_turn(true), || take_turn(false), || take_turn(false))
}

/// A message there, and one back.
fn channel_roundtrip() -> u64 {
    let (there, arrives) = mpsc::channel::<u64>();
    let (back, comes) = mpsc::channel::<u64>();
    let other = thread::spawn(move || {
        for message in arrives.iter() {
            if back.send(message).is_err() {
                break;
            }
        }
    });
    let value = per_long_operation(OPERATIONS, || {
        let sent = there.send(1);
        let came = comes.recv();
        assert!(sent.is_ok() && came == Ok(1), "it answers");
    });
    drop(there);
    let Ok(()) = other.join();
    value
}
