//! One run: steps of the bodies, by threads and through the cache, or by one thread in a row.

use crate::bodies::{Bodies, Vector};
use crate::cache::Cache;
use crate::forces::{self, TOGETHER};
use crate::tree::Tree;
use alloc::vec;
use core::sync::atomic::Ordering::Relaxed;
use libsa::thread;
use userland::{clock, eprintln, println};

/// Energy may change by so many millionths, and by so many more for each step.
const ENERGY_BOUND: [f64; 2] = [1000.0, 100.0];

/// What to do.
#[derive(Clone, Copy)]
pub struct Run {
    pub bodies: usize,
    pub steps: usize,
    /// How much of the tree there is memory for.
    pub percent: usize,
    /// How long the disk takes, in microseconds.
    pub miss: u64,
}

/// What came of it.
#[derive(Clone, Copy, Default)]
pub struct Outcome {
    /// When it began and ended, in nanoseconds since boot.
    pub begin: u64,
    pub end: u64,
    /// Blocks missed, and how many were being read at most at a time.
    pub misses: u64,
    pub most: u64,
    /// All bits of the result.
    pub digest: u64,
    /// By how many millionths the energy has changed.
    pub energy: f64,
}

impl Outcome {
    /// In milliseconds.
    pub fn time(&self) -> u64 {
        (self.end - self.begin) / 1_000_000
    }

    /// Whether the energy has stayed what it was.
    pub fn has_kept_energy(&self, run: &Run) -> bool {
        let [bound, each] = ENERGY_BOUND;
        // Not a number is no.
        self.energy.abs() <= bound + each * run.steps as f64
    }
}

/// A group of bodies goes through the tree: by a thread for each group.
fn by_threads(tree: &Tree, cache: &mut Cache, accelerations: &mut [Vector]) {
    cache.write(&tree.nodes);
    let cache = &*cache;
    let groups = tree.places.chunks(TOGETHER).zip(accelerations.chunks_mut(TOGETHER));
    thread::scope(|scope| {
        for (places, accelerations) in groups {
            drop(scope.spawn(|| forces::of_group(cache.reader(), places, accelerations)));
        }
    });
}

/// The same, one group after the other, and everything is in memory.
fn in_a_row(tree: &Tree, accelerations: &mut [Vector]) {
    let groups = tree.places.chunks(TOGETHER).zip(accelerations.chunks_mut(TOGETHER));
    groups.for_each(|(places, to)| forces::of_group(&tree.nodes[..], places, to));
}

/// Does it.
pub fn simulate(run: &Run, is_threaded: bool) -> Outcome {
    let mut bodies = Bodies::new(run.bodies);
    let mut cache = Cache::new(run.percent, run.miss * 1000);
    let mut tree = Tree::default();
    let mut accelerations = vec![[0.0; 3]; run.bodies];
    let mass = bodies.mass();
    let before = bodies.energy();
    let begin = clock::nanoseconds();
    for step in 0..=run.steps {
        if step != 0 {
            bodies.kick();
            bodies.drift();
        }
        tree.build(&bodies.positions, mass);
        match is_threaded {
            true => by_threads(&tree, &mut cache, &mut accelerations),
            false => in_a_row(&tree, &mut accelerations),
        }
        for (&body, acceleration) in tree.order.iter().zip(&accelerations) {
            bodies.accelerations[body as usize] = *acceleration;
        }
        if step != 0 {
            bodies.kick();
        }
    }
    let end = clock::nanoseconds();
    let energy = (bodies.energy() - before) / before * 1e6;
    let counts = &cache.counts;
    let [misses, most] = [&counts.misses, &counts.most].map(|count| u64::from(count.load(Relaxed)));
    Outcome { begin, end, misses, most, digest: bodies.digest(), energy }
}

/// Does it by threads and in a row, and says whether both come to the same.
pub fn compare(run: &Run) -> i32 {
    let (threads, row) = (simulate(run, true), simulate(run, false));
    println!(
        "{} ms with {} % of {} bodies' tree in memory: {} misses of {} us, {} at a time",
        threads.time(),
        run.percent,
        run.bodies,
        threads.misses,
        run.miss,
        threads.most,
    );
    println!("{} ms in a row with everything in memory", row.time());
    println!("energy has changed by {} millionths", threads.energy as i64);
    if threads.digest != row.digest {
        eprintln!("WRONG: the two have come to different bits");
        return 1;
    }
    println!("right: both have come to the same bits");
    if !threads.has_kept_energy(run) {
        eprintln!("WRONG: energy has changed too much");
        return 1;
    }
    0
}
