//! The storm: who posts, who blocks, who computes without a call, and who keeps what the kernel waits for.

use crate::timers::Timers;
use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use libsa::sync::Mutex;
use libsa::{runtime, thread, withheld};
use threaded::activities::{Activities, compute};
use threaded::many::{Outcome, many};
use userland::pattern::{Memory, Says};
use userland::random::Random;
use userland::system::raw;
use userland::{clock, fail, lwp, println};

/// Threads that block and so on, those that post, and what each of them does so often.
pub const WORKERS: u64 = 64;
const POSTERS: u64 = 4;
const STEPS: u64 = 40;
/// Beside threads that compute all the time each does so much less.
const LESS: u64 = 8;
/// Longest sleep of a worker, in nanoseconds.
const NAP: u64 = 100_000;
/// Pages that a worker maps.
const PAGES: u64 = 8;
/// What has not come by then does not come.
const PATIENCE: u64 = 30 * clock::SECOND;

/// What there is besides.
#[derive(Clone, Copy, Default)]
pub struct Kind {
    /// Somebody keeps what the kernel waits for.
    pub keeps: bool,
    /// As many threads as virtual processors compute without a call.
    pub computes: bool,
}

/// What has happened in all storms.
pub struct Storm {
    activities: Activities,
    posted: AtomicU64,
    computed: AtomicU64,
    stacks: AtomicU64,
    slots: AtomicU64,
    /// What workers do with the library's own locks, too.
    shared: Mutex<u64>,
}

impl Storm {
    /// None has blown.
    pub fn new() -> Storm {
        let [posted, computed, stacks, slots] = [const { AtomicU64::new(0) }; 4];
        let (activities, shared) = (Activities::new(), Mutex::new(0));
        Storm { activities, posted, computed, stacks, slots, shared }
    }

    /// Lets it blow until the workers have done their work.
    pub fn blow(&self, seed: u64, kind: Kind) -> Outcome {
        let (computing, steps) = match kind.computes {
            true => (runtime::scheduler().processors(), STEPS / LESS),
            false => (0, STEPS),
        };
        let is_over = AtomicBool::new(false);
        let before = {
            let Ok(shared) = self.shared.lock();
            *shared
        };
        let computers: Vec<_> = (0..computing).map(|_| AtomicU64::new(0)).collect();
        let outcome = thread::scope(|scope| {
            // However this ends: nobody goes on for ever.
            let end_of_storm = EndOfStorm(&is_over);
            let is_over = &is_over;
            let handles: Vec<_> = computers
                .iter()
                .map(|count| scope.spawn(move || compute_without_a_call(count, is_over)))
                .collect();
            // This one goes on only if one of those gives way.
            let end = clock::nanoseconds() + PATIENCE;
            while computers.iter().any(|count| count.load(Relaxed) == 0) {
                if clock::nanoseconds() > end {
                    fail!("not all threads that compute have begun");
                }
                thread::yield_now();
            }
            let timers = Timers::start(&mut Random::of(seed, u64::MAX));
            let Ok(timers) = timers else { fail!("no timers: {:?}", timers.err()) };
            let keeper = kind.keeps.then(|| scope.spawn(move || self.keep(seed, is_over)));
            let outcome = many(WORKERS + POSTERS, seed, |me, random| {
                if me < WORKERS {
                    self.work(steps, random)
                } else {
                    self.post_to_all(steps, random)
                }
            });
            drop(end_of_storm);
            if let Some(keeper) = keeper {
                let Ok(()) = keeper.join();
            }
            drop(timers);
            handles.into_iter().fold(outcome, |outcome, handle| {
                let Ok(came) = handle.join();
                outcome.and(came)
            })
        });
        outcome?;
        let sum = computers.into_iter().map(AtomicU64::into_inner).sum();
        self.computed.fetch_add(sum, Relaxed);
        let Ok(shared) = self.shared.lock();
        if *shared - before != WORKERS * steps {
            fail!("{} of {} steps were done", *shared - before, WORKERS * steps);
        }
        Ok(())
    }

    /// Blocks for moments, takes locks and memory.
    fn work(&self, steps: u64, random: &mut Random) -> Outcome {
        for _ in 0..steps {
            match random.below(32) {
                0..16 => drop(lwp::sleep(random.below(NAP))),
                16 => touch_new_memory(random.below(1 << 30))?,
                _ => self.activities.something(random),
            }
            let Ok(mut shared) = self.shared.lock();
            let now = *shared;
            if random.below(16) == 0 {
                let _ = lwp::sleep(random.below(NAP / 10));
            }
            *shared = now + 1;
        }
        Ok(())
    }

    /// Posts to every virtual processor, again and again.
    fn post_to_all(&self, steps: u64, random: &mut Random) -> Outcome {
        let processors = runtime::scheduler().processors() as u64;
        for _ in 0..steps {
            for _ in 0..2 * processors {
                let to = random.below(processors) as u32;
                // SAFETY: the call writes to no memory.
                let posted = unsafe { raw::sa_preempt(to) };
                if posted.is_err() {
                    fail!("virtual processor {to} cannot be posted to: {posted:?}");
                }
                self.posted.fetch_add(1, Relaxed);
                compute(random.below(1000));
            }
            thread::yield_now();
        }
        Ok(())
    }

    /// Keeps stacks and slots, more and fewer of them, and gives them back after a while. It never sleeps in the kernel.
    fn keep(&self, seed: u64, is_over: &AtomicBool) {
        let mut random = Random::of(seed, u64::MAX - 1);
        while !is_over.load(Relaxed) {
            // Nearly all of a kind, now and then.
            let mut some = |all: u32| match random.below(3) {
                0 => all,
                1 => random.below(u64::from(all)) as u32,
                _ => 0,
            };
            withheld::withhold(some(runtime::stacks()), some(runtime::slots()));
            compute(random.below(20_000));
            thread::yield_now();
            self.give_back();
        }
        withheld::withhold(0, 0);
        while withheld::kept() != (0, 0) {
            self.give_back();
            thread::yield_now();
        }
    }

    fn give_back(&self) {
        let (stacks, slots) = withheld::give_back();
        self.stacks.fetch_add(stacks.into(), Relaxed);
        self.slots.fetch_add(slots.into(), Relaxed);
    }

    /// Says what has happened.
    pub fn end(&self) {
        println!("what was done to the kernel:");
        println!(
            "  {:>9}  times a thread posted to a virtual processor",
            self.posted.load(Relaxed)
        );
        println!("  {:>9}  upcall stacks went back late", self.stacks.load(Relaxed));
        println!("  {:>9}  save slots went back late", self.slots.load(Relaxed));
        println!(
            "  {:>9}  times threads computed the same without a call",
            self.computed.load(Relaxed)
        );
        self.activities.end();
    }
}

/// Says that the storm is over, when it goes.
struct EndOfStorm<'a>(&'a AtomicBool);

impl Drop for EndOfStorm<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Computes the same again and again, with all kinds of registers, and never calls anybody; it comes out the same each time.
fn compute_without_a_call(count: &AtomicU64, is_over: &AtomicBool) -> Outcome {
    let expected = mix(black_box(1));
    while !is_over.load(Relaxed) {
        let found = mix(black_box(1));
        if found != expected {
            fail!("{found:?} instead of {expected:?}");
        }
        count.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// Something that needs whole numbers and fractions.
fn mix(from: u64) -> (u64, u64) {
    let (mut whole, mut one, mut other) = (from, from as f64, 0.5);
    for _ in 0..2000 {
        whole = whole.wrapping_mul(6_364_136_223_846_793_005).rotate_left(17) ^ from;
        (one, other) = (other + 1.0 / (one + 1.0), one * 0.75);
    }
    (whole, (one + other).to_bits())
}

/// Maps memory, which is empty, writes it, reads it, and gives it back.
fn touch_new_memory(owner: u64) -> Outcome {
    let Some(memory) = Memory::map(PAGES) else { fail!("no memory") };
    for page in 0..PAGES {
        let says = memory.read(page);
        if says != Some(Says::NOTHING) {
            fail!("new memory says {says:?}");
        }
        memory.write(page, owner, page);
    }
    for page in 0..PAGES {
        let (says, expected) = (memory.read(page), Says { owner, page, version: page });
        if says != Some(expected) {
            fail!("{says:?} instead of {expected:?}");
        }
    }
    memory.unmap();
    Ok(())
}
