//! Hooks of a thread: its owner hears of every arrival on a processor and of every departure, one after
//! the other.

#![cfg(not(feature = "loom"))]

mod common;

use common::{real_time, run, spawn, system};
use dispatch::kernel_thread::{self, Attributes};
use dispatch::owner::Microstate;
use dispatch::{Mutex, Thread, ThreadOwner, preempt};
use machine::{Atomic, MayFault};
use std::sync::Arc;
use std::sync::Mutex as HostMutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Notes what it hears, and insists that it makes sense.
#[derive(Default)]
struct Witness {
    here: AtomicBool,
    arrivals: AtomicU64,
    departures: AtomicU64,
    sleeps: AtomicU64,
    over: AtomicBool,
    states: HostMutex<Vec<Microstate>>,
}

impl ThreadOwner for Witness {
    fn before_sleep(&self, _: &'static Thread) {
        assert!(self.here.load(Ordering::SeqCst), "who does not run does not go to sleep");
        self.sleeps.fetch_add(1, Ordering::SeqCst);
    }

    fn after_wake(&self, _: &'static Thread) {
        assert!(self.here.load(Ordering::SeqCst), "who has woken runs");
    }

    fn enters_processor(&self, _: &'static Thread, _: &Atomic) {
        assert!(!self.here.swap(true, Ordering::SeqCst), "it arrives twice");
        self.arrivals.fetch_add(1, Ordering::SeqCst);
    }

    fn leaves_processor(&self, _: &'static Thread, _: &Atomic) {
        assert!(self.here.swap(false, Ordering::SeqCst), "it leaves without having arrived");
        self.departures.fetch_add(1, Ordering::SeqCst);
    }

    fn microstate(&self, _: &'static Thread, state: Microstate, _: u64) {
        self.states.lock().unwrap().push(state);
    }

    fn over(&self, _: &'static Thread) {
        assert!(!self.here.load(Ordering::SeqCst), "it is over before it has left");
        assert!(!self.over.swap(true, Ordering::SeqCst), "it is over twice");
    }
}

/// Runs `entry` in a thread that `witness` owns, and waits for it.
fn owned(
    witness: &Arc<Witness>,
    entry: kernel_thread::Entry,
    argument: usize,
    may_fault: &mut MayFault,
) {
    // SAFETY: the witness outlives the thread, which this function waits for.
    let owner: &'static Witness = unsafe { &*Arc::as_ptr(witness) };
    let attributes = Attributes { owner: Some(owner), ..system(60) };
    let thread = kernel_thread::create(&attributes, entry, argument).unwrap();
    thread.join(may_fault);
    assert!(witness.over.load(Ordering::SeqCst));
    let (arrivals, departures) = (&witness.arrivals, &witness.departures);
    assert_eq!(arrivals.load(Ordering::SeqCst), departures.load(Ordering::SeqCst));
}

#[test]
fn who_chooses_itself_does_not_leave() {
    common::model(|| {
        run(1, |may_fault| {
            let witness = Arc::new(Witness::default());
            let yields = |_: usize, _: &mut MayFault| {
                for _ in 0..3 {
                    preempt::yield_now();
                }
                0
            };
            owned(&witness, yields, 0, may_fault);
            assert_eq!(witness.arrivals.load(Ordering::SeqCst), 1, "nobody else wants to run");
        });
    });
}

#[test]
fn arrivals_and_departures_alternate_whatever_happens() {
    common::model(|| {
        run(2, |may_fault| {
            let witness = Arc::new(Witness::default());
            let mutex: Arc<Mutex<u64>> = Arc::new(Mutex::new(0));
            let hogs: Vec<_> = (0..2)
                .map(|number| {
                    let mutex = Arc::clone(&mutex);
                    spawn(real_time(110 + number), move |may_fault| {
                        for _ in 0..3 {
                            *mutex.lock(may_fault) += 1;
                            preempt::yield_now();
                        }
                    })
                })
                .collect();
            fn works(mutex: usize, may_fault: &mut MayFault) -> usize {
                // SAFETY: the test keeps the mutex until this thread is over.
                let mutex = unsafe { &*std::ptr::with_exposed_provenance::<Mutex<u64>>(mutex) };
                for _ in 0..3 {
                    *mutex.lock(may_fault) += 1;
                    preempt::yield_now();
                    dispatch::Semaphore::new(1).p(may_fault);
                }
                0
            }
            owned(&witness, works, Arc::as_ptr(&mutex).expose_provenance(), may_fault);
            for hog in hogs {
                hog.join(may_fault);
            }
            assert_eq!(*mutex.lock(may_fault), 9);
        });
    });
}
