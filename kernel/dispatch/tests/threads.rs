//! Kernel threads: they begin, run, end, and are waited for.

#![cfg(not(feature = "loom"))]

mod common;

use common::{run, spawn, spawn_returning, system};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn a_thread_returns_its_result_to_who_joins_it() {
    common::model(|| {
        run(1, |may_fault| {
            let thread = spawn_returning(system(60), |_| 42);
            assert_eq!(thread.join(may_fault), 42);
        });
    });
}

#[test]
fn threads_run_on_several_processors() {
    common::model(|| {
        run(2, |may_fault| {
            let ran = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let ran = Arc::clone(&ran);
                    spawn(system(60), move |_| {
                        ran.fetch_add(1, Ordering::SeqCst);
                    })
                })
                .collect();
            for thread in threads {
                thread.join(may_fault);
            }
            assert_eq!(ran.load(Ordering::SeqCst), 2);
        });
    });
}
