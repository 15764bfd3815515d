//! Threads begin, are joined, parked, named, and take turns.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libsa::runtime::{self, Mode};
use libsa::thread::{self, Builder};
use userland::fail;
use userland::report::{Checks, Why};

pub fn run(checks: &mut Checks) {
    checks.check(format_args!("join-returns-what-came-out"), joins);
    checks.check(format_args!("handles-may-go"), detached);
    checks.check(format_args!("yield-lets-others-run"), yields);
    checks.check(format_args!("an-unpark-is-not-lost"), unparks);
    checks.check(format_args!("results-are-dropped-once"), drops);
    checks.check(format_args!("threads-have-names"), names);
    checks.check(format_args!("priorities-go-first"), priorities);
    checks.check(format_args!("computing-is-interrupted"), computes);
}

fn joins() -> Result<(), Why> {
    for number in 0..1000_u64 {
        let Ok(came) = thread::spawn(move || number * 2).join();
        if came != number * 2 {
            fail!("{number}: {came}");
        }
    }
    let Ok(large) = thread::spawn(|| [7_u8; 5000]).join();
    if large != [7; 5000] {
        fail!("5000 bytes came out otherwise");
    }
    Ok(())
}

fn detached() -> Result<(), Why> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    for _ in 0..100 {
        drop(thread::spawn(|| COUNT.fetch_add(1, Relaxed)));
    }
    while COUNT.load(Relaxed) != 100 {
        thread::yield_now();
    }
    Ok(())
}

fn yields() -> Result<(), Why> {
    static SUM: AtomicU64 = AtomicU64::new(0);
    let threads: [_; 64] = core::array::from_fn(|number| {
        thread::spawn(move || {
            for _ in 0..100 {
                SUM.fetch_add(number as u64, Relaxed);
                thread::yield_now();
            }
        })
    });
    for thread in threads {
        let Ok(()) = thread.join();
    }
    let sum = SUM.load(Relaxed);
    if sum == 100 * 63 * 32 { Ok(()) } else { fail!("{sum}") }
}

fn unparks() -> Result<(), Why> {
    static ROUNDS: AtomicU64 = AtomicU64::new(0);
    let first = thread::current();
    let second = thread::spawn(move || {
        for _ in 0..10_000 {
            thread::park();
            ROUNDS.fetch_add(1, Relaxed);
            first.unpark();
        }
    });
    for round in 1..=10_000 {
        second.thread().unpark();
        while ROUNDS.load(Relaxed) < round {
            thread::park();
        }
    }
    let Ok(()) = second.join();
    // A token that is there already is not a second one.
    let me = thread::current();
    me.unpark();
    me.unpark();
    thread::park();
    Ok(())
}

fn drops() -> Result<(), Why> {
    static DROPPED: AtomicU64 = AtomicU64::new(0);
    struct Noted;
    impl Drop for Noted {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Relaxed);
        }
    }
    let Ok(noted) = thread::spawn(|| Noted).join();
    if DROPPED.load(Relaxed) != 0 {
        fail!("the result of a thread that is joined is dropped");
    }
    drop(noted);
    drop(thread::spawn(|| Noted));
    while DROPPED.load(Relaxed) != 2 {
        thread::yield_now();
    }
    let waits = thread::spawn(|| Noted);
    while !waits.is_finished() {
        thread::yield_now();
    }
    drop(waits);
    while DROPPED.load(Relaxed) != 3 {
        thread::yield_now();
    }
    Ok(())
}

fn names() -> Result<(), Why> {
    let Ok(named) =
        Builder::new().name("worker").spawn(|| thread::current().name() == Some("worker"))
    else {
        fail!("there is no room")
    };
    let is_named = named.thread().name() == Some("worker");
    let Ok(knows) = named.join();
    let Ok(has_none) = thread::spawn(|| thread::current().name().is_none()).join();
    let is_main = thread::current().name() == Some("main");
    let all = (is_named, knows, has_none, is_main);
    if all == (true, true, true, true) { Ok(()) } else { fail!("{all:?}") }
}

/// Only where there is one virtual processor, and the library decides.
fn priorities() -> Result<(), Why> {
    if runtime::mode() == Mode::Lwp || runtime::scheduler().processors() != 1 {
        return Ok(());
    }
    static ORDER: AtomicU64 = AtomicU64::new(0);
    let threads = [2, 5, 3, 7].map(|priority| {
        let note = move || {
            let before = ORDER.load(Relaxed);
            ORDER.store(before * 10 + u64::from(priority), Relaxed);
        };
        Builder::new().priority(priority).spawn(note)
    });
    for thread in threads {
        let Ok(thread) = thread else { fail!("there is no room") };
        let Ok(()) = thread.join();
    }
    let order = ORDER.load(Relaxed);
    if order == 7532 { Ok(()) } else { fail!("{order}") }
}

/// A thread that never calls anything does not keep its virtual processor.
fn computes() -> Result<(), Why> {
    if runtime::mode() == Mode::Mux {
        // It does there: nobody tells the library that its time is over.
        return Ok(());
    }
    static IS_OVER: AtomicU64 = AtomicU64::new(0);
    let mut counting = [const { None }; 8];
    for place in &mut counting {
        *place = Some(thread::spawn(|| {
            let mut count = 0_u64;
            while IS_OVER.load(Relaxed) == 0 {
                count += 1;
            }
            count
        }));
    }
    let ends = thread::spawn(|| IS_OVER.store(1, Relaxed));
    let Ok(()) = ends.join();
    for thread in counting.into_iter().flatten() {
        let Ok(_) = thread.join();
    }
    Ok(())
}
