//! Threads that compute until they are told to stop, and whose results can be checked: a linear congruential generator,
//! of which any element can be found by squaring.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use libsa::thread::{self, JoinHandle};

const FACTOR: u64 = 6_364_136_223_846_793_005;
const SUMMAND: u64 = 1_442_695_040_888_963_407;
/// Elements between two looks whether to stop.
const STEP: u64 = 2_000;

/// Threads that compute.
pub struct Workers {
    stop: &'static AtomicBool,
    threads: Vec<JoinHandle<bool>>,
}

impl Workers {
    /// So many begin.
    pub fn start(count: usize, stop: &'static AtomicBool) -> Workers {
        stop.store(false, Ordering::Release);
        let begin = |seed| thread::spawn(move || compute(seed, u64::MAX, stop));
        Workers { stop, threads: (0..count as u64).map(begin).collect() }
    }

    /// They stop. Says whether all their results are right.
    pub fn finish(self) -> bool {
        self.stop.store(true, Ordering::Release);
        // All of them are waited for, whatever the first says.
        self.threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(false))
            .fold(true, |all, one| all & one)
    }
}

/// Computes so many elements, or until it is told to stop. Says whether the last is right.
pub fn compute(seed: u64, count: u64, stop: &AtomicBool) -> bool {
    let (mut element, mut done) = (seed, 0);
    while done < count && !stop.load(Ordering::Acquire) {
        for _ in 0..STEP {
            element = element.wrapping_mul(FACTOR).wrapping_add(SUMMAND);
        }
        done += STEP;
    }
    element == find(seed, done)
}

/// The element of a number.
fn find(seed: u64, mut number: u64) -> u64 {
    let (mut factor, mut summand) = (1_u64, 0_u64);
    let (mut step_factor, mut step_summand) = (FACTOR, SUMMAND);
    while number != 0 {
        if number & 1 != 0 {
            factor = factor.wrapping_mul(step_factor);
            summand = summand.wrapping_mul(step_factor).wrapping_add(step_summand);
        }
        step_summand = step_summand.wrapping_mul(step_factor).wrapping_add(step_summand);
        step_factor = step_factor.wrapping_mul(step_factor);
        number >>= 1;
    }
    factor.wrapping_mul(seed).wrapping_add(summand)
}
