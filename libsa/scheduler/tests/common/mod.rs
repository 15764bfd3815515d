//! Virtual processors and threads without code: each virtual processor is a thread of the flavour, and a thread is a
//! list of steps that whoever runs it takes one after the other.

#![allow(dead_code, reason = "each test uses its part")]

use atomics::{AtomicU32, Ordering};
use scheduler::{Place, Scheduler, Table, Thread, ThreadId};
use std::sync::Arc;

#[cfg(feature = "loom")]
use loom::{
    sync::{Condvar, Mutex},
    thread,
};
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
use shuttle::{
    sync::{Condvar, Mutex},
    thread,
};
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
use std::{
    sync::{Condvar, Mutex},
    thread,
};

/// What a thread does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Lets others run.
    Yield,
    /// Parks.
    Park,
    /// Parks, and the time of that is over at some time.
    ParkBriefly,
    /// Gives another one its token.
    Unpark(u32),
    /// Starts another one.
    Spawn(u32),
    /// Keeps its virtual processor until another one is over: so another virtual processor has to run that.
    Outlast(u32),
}

/// A thread.
struct Record {
    thread: Thread,
    steps: Vec<Step>,
    /// Which comes next.
    at: AtomicU32,
    /// How many run it at this moment.
    runners: AtomicU32,
    is_over: AtomicU32,
}

/// A machine.
pub struct World {
    scheduler: Scheduler,
    records: Vec<Record>,
    /// How many threads are not over.
    left: AtomicU32,
    /// Those that sleep, and who is woken.
    woken: Vec<(Mutex<bool>, Condvar)>,
}

impl Table for World {
    fn thread(&self, id: ThreadId) -> &Thread {
        &self.records[id.number() as usize - 1].thread
    }
}

pub fn id(number: u32) -> ThreadId {
    ThreadId::new(number).expect("threads count from 1")
}

impl World {
    /// So many virtual processors; thread 1 can run.
    pub fn new(processors: usize, threads: &[&[Step]]) -> Arc<World> {
        let record = |steps: &&[Step]| Record {
            thread: Thread::new(),
            steps: steps.to_vec(),
            at: AtomicU32::new(0),
            runners: AtomicU32::new(0),
            is_over: AtomicU32::new(0),
        };
        let world = World {
            scheduler: Scheduler::new(),
            records: threads.iter().map(record).collect(),
            left: AtomicU32::new(threads.len() as u32),
            woken: (0..processors).map(|_| (Mutex::new(false), Condvar::new())).collect(),
        };
        world.scheduler.set_processors(processors);
        assert_eq!(world.scheduler.ready(0, id(1), Place::Last, &world), None);
        Arc::new(world)
    }

    /// Runs until all threads are over.
    pub fn run(self: &Arc<World>) {
        let others: Vec<_> = (1..self.woken.len())
            .map(|number| {
                let world = Arc::clone(self);
                thread::spawn(move || world.processor(number))
            })
            .collect();
        self.processor(0);
        for other in others {
            other.join().unwrap();
        }
        assert!(!self.scheduler.is_anybody_ready());
    }

    fn wake(&self, processor: Option<usize>) {
        let Some(processor) = processor else { return };
        let (woken, changed) = &self.woken[processor];
        *woken.lock().unwrap() = true;
        changed.notify_one();
    }

    /// Sleeps until it is woken. A wake-up that came before is not lost.
    fn sleep(&self, processor: usize) {
        let (woken, changed) = &self.woken[processor];
        let mut woken = woken.lock().unwrap();
        while !*woken {
            woken = changed.wait(woken).unwrap();
        }
        *woken = false;
    }

    fn processor(&self, here: usize) {
        loop {
            self.scheduler.begins(here);
            let next = self.scheduler.next(here, self);
            self.wake(next.wake);
            match next.thread {
                Some(thread) => self.live(here, thread),
                None if self.left.load(Ordering::Acquire) == 0 => break,
                None => self.sleep(here),
            }
        }
        // Nobody comes any more; everybody is to see that.
        for place in 0..self.woken.len() {
            self.wake(Some(place));
        }
    }

    /// Runs threads from this one on, until there is none.
    fn live(&self, here: usize, mut thread: ThreadId) {
        while let Some(next) = self.steps(here, thread) {
            thread = next;
        }
    }

    /// Takes a thread's steps, until another one goes on directly, or nobody does.
    fn steps(&self, here: usize, thread: ThreadId) -> Option<ThreadId> {
        let record = &self.records[thread.number() as usize - 1];
        record.thread.wait_until_off_its_stack();
        record.thread.enter_stack();
        assert_eq!(record.runners.fetch_add(1, Ordering::Relaxed), 0, "two run {thread:?}");
        let leave = || {
            assert_eq!(record.runners.fetch_sub(1, Ordering::Relaxed), 1);
            record.thread.leave_stack();
        };
        loop {
            let at = record.at.load(Ordering::Relaxed);
            let Some(step) = record.steps.get(at as usize) else {
                record.is_over.store(1, Ordering::Release);
                leave();
                if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    for place in 0..self.woken.len() {
                        self.wake(Some(place));
                    }
                }
                return None;
            };
            record.at.store(at + 1, Ordering::Relaxed);
            match *step {
                Step::Yield => {
                    if let Some(next) = self.scheduler.yields(here, thread, self) {
                        leave();
                        return Some(next);
                    }
                }
                Step::Park | Step::ParkBriefly => {
                    if record.thread.take_token() {
                        continue;
                    }
                    if record.thread.parks() {
                        if *step == Step::ParkBriefly && record.thread.unpark_late() {
                            let wake = self.scheduler.ready(here, thread, Place::Last, self);
                            self.wake(wake);
                        }
                        leave();
                        return None;
                    }
                }
                Step::Unpark(other) => {
                    if self.thread(id(other)).unpark() {
                        let wake = self.scheduler.ready(here, id(other), Place::First, self);
                        self.wake(wake);
                    }
                }
                Step::Outlast(other) => {
                    let other = &self.records[other as usize - 1];
                    while other.is_over.load(Ordering::Acquire) == 0 {
                        thread::yield_now();
                    }
                }
                Step::Spawn(other) => {
                    let wake = self.scheduler.ready(here, id(other), Place::Last, self);
                    self.wake(wake);
                }
            }
        }
    }
}

/// Runs `body` under the flavour's schedules.
pub fn model(body: impl Fn() + Send + Sync + 'static) {
    let body: Box<dyn Fn() + Send + Sync> = Box::new(body);
    #[cfg(feature = "loom")]
    {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(2));
        builder.max_branches = 10_000;
        builder.check(body);
    }
    #[cfg(all(feature = "shuttle", not(feature = "loom")))]
    {
        use shuttle::scheduler::{PctScheduler, RandomScheduler};
        let body = Arc::new(body);
        let (random, again) = (Arc::clone(&body), body);
        let mut config = shuttle::Config::new();
        config.stack_size = 1024 * 1024;
        shuttle::Runner::new(RandomScheduler::new(rounds(1000)), config.clone())
            .run(move || random());
        shuttle::Runner::new(PctScheduler::new(3, rounds(1000)), config).run(move || again());
    }
    #[cfg(not(any(feature = "loom", feature = "shuttle")))]
    for _ in 0..rounds(200) {
        body();
    }
}

#[cfg(not(feature = "loom"))]
fn rounds(default: usize) -> usize {
    let rounds = std::env::var("MODEL_ROUNDS");
    rounds.map_or(default, |rounds| rounds.parse().expect("MODEL_ROUNDS is a number"))
}

/// The fewest virtual processors that a world may have: shuttle wants something to happen at the same time.
pub const FEWEST: usize = if cfg!(feature = "shuttle") { 2 } else { 1 };
