//! What the threads do, and what must come of it.

use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering, Ordering::Relaxed};
use core::time::Duration;
use libsa::sync::{Barrier, Mutex, Semaphore};
use libsa::thread;
use threaded::handles::Handles;
use userland::lwp;

/// A round with so many threads: what came, and what should.
pub type Round = fn(u64) -> (u64, u64);

/// A thread sums up a range: it leaves halves to others as long as there are threads for them.
pub fn tree(threads: u64) -> (u64, u64) {
    const EACH: u64 = 20;
    fn sum(from: u64, to: u64) -> u64 {
        if to - from <= EACH {
            return (from..to).sum();
        }
        let middle = from.midpoint(to);
        let left = thread::spawn(move || sum(from, middle));
        let right = thread::spawn(move || sum(middle, to));
        let (Ok(left), Ok(right)) = (left.join(), right.join());
        left + right
    }
    let count = threads * EACH / 2;
    (sum(0, count), count * (count - 1) / 2)
}

/// Each parks until the one before has woken it, three times round.
pub fn ring(threads: u64) -> (u64, u64) {
    const ROUNDS: u64 = 3;
    /// Whose turn it is: counted over all rounds.
    static TURN: AtomicU64 = AtomicU64::new(0);
    static ALL: AtomicPtr<Handles> = AtomicPtr::new(core::ptr::null_mut());
    TURN.store(0, Relaxed);
    let all = Handles::start(threads, move |number| {
        let mut taken = 0;
        for round in 0..ROUNDS {
            let own = round * threads + number + 1;
            while TURN.load(Ordering::Acquire) != own {
                thread::park();
            }
            taken += 1;
            TURN.store(own + 1, Ordering::Release);
            if own == ROUNDS * threads {
                break;
            }
            // SAFETY: it lives until the last turn is over.
            let all = unsafe { &*ALL.load(Ordering::Acquire) };
            all.get((number + 1) % threads).thread().unpark();
        }
        taken
    });
    let Some(mut all) = all else { return (0, 1) };
    ALL.store(&raw mut all, Ordering::Release);
    TURN.store(1, Ordering::Release);
    all.get(0).thread().unpark();
    while TURN.load(Ordering::Acquire) != ROUNDS * threads + 1 {
        thread::sleep(Duration::from_millis(1));
    }
    (all.join(), ROUNDS * threads)
}

/// All count under the same few locks.
pub fn locks(threads: u64) -> (u64, u64) {
    const LOCKS: usize = 16;
    static COUNTS: [Mutex<u64>; LOCKS] = [const { Mutex::new(0) }; LOCKS];
    let all = Handles::start(threads, |number| {
        for step in 0..10_usize {
            let Ok(mut count) = COUNTS[(number as usize * 7 + step * step) % LOCKS].lock();
            let before = *count;
            if step == 5 {
                thread::yield_now();
            }
            *count = before + 1;
        }
        0
    });
    let Some(all) = all else { return (0, 1) };
    all.join();
    let sum = COUNTS.iter().map(|count| {
        let Ok(mut count) = count.lock();
        core::mem::take(&mut *count)
    });
    (sum.sum(), threads * 10)
}

/// Groups of four meet again and again; nobody is a round ahead.
pub fn turns(threads: u64) -> (u64, u64) {
    const GROUPS: usize = 64;
    const SIZE: u64 = 4;
    static MEETINGS: [Barrier; GROUPS] = [const { Barrier::new(SIZE as usize) }; GROUPS];
    static MAY_MEET: [Semaphore; GROUPS] = [const { Semaphore::new(SIZE as u32) }; GROUPS];
    let threads = threads.next_multiple_of(GROUPS as u64 * SIZE);
    let all = Handles::start(threads, |number| {
        let group = number as usize % GROUPS;
        let _permit = MAY_MEET[group].permit();
        (0..5).map(|_| u64::from(MEETINGS[group].wait().is_leader())).sum()
    });
    let Some(all) = all else { return (0, 1) };
    // Five meetings of each four have one leader each; but groups may change their members between two meetings.
    (all.join(), threads / SIZE * 5)
}

/// All sleep in the kernel at once, while others compute.
pub fn blocked(threads: u64) -> (u64, u64) {
    static ASLEEP: AtomicU64 = AtomicU64::new(0);
    static MOST: AtomicU64 = AtomicU64::new(0);
    static COMPUTED: AtomicU64 = AtomicU64::new(0);
    let all = Handles::start(threads, |number| {
        for round in 0..3 {
            let asleep = ASLEEP.fetch_add(1, Relaxed) + 1;
            MOST.fetch_max(asleep, Relaxed);
            let _ = lwp::sleep((20 + (number * 7 + round) % 30) * 1_000_000);
            ASLEEP.fetch_sub(1, Relaxed);
            COMPUTED.fetch_add((0..1000).fold(number, |sum, step| sum ^ step) & 1, Relaxed);
        }
        1
    });
    let Some(all) = all else { return (0, 1) };
    (all.join(), threads)
}
