//! Who holds a lock is alone; who only reads is not, but nobody writes.

use crate::Work;
use core::array;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use libsa::sync::{Mutex, RwLock};
use libsa::thread;
use threaded::many::{Outcome, many};
use userland::fail;

/// Tries before a thread waits for a lock.
const TRIES: u32 = 20;

/// What only one at a time may touch. (The words are atomic so that it shows if there are two.)
#[derive(Default)]
struct Alone {
    /// Who is here, plus 1.
    by: AtomicU64,
    /// How often somebody was: read at the beginning and written at the end.
    count: AtomicU64,
}

impl Alone {
    fn visit(&self, me: u64, during: impl FnOnce()) -> Outcome {
        let other = self.by.load(Relaxed);
        if other != 0 {
            fail!("{me} and {} hold a lock at the same time", other - 1);
        }
        self.by.store(me + 1, Relaxed);
        let count = self.count.load(Relaxed);
        during();
        self.count.store(count + 1, Relaxed);
        let other = self.by.swap(0, Relaxed);
        if other != me + 1 {
            fail!("{other} was there while {me} held the lock");
        }
        Ok(())
    }
}

/// Few mutexes; some threads try first.
pub fn mutexes(work: &Work) -> Outcome {
    const LOCKS: usize = 8;
    let locks: [Mutex<Alone>; LOCKS] = array::from_fn(|_| Mutex::default());
    many(work.threads, work.seed, |me, random| {
        for _ in 0..work.steps {
            let lock = &locks[random.below(LOCKS as u64) as usize];
            let tries = if random.below(4) == 0 { TRIES } else { 0 };
            let tried = (0..tries).find_map(|_| {
                let tried = lock.try_lock().ok();
                if tried.is_none() {
                    thread::yield_now();
                }
                tried
            });
            let held = tried.unwrap_or_else(|| {
                let Ok(held) = lock.lock();
                held
            });
            held.visit(me, || work.activities.perhaps(random))?;
            drop(held);
            work.activities.perhaps(random);
        }
        Ok(())
    })?;
    let mut sum = 0;
    for lock in locks {
        let Ok(alone) = lock.into_inner();
        sum += alone.count.into_inner();
    }
    if sum == work.threads * work.steps { Ok(()) } else { fail!("{sum} visits") }
}

/// A value in two halves, which writers change one after the other.
#[derive(Default)]
struct Halves {
    first: AtomicU64,
    second: AtomicU64,
}

/// Who is there.
#[derive(Default)]
struct Present {
    readers: AtomicU64,
    writers: AtomicU64,
    /// Most readers at a time.
    most: AtomicU64,
}

impl Present {
    fn reads(&self, halves: &Halves, during: impl FnOnce()) -> Outcome {
        let readers = self.readers.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(readers, Relaxed);
        let first = halves.first.load(Relaxed);
        during();
        let second = halves.second.load(Relaxed);
        let writers = self.writers.load(SeqCst);
        self.readers.fetch_sub(1, SeqCst);
        if writers != 0 || first != second {
            fail!("a reader beside {writers} writers has read {first} and {second}");
        }
        Ok(())
    }

    fn writes(&self, halves: &Halves, during: impl FnOnce()) -> Outcome {
        let writers = self.writers.fetch_add(1, SeqCst);
        let value = halves.first.load(Relaxed) + 1;
        halves.first.store(value, Relaxed);
        during();
        halves.second.store(value, Relaxed);
        let readers = self.readers.load(SeqCst);
        self.writers.fetch_sub(1, SeqCst);
        if (writers, readers) != (0, 0) {
            fail!("a writer beside {writers} others and {readers} readers");
        }
        Ok(())
    }
}

/// One in eight writes.
pub fn readers_and_writers(work: &Work) -> Outcome {
    const LOCKS: usize = 4;
    let locks: [(RwLock<Halves>, Present); LOCKS] = array::from_fn(|_| Default::default());
    let written = AtomicU64::new(0);
    many(work.threads, work.seed, |_, random| {
        for _ in 0..work.steps {
            let (lock, present) = &locks[random.below(LOCKS as u64) as usize];
            let (writes, tries) = (random.below(8) == 0, random.below(4) == 0);
            let during = || work.activities.perhaps(random);
            if writes {
                written.fetch_add(1, Relaxed);
                let tried = tries.then(|| lock.try_write().ok()).flatten();
                let halves = tried.unwrap_or_else(|| {
                    let Ok(halves) = lock.write();
                    halves
                });
                present.writes(&halves, during)?;
            } else {
                let tried = tries.then(|| lock.try_read().ok()).flatten();
                let halves = tried.unwrap_or_else(|| {
                    let Ok(halves) = lock.read();
                    halves
                });
                present.reads(&halves, during)?;
            }
            work.activities.perhaps(random);
        }
        Ok(())
    })?;
    let (mut sum, mut most) = (0, 0);
    for (lock, present) in locks {
        let Ok(halves) = lock.into_inner();
        sum += halves.second.into_inner();
        most = most.max(present.most.into_inner());
    }
    let written = written.into_inner();
    if sum != written {
        fail!("{written} have written, and the value is {sum}");
    }
    if most < 2 {
        fail!("nobody has read beside another one");
    }
    Ok(())
}
