//! Waiting for something that another thread does, where the test has nothing better.

use std::time::{Duration, Instant};

/// Spins until something holds. A host's thread gives up after a while; the checkers notice by
/// themselves that nothing goes on.
#[track_caller]
pub fn until(what: impl Fn() -> bool) {
    let begin = Instant::now();
    while !what() {
        machine::spin();
        assert!(
            cfg!(feature = "shuttle") || begin.elapsed() < Duration::from_secs(20),
            "waited in vain"
        );
    }
}
