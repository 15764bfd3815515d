//! Waiting for memory: whoever waits is woken by who frees, whatever the order.

#![cfg(not(feature = "loom"))]

use super::*;
use crate::Vm;
use crate::page::Exclusive;
use crate::test_machine::{model, run, spawn, system};
use dispatch::sleep_queue::{interrupt, take_interrupt};
use std::vec::Vec;

/// Takes frames until there are none.
fn take_all() -> Vec<Exclusive> {
    // Memory is short: what is freed does not stay in a processor's cache.
    Memory::current().frames.set_reserves(0, 0, 16);
    let frames = std::iter::from_fn(|| Vm::current().shortage.allocate().ok());
    frames.map(Exclusive::fresh).collect()
}

#[test]
fn nobody_who_waits_for_memory_misses_that_there_is_some() {
    model(|| {
        run(2, 10, |may_fault| {
            let all = take_all();
            assert_eq!(all.len(), 10);
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    // It takes none: what lies in the cache of another processor would be nobody's.
                    spawn(system(60), |may_fault| {
                        assert_eq!(Vm::current().shortage.wait(may_fault), Woken::ByEvent);
                    })
                })
                .collect();
            // One by one: there is enough only with the last few.
            for page in all {
                page.free();
            }
            for thread in threads {
                thread.join(may_fault);
            }
            assert_eq!(Vm::current().waiting(), 0);
        });
    });
}

#[test]
fn who_waits_for_memory_can_be_interrupted() {
    model(|| {
        run(2, 10, |may_fault| {
            let all = take_all();
            let thread = spawn(system(60), |may_fault| {
                assert_eq!(Vm::current().shortage.wait(may_fault), Woken::BySignal);
                assert!(take_interrupt());
            });
            interrupt(thread.thread());
            thread.join(may_fault);
            assert_eq!(Vm::current().waiting(), 0);
            for page in all {
                page.free();
            }
        });
    });
}

#[test]
fn the_daemon_is_called_by_who_waits_also_just_before_it_sleeps() {
    model(|| {
        run(2, 10, |may_fault| {
            let all = take_all();
            let daemon = spawn(system(75), move |may_fault| {
                Vm::current().shortage.wait_for_call(may_fault);
                for page in all {
                    page.free();
                }
            });
            Vm::current().shortage.wait(may_fault);
            daemon.join(may_fault);
        });
    });
}

#[test]
fn what_the_daemon_s_processor_keeps_for_itself_is_given_back_before_anybody_is_woken() {
    model(|| {
        run(2, 24, |may_fault| {
            // Memory is not short yet: what is freed stays in this processor's cache.
            let frames = &Memory::current().frames;
            let all: Vec<_> =
                std::iter::from_fn(|| Vm::current().shortage.allocate().ok()).collect();
            let thread = spawn(system(60), |may_fault| {
                assert_eq!(Vm::current().shortage.wait(may_fault), Woken::ByEvent);
            });
            while !Vm::current().shortage.is_acute() {
                dispatch::preempt::yield_now();
                machine::spin();
            }
            all.into_iter().for_each(|frame| frames.free_anywhere(frame));
            Vm::current().shortage.relieve();
            assert_eq!(frames.counts().cached, 0, "nobody else can have them");
            thread.join(may_fault);
        });
    });
}
