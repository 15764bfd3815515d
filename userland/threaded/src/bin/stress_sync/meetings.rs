//! Barriers, and what is done by the first who comes.

use crate::Work;
use core::array;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use libsa::sync::{Barrier, Once, OnceLock};
use threaded::many::{Outcome, many};
use userland::fail;

/// Groups meet again and again: after a meeting all have come to it, and nobody to the one after the next.
pub fn barriers(work: &Work) -> Outcome {
    const SIZE: u64 = 12;
    struct Group {
        barrier: Barrier,
        come: AtomicU64,
        leaders: AtomicU64,
    }
    const GROUPS: usize = 16;
    let threads = SIZE * GROUPS.min((work.threads / SIZE) as usize) as u64;
    let groups: [Group; GROUPS] = array::from_fn(|_| Group {
        barrier: Barrier::new(SIZE as usize),
        come: AtomicU64::new(0),
        leaders: AtomicU64::new(0),
    });
    many(threads, work.seed, |me, random| {
        let group = &groups[(me / SIZE) as usize];
        // Who finds something wrong goes on: the others wait for it.
        let mut outcome = Ok(());
        for step in 0..work.steps {
            work.activities.perhaps(random);
            group.come.fetch_add(1, SeqCst);
            let is_leader = group.barrier.wait().is_leader();
            let come = group.come.load(SeqCst);
            group.leaders.fetch_add(u64::from(is_leader), Relaxed);
            if come < (step + 1) * SIZE || come >= (step + 2) * SIZE {
                let wrong = || fail!("after meeting {step} of {SIZE}, {come} had come");
                outcome = outcome.and_then(|()| wrong());
            }
        }
        outcome
    })?;
    for group in &groups[..(threads / SIZE) as usize] {
        let leaders = group.leaders.load(Relaxed);
        if leaders != work.steps {
            fail!("{} meetings have had {leaders} leaders", work.steps);
        }
    }
    Ok(())
}

/// Everything is done once, and whoever comes finds it done, all of it.
pub fn once(work: &Work) -> Outcome {
    const THINGS: usize = 64;
    #[derive(Default)]
    struct Thing {
        once: Once,
        done: AtomicU64,
        /// Who has made it, three times over.
        value: OnceLock<[u64; 3]>,
        made: AtomicU64,
    }
    let things: [Thing; THINGS] = array::from_fn(|_| Thing::default());
    many(work.threads, work.seed, |me, random| {
        for _ in 0..work.steps {
            let thing = &things[random.below(THINGS as u64) as usize];
            thing.once.call_once(|| {
                work.activities.something(random);
                thing.done.fetch_add(1, Relaxed);
            });
            let done = thing.done.load(Relaxed);
            let value = thing.value.get_or_init(|| {
                thing.made.fetch_add(1, Relaxed);
                work.activities.something(random);
                [me; 3]
            });
            let [first, second, third] = *value;
            if done != 1 || first != second || first != third {
                fail!("done {done} times; {value:?}");
            }
            let refused = thing.value.set([me; 3]);
            if refused != Err([me; 3]) {
                fail!("a value was written over");
            }
            work.activities.perhaps(random);
        }
        Ok(())
    })?;
    for thing in things {
        let (done, made) = (thing.done.into_inner(), thing.made.into_inner());
        if done > 1 || done != made {
            fail!("done {done} times, made {made} times");
        }
    }
    Ok(())
}
