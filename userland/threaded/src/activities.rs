//! What threads do between two things that are looked at, or while they hold something: they compute, let others run, sleep in
//! the library, sleep in the kernel, or wait at a pipe.

use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use libsa::thread;
use userland::random::Random;
use userland::{files, lwp, println};

/// How many threads are let past the gate at a time.
const PASSES: usize = 2;
/// Longest sleep, in nanoseconds.
const NAP: u64 = 200_000;

/// What they did, in the order of [`Activities::counts`].
const NAMES: [&str; 5] = [
    "times a thread computed",
    "times let others run",
    "times slept in the library",
    "times slept in the kernel",
    "times waited for a byte of a pipe",
];

/// What threads can do.
pub struct Activities {
    /// A pipe with a few bytes in it: who takes one puts it back before it does anything that needs another thread.
    gate: [i32; 2],
    counts: [AtomicU64; 5],
}

impl Activities {
    /// Makes the pipe.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn new() -> Activities {
        let gate = files::pipe(0).expect("a pipe");
        let written = files::write(gate[1], &[0; PASSES]);
        assert_eq!(written, Ok(PASSES), "a pipe has room for a few bytes");
        Activities { gate, counts: [const { AtomicU64::new(0) }; 5] }
    }

    /// Does something, one time in four.
    pub fn perhaps(&self, random: &mut Random) {
        if random.below(4) == 0 {
            self.something(random);
        }
    }

    /// Does something.
    pub fn something(&self, random: &mut Random) {
        let which = match random.below(100) {
            0..55 => 0,
            55..75 => 1,
            75..85 => 2,
            85..95 => 3,
            _ => 4,
        };
        match which {
            0 => compute(random.below(2000)),
            1 => thread::yield_now(),
            2 => thread::sleep(Duration::from_nanos(random.below(NAP))),
            3 => drop(lwp::sleep(random.below(NAP))),
            _ => self.pass_the_gate(random),
        }
        self.counts[which].fetch_add(1, Relaxed);
    }

    fn pass_the_gate(&self, random: &mut Random) {
        let mut pass = [0];
        let taken = files::read(self.gate[0], &mut pass);
        assert_eq!(taken, Ok(1), "a pipe has bytes");
        if random.below(4) == 0 {
            let _ = lwp::sleep(random.below(NAP));
        }
        let back = files::write(self.gate[1], &pass);
        assert_eq!(back, Ok(1), "a pipe has room for what was taken from it");
    }

    /// Says how often.
    pub fn end(&self) {
        println!("what the threads did meanwhile:");
        for (count, name) in self.counts.iter().zip(NAMES) {
            println!("  {:>9}  {name}", count.load(Relaxed));
        }
    }
}

impl Default for Activities {
    fn default() -> Activities {
        Activities::new()
    }
}

/// Computes so many steps.
pub fn compute(steps: u64) {
    for step in 0..steps {
        black_box(step);
    }
}
