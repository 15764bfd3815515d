//! What a virtual processor does next.

use crate::idle::{Idle, PROCESSORS_MAX};
use crate::queue::{Place, RunQueue};
use crate::thread::{Thread, ThreadId};
use atomics::{AtomicU32, AtomicU64, Ordering::Relaxed, spin_loop};

/// Where the threads are.
pub trait Table {
    /// The thread of a number.
    fn thread(&self, id: ThreadId) -> &Thread;
}

/// A virtual processor, as the scheduler sees it.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct Processor {
    /// The threads that can run there.
    pub queue: RunQueue,
    /// Where it looks first when it searches; it is another place each time.
    from: AtomicU32,
    /// Its own: it has said that it idles; it is counted as searching.
    idles: AtomicU32,
    searches: AtomicU32,
    counts: [AtomicU64; 2],
}

/// What has happened, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Threads that came from another virtual processor's queue: how often some were taken.
    pub steals: u64,
    /// How often it had nothing to do.
    pub idles: u64,
}

/// All virtual processors, and who of them idles.
#[derive(Debug)]
pub struct Scheduler {
    processors: [Processor; PROCESSORS_MAX],
    idle: Idle,
    /// The threads of virtual processors that have lost their processors: others have threads of their own, and may never
    /// run out of them.
    stranded: RunQueue,
    /// How many virtual processors there are.
    count: AtomicU32,
}

impl Default for Scheduler {
    fn default() -> Scheduler {
        Scheduler::new()
    }
}

impl Scheduler {
    /// One virtual processor and no thread.
    pub fn new() -> Scheduler {
        Scheduler {
            processors: core::array::from_fn(|_| Processor::default()),
            idle: Idle::new(),
            stranded: RunQueue::new(),
            count: AtomicU32::new(1),
        }
    }

    /// So many virtual processors there can be from now on. There never are fewer than before.
    pub fn set_processors(&self, count: usize) {
        self.count.fetch_max(count as u32, Relaxed);
    }

    /// How many virtual processors there can be.
    #[inline]
    pub fn processors(&self) -> usize {
        self.count.load(Relaxed) as usize
    }

    /// A virtual processor.
    #[inline]
    pub fn processor(&self, number: usize) -> &Processor {
        &self.processors[number % PROCESSORS_MAX]
    }

    /// A thread, which is in no list, can run. Says whom to wake for that.
    #[inline]
    pub fn ready(
        &self,
        here: usize,
        thread: ThreadId,
        place: Place,
        table: &impl Table,
    ) -> Option<usize> {
        self.processor(here).queue.push(thread, place, table);
        self.idle.wanted()
    }

    /// The thread that runs here lets others run. `None` if it goes on itself.
    #[inline]
    pub fn yields(&self, here: usize, thread: ThreadId, table: &impl Table) -> Option<ThreadId> {
        let next = self.processor(here).queue.exchange(thread, table);
        if next == Some(thread) { None } else { next }
    }

    /// The next thread to run here: one of this queue, or of another one. `None` if there is none: the virtual processor
    /// idles from now on, and may be woken. Says also whom to wake.
    #[inline]
    pub fn next(&self, here: usize, table: &impl Table) -> Next {
        let processor = self.processor(here);
        if processor.searches.load(Relaxed) == 0
            && let Some(thread) = processor.queue.pop(table)
        {
            return Next { thread: Some(thread), wake: None };
        }
        self.search(here, table)
    }

    #[cold]
    fn search(&self, here: usize, table: &impl Table) -> Next {
        let processor = self.processor(here);
        if processor.searches.swap(0, Relaxed) == 0 {
            self.idle.searches();
        }
        loop {
            if let Some(thread) = self.look_around(here, table) {
                // Whoever put a thread into a queue while this one searched has woken nobody.
                let is_more = self.idle.found() && self.is_anybody_ready();
                let wake = if is_more { self.idle.wanted() } else { None };
                return Next { thread: Some(thread), wake };
            }
            self.idle.idles(here);
            // What was made ready before anybody could see that this one idles.
            if !self.is_anybody_ready() {
                processor.idles.store(1, Relaxed);
                processor.count(1);
                return Next { thread: None, wake: None };
            }
            if self.idle.wakes(here) {
                self.idle.searches();
            }
            // Otherwise somebody has claimed it, and counted it; that wake-up comes when it is not needed any longer.
            // A queue that could not be looked into has somebody at work on it.
            spin_loop();
        }
    }

    fn look_around(&self, here: usize, table: &impl Table) -> Option<ThreadId> {
        let processor = self.processor(here);
        if let Some(thread) = processor.queue.pop(table) {
            return Some(thread);
        }
        if let Some(thread) = self.stranded.pop(table) {
            return Some(thread);
        }
        let count = self.processors();
        let from = processor.from.load(Relaxed) as usize;
        processor.from.store(from as u32 + 1, Relaxed);
        for place in (0..count).map(|step| (from + step) % count).filter(|place| *place != here) {
            if let Some(thread) = self.processor(place).queue.steal(&processor.queue, table) {
                processor.count(0);
                return Some(thread);
            }
        }
        None
    }

    /// A virtual processor is at work, whether it idled or not, and whether somebody has woken it or not.
    #[inline]
    pub fn begins(&self, here: usize) {
        let processor = self.processor(here);
        if processor.idles.load(Relaxed) != 0 {
            processor.idles.store(0, Relaxed);
            if !self.idle.wakes(here) {
                // Who has claimed it has counted it.
                processor.searches.store(1, Relaxed);
            }
        }
    }

    /// A virtual processor has lost its processor, or is about to: what is in its queue is everybody's.
    pub fn strand(&self, processor: usize, table: &impl Table) {
        while let Some(thread) = self.processor(processor).queue.pop(table) {
            self.stranded.push(thread, Place::Last, table);
        }
    }

    /// Takes threads over that others have left, but not too many at a time. For who has threads of his own: every so
    /// often.
    #[inline]
    pub fn rescue(&self, here: usize, table: &impl Table) {
        for _ in 0..self.stranded.count().min(RESCUED_MAX) {
            if let Some(thread) = self.stranded.pop(table) {
                self.processor(here).queue.push(thread, Place::Last, table);
            }
        }
    }

    /// Whether a thread is in any queue.
    pub fn is_anybody_ready(&self) -> bool {
        self.stranded.count() != 0
            || (0..self.processors()).any(|place| self.processor(place).queue.count() != 0)
    }

    /// Who idles, a bit for each, and how many search, as far as one can tell.
    pub fn idle(&self) -> (u64, u32) {
        self.idle.state()
    }

    /// What has happened.
    pub fn counts(&self) -> Counts {
        let sum = |which: usize| {
            self.processors.iter().map(|processor| processor.counts[which].load(Relaxed)).sum()
        };
        Counts { steals: sum(0), idles: sum(1) }
    }
}

/// Most threads that are taken over at a time.
const RESCUED_MAX: u32 = 256;

/// What a virtual processor does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// It runs this one; or it idles.
    pub thread: Option<ThreadId>,
    /// This one is to be woken.
    pub wake: Option<usize>,
}

impl Processor {
    fn count(&self, which: usize) {
        let count = &self.counts[which];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }
}
