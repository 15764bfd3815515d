//! The page daemon's threads: they end when they are told to, and let others run.

// A scheduler that may run one thread for ever is not for these.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use super::run as run_daemon;
use super::*;
use crate::page::Exclusive;
use crate::test_machine::{dispatcher, run, spawn, system};
use dispatch::kernel_thread::JoinHandle;
use memory::FrameNumber;
use std::sync::{Mutex, mpsc};
use std::time::Duration;
use std::vec::Vec;

/// Runs a machine, and fails if it takes too long: if a thread never comes to its end, or never lets another one run.
fn within_time(test: impl FnOnce() + Send + 'static) {
    let (is_over, over) = mpsc::channel();
    std::thread::spawn(move || {
        test();
        let _ = is_over.send(());
    });
    over.recv_timeout(Duration::from_secs(30)).expect("the machine comes to its end");
}

/// Takes all frames.
fn take_all() -> Vec<FrameNumber> {
    Memory::current().frames.set_reserves(0, 0, 16);
    std::iter::from_fn(|| Vm::current().shortage.allocate().ok()).collect()
}

fn free_all(frames: Vec<FrameNumber>) {
    frames.into_iter().map(Exclusive::fresh).for_each(Exclusive::free);
}

/// Time goes on where nothing else does.
fn clock() -> (JoinHandle, dispatcher::Flag) {
    let over = dispatcher::Flag::new();
    let is_over = over.clone();
    let clock = spawn(dispatcher::time_sharing(0), move |_| {
        while !is_over.is_set() {
            dispatcher::advance(50);
            dispatch::preempt::yield_now();
        }
    });
    (clock, over)
}

/// Who is asked to choose stops the daemon, and there is memory again.
struct Stops(Mutex<Vec<FrameNumber>>);

impl Victims for Stops {
    fn choose(&self, _: &mut MayFault) {
        stop();
        free_all(core::mem::take(&mut *self.0.lock().unwrap()));
    }
}

#[test]
fn a_daemon_that_is_stopped_before_it_pauses_comes_to_its_end() {
    within_time(|| {
        run(1, 24, |may_fault| {
            let victims: &'static Stops = Box::leak(Box::new(Stops(Mutex::new(take_all()))));
            let daemon = spawn(system(75), move |may_fault| {
                run_daemon(Goals { high: 1, pause: 100 }, victims, may_fault);
            });
            let (clock, over) = clock();
            Vm::current().shortage.wait(may_fault);
            daemon.join(may_fault);
            over.set();
            clock.join(may_fault);
        });
    });
}

struct Nobody;

impl Victims for Nobody {
    fn choose(&self, _: &mut MayFault) {}
}

#[test]
fn who_has_the_last_page_of_the_laundry_busy_gets_to_run() {
    within_time(|| {
        run(1, 24, |may_fault| {
            let mut frames = take_all();
            let busy = Exclusive::fresh(frames.pop().expect("there are frames"));
            Vm::current().queues.put(busy.page(), Queue::Laundry);
            let threads = [
                spawn(system(75), |may_fault| {
                    run_daemon(Goals { high: 1, pause: 100 }, &Nobody, may_fault);
                }),
                spawn(system(75), run_laundry),
                // It has a lower priority than the two.
                spawn(dispatcher::time_sharing(0), move |_| {
                    Vm::current().queues.remove(busy.page());
                    busy.free();
                    free_all(frames);
                }),
            ];
            let (clock, over) = clock();
            Vm::current().shortage.wait(may_fault);
            stop();
            for thread in threads {
                thread.join(may_fault);
            }
            over.set();
            clock.join(may_fault);
        });
    });
}

/// Whoever is asked to gather says so, and stops the daemon.
struct Gathers(AtomicBool);

impl Victims for Gathers {
    fn gather(&self, _: &mut MayFault) {
        self.0.store(true, Ordering::Release);
        stop();
    }

    fn choose(&self, _: &mut MayFault) {}
}

#[test]
fn who_asks_for_memory_has_it_gathered_although_there_is_enough() {
    within_time(|| {
        run(2, 24, |may_fault| {
            let victims: &'static Gathers = Box::leak(Box::new(Gathers(AtomicBool::new(false))));
            let daemon = spawn(system(75), move |may_fault| {
                run_daemon(Goals { high: 1, pause: 100 }, victims, may_fault);
            });
            Vm::current().ask_for_memory();
            daemon.join(may_fault);
            assert!(victims.0.load(Ordering::Acquire));
        });
    });
}
