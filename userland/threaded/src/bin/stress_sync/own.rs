//! Threads of scopes borrow from outside, and each thread has values of its own.

use crate::Work;
use alloc::vec::Vec;
use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use libsa::thread;
use threaded::many::{Outcome, many};
use userland::fail;
use userland::random::Random;

/// What threads have counted that are gone.
static COUNTED: AtomicU64 = AtomicU64::new(0);
/// Counts that live, or have lived and were not dropped.
static ALIVE: AtomicU64 = AtomicU64::new(0);

/// A thread's own count; what it has come to is added up when the thread goes.
struct Count(Cell<u64>);

impl Drop for Count {
    fn drop(&mut self) {
        COUNTED.fetch_add(self.0.get(), Relaxed);
        ALIVE.fetch_sub(1, Relaxed);
    }
}

libsa::thread_local! {
    static COUNT: Count = {
        ALIVE.fetch_add(1, Relaxed);
        Count(Cell::new(0))
    };
    static WHO: Cell<u64> = Cell::new(0);
}

/// Each thread adds up a row of numbers, halves of which others add up.
pub fn scopes(work: &Work) -> Outcome {
    let counted = COUNTED.load(Relaxed);
    let rows = work.threads / 8;
    many(rows, work.seed, |me, random| {
        WHO.with(|who| who.set(me));
        let numbers: Vec<u64> = (0..16 * work.steps).map(|place| me + place).collect();
        let (sum, count) = add_up(work, &numbers, random);
        let own = WHO.with(Cell::get);
        let (expected, length) = (numbers.iter().sum::<u64>(), numbers.len() as u64);
        if (sum, count, own) != (expected, length, me) {
            fail!("{me}, or {own}: {sum} and {count} instead of {expected} and {length}");
        }
        Ok(())
    })?;
    // A scope is over when its threads have done what they were started for; their values go a moment later.
    for _ in 0..1000 {
        if ALIVE.load(Relaxed) == 0 {
            break;
        }
        thread::sleep(core::time::Duration::from_millis(1));
    }
    let (alive, counted) = (ALIVE.load(Relaxed), COUNTED.load(Relaxed) - counted);
    let expected = rows * 16 * work.steps;
    if (alive, counted) != (0, expected) {
        fail!("{counted} of {expected} were counted by threads; {alive} have not dropped theirs");
    }
    Ok(())
}

/// The sum, and how many numbers the threads of this have counted.
fn add_up(work: &Work, numbers: &[u64], random: &mut Random) -> (u64, u64) {
    if numbers.len() <= 20 {
        let mut sum = 0;
        for number in numbers {
            let before = COUNT.with(|count| count.0.get());
            sum += number;
            work.activities.perhaps(random);
            COUNT.with(|count| count.0.set(before + 1));
        }
        return (sum, numbers.len() as u64);
    }
    let (left, right) = numbers.split_at(numbers.len() / 2);
    let seeds = [random.below(1 << 40), random.below(1 << 40)];
    let mut own = (0, 0);
    let others = thread::scope(|scope| {
        let other = scope.spawn(move || add_up(work, left, &mut Random::of(seeds[0], 0)));
        // Nobody waits for this one but the scope.
        scope.spawn(|| own = add_up(work, right, &mut Random::of(seeds[1], 1)));
        let Ok(other) = other.join();
        other
    });
    (own.0 + others.0, own.1 + others.1)
}
