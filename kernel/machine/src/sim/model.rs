//! Running a test many times, in the manner of the flavour: so that one test body serves all three.
//!
//! - plain threads: a number of times, in whatever order the host schedules them;
//! - loom: once for every interleaving with at most a few preemptions, and for every outcome that
//!   the memory order allows;
//! - shuttle: under random schedules, and under schedules of the PCT algorithm (Burckhardt et al.
//!   2010), which finds bugs of small depth with known probability.
//!
//! Environment: `MODEL_ROUNDS` is the number of runs for plain threads and for each way of shuttle,
//! `LOOM_MAX_PREEMPTIONS` is loom's own.
//!
//! Below the public functions, bodies are boxed: a checker is built once, and not once for each test.

use std::boxed::Box;

type Body = Box<dyn Fn() + Send + Sync>;

/// Runs `body` many times. It makes its machine itself ([`super::run()`]), as everything that the
/// checkers see has to be made anew each time.
pub fn model(body: impl Fn() + Send + Sync + 'static) {
    flavour::model(Box::new(body));
}

/// As [`model`], with fewer preemptions under loom: for fragments that are a little too long for it. What a
/// missing barrier does is found without any.
pub fn model_with_few_preemptions(body: impl Fn() + Send + Sync + 'static) {
    flavour::model_with_few_preemptions(Box::new(body));
}

/// Runs `body` once, where the flavour's own threads and mutexes work: for tests in which nothing
/// happens at the same time, so that there is nothing to explore.
pub fn once(body: impl Fn() + Send + Sync + 'static) {
    flavour::once(Box::new(body));
}

#[cfg(not(feature = "loom"))]
fn rounds(default: usize) -> usize {
    match std::env::var("MODEL_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("MODEL_ROUNDS is a number"),
        Err(_) => default,
    }
}

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod flavour {
    pub(super) fn model(body: super::Body) {
        for _ in 0..super::rounds(50) {
            body();
        }
    }

    pub(super) use model as model_with_few_preemptions;

    pub(super) fn once(body: super::Body) {
        body();
    }
}

#[cfg(feature = "loom")]
mod flavour {
    pub(super) fn model(body: super::Body) {
        // As published for CHESS, nearly all bugs need two preemptions or fewer.
        check(2, body);
    }

    pub(super) fn model_with_few_preemptions(body: super::Body) {
        check(1, body);
    }

    fn check(preemptions: usize, body: super::Body) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
        builder.max_branches = 10_000;
        builder.check(body);
    }

    pub(super) fn once(body: super::Body) {
        model(body);
    }
}

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod flavour {
    use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
    use shuttle::{Config, Runner};
    use std::sync::Arc;

    /// How many places of a schedule PCT chooses.
    const DEPTH: usize = 3;

    pub(super) fn model(body: super::Body) {
        let body = Arc::new(body);
        let rounds = super::rounds(250);
        check(RandomScheduler::new(rounds), Arc::clone(&body));
        check(PctScheduler::new(DEPTH, rounds), body);
    }

    pub(super) use model as model_with_few_preemptions;

    pub(super) fn once(body: super::Body) {
        check(RandomScheduler::new(1), Arc::new(body));
    }

    fn check(scheduler: impl Scheduler + 'static, body: Arc<super::Body>) {
        let mut config = Config::new();
        config.stack_size = 256 * 1024;
        Runner::new(scheduler, config).run(move || body());
    }
}
