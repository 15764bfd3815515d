//! Mutexes: one holder at a time, and nobody waits for ever.

#![cfg(not(feature = "loom"))]

mod common;

use common::{run, spawn, system};
use dispatch::Mutex;
use std::sync::Arc;

#[test]
fn one_holder_at_a_time() {
    common::model(|| {
        run(2, |may_fault| {
            let mutex = Arc::new(Mutex::new(0));
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let mutex = Arc::clone(&mutex);
                    spawn(system(60), move |may_fault| {
                        for _ in 0..3 {
                            *mutex.lock(may_fault) += 1;
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join(may_fault);
            }
            assert_eq!(*mutex.lock(may_fault), 9);
        });
    });
}
