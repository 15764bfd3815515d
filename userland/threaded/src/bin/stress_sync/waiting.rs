//! Threads that wait until something is so, or until a time; nobody waits for ever, and nobody has what there is not.

use crate::Work;
use alloc::vec::Vec;
use core::array;
use core::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use core::time::Duration;
use libsa::sync::{Condvar, Mutex, OnceLock, Semaphore};
use libsa::thread::{self, Thread};
use threaded::many::{Outcome, many};
use userland::random::Random;
use userland::{clock, fail};

/// Longest time to wait for something that may as well not come, in nanoseconds.
const SHORT: u64 = 1_000_000;
/// What comes in any case comes within this.
const PATIENCE: u64 = 60 * clock::SECOND;

fn short(random: &mut Random) -> Duration {
    Duration::from_nanos(random.below(SHORT))
}

/// A group of threads whose turn it is one after the other; some wait with a deadline, again and again.
pub fn turns(work: &Work) -> Outcome {
    const GROUPS: usize = 24;
    let groups: [(Mutex<u64>, Condvar); GROUPS] = array::from_fn(|_| Default::default());
    let size = work.threads / GROUPS as u64;
    many(size * GROUPS as u64, work.seed, |me, random| {
        let (turn, has_changed) = &groups[me as usize % GROUPS];
        let place = me / GROUPS as u64;
        for step in 0..work.steps {
            let own = step * size + place;
            let Ok(mut now) = turn.lock();
            if random.below(2) == 0 {
                let Ok(came) = has_changed.wait_while(now, |now| *now != own);
                now = came;
            }
            while *now != own {
                let begun = clock::nanoseconds();
                let time = 5 * short(random);
                let Ok((came, result)) = has_changed.wait_timeout(now, time);
                now = came;
                let took = clock::nanoseconds() - begun;
                if result.timed_out() && took < time.as_nanos() as u64 {
                    fail!("a time of {time:?} was over after {took} ns");
                }
            }
            work.activities.perhaps(random);
            *now += 1;
            drop(now);
            has_changed.notify_all();
            work.activities.perhaps(random);
        }
        Ok(())
    })?;
    for (turn, _) in groups {
        let Ok(turn) = turn.into_inner();
        if turn != work.steps * size {
            fail!("a group has had {turn} turns");
        }
    }
    Ok(())
}

/// What is there to take, and what has come of waiting for it.
#[derive(Default)]
struct Shop {
    there: u64,
    taken: u64,
    told: u64,
    heard: u64,
}

/// Half of the threads bring something and notify one; the others take as much. Nobody who was notified may go away
/// without: then somebody would wait for ever.
pub fn deliveries(work: &Work) -> Outcome {
    const SHOPS: usize = 4;
    let shops: [(Mutex<Shop>, Condvar); SHOPS] = array::from_fn(|_| Default::default());
    let pairs = (work.threads / 2).next_multiple_of(SHOPS as u64);
    many(2 * pairs, work.seed, |me, random| {
        let (shop, has_news) = &shops[me as usize % SHOPS];
        for _ in 0..work.steps {
            let Ok(mut now) = shop.lock();
            if me < pairs {
                now.there += 1;
                now.told += 1;
                has_news.notify_one();
                work.activities.perhaps(random);
            } else {
                while now.there == 0 {
                    let deadline = (random.below(4) == 0).then(|| short(random));
                    let Ok((came, is_over)) = match deadline {
                        Some(time) => has_news
                            .wait_timeout(now, time)
                            .map(|(now, result)| (now, result.timed_out())),
                        None => has_news.wait(now).map(|now| (now, false)),
                    };
                    now = came;
                    now.heard += u64::from(!is_over);
                }
                now.there -= 1;
                now.taken += 1;
            }
            drop(now);
            work.activities.perhaps(random);
        }
        Ok(())
    })?;
    for (shop, _) in shops {
        let Ok(Shop { there, taken, told, heard }) = shop.into_inner();
        if there != 0 || taken != pairs / SHOPS as u64 * work.steps {
            fail!("{taken} were taken, and {there} are left");
        }
        if heard > told {
            fail!("{told} were told, and {heard} have heard it");
        }
    }
    Ok(())
}

/// Units, which are taken with and without deadlines.
pub fn semaphores(work: &Work) -> Outcome {
    const UNITS: u32 = 5;
    let units = Semaphore::new(UNITS);
    let (taken, most, missed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    many(work.threads, work.seed, |_, random| {
        for _ in 0..work.steps {
            let has_one = match random.below(4) {
                0 => units.try_acquire(),
                1 | 2 => units.acquire_timeout(short(random)),
                _ => {
                    units.acquire();
                    true
                }
            };
            if has_one {
                let now = taken.fetch_add(1, Acquire) + 1;
                most.fetch_max(now, Relaxed);
                work.activities.perhaps(random);
                taken.fetch_sub(1, Release);
                units.release();
            } else {
                missed.fetch_add(1, Relaxed);
            }
            work.activities.perhaps(random);
        }
        Ok(())
    })?;
    let (most, missed) = (most.into_inner(), missed.into_inner());
    if most > u64::from(UNITS) {
        fail!("{most} had one of {UNITS} units at the same time");
    }
    let left = (0..=UNITS).filter(|_| units.try_acquire()).count();
    if left != UNITS as usize {
        fail!("of {UNITS} units {left} are left; {missed} times somebody got none");
    }
    Ok(())
}

/// Pairs of threads that take turns, each waking the other; and anybody may wake anybody without a reason.
pub fn wakers(work: &Work) -> Outcome {
    let pairs = work.threads / 2;
    let turns: Vec<AtomicU64> = (0..pairs).map(|_| AtomicU64::new(0)).collect();
    let threads: Vec<OnceLock<Thread>> = (0..2 * pairs).map(|_| OnceLock::new()).collect();
    let wake = |who: u64| {
        if let Some(thread) = threads[who as usize].get() {
            thread.unpark();
        }
    };
    many(2 * pairs, work.seed, |me, random| {
        let (turn, side) = (&turns[me as usize / 2], me % 2);
        let _ = threads[me as usize].set(thread::current());
        // The other one may have gone before there was anybody to wake; then the turn says so.
        for step in 0..work.steps {
            let own = 2 * step + side;
            let begun = clock::nanoseconds();
            while turn.load(Acquire) != own {
                match random.below(4) {
                    0 => thread::park(),
                    1 => thread::park_timeout(short(random)),
                    _ => thread::park_timeout(Duration::from_nanos(PATIENCE)),
                }
                let took = clock::nanoseconds() - begun;
                if took > PATIENCE {
                    fail!("{me} was not woken for {took} ns at {own}");
                }
            }
            work.activities.perhaps(random);
            turn.store(own + 1, Release);
            wake(me ^ 1);
            if random.below(4) == 0 {
                wake(random.below(2 * pairs));
            }
        }
        Ok(())
    })?;
    let all = turns.into_iter().filter(|turn| turn.load(Relaxed) == 2 * work.steps).count();
    if all as u64 == pairs { Ok(()) } else { fail!("{all} of {pairs} pairs are done") }
}
