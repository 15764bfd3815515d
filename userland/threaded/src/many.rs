//! Many threads that do the same; one of them may find something wrong.

use libsa::sync::Mutex;
use libsa::thread;
use userland::random::Random;
use userland::report::Why;

/// What came of something.
pub type Outcome = Result<(), Why>;

/// Starts so many threads, each with its number and its row of random numbers; returns what the first has found that has
/// found something wrong, when all are over.
pub fn many(threads: u64, seed: u64, act: impl Fn(u64, &mut Random) -> Outcome + Sync) -> Outcome {
    let first = Mutex::new(Ok(()));
    thread::scope(|scope| {
        for number in 0..threads {
            let (first, act) = (&first, &act);
            scope.spawn(move || {
                if let Err(why) = act(number, &mut Random::of(seed, number)) {
                    let Ok(mut first) = first.lock();
                    if first.is_ok() {
                        *first = Err(why);
                    }
                }
            });
        }
    });
    let Ok(outcome) = first.into_inner();
    outcome
}
