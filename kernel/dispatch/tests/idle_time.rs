//! What processors' time goes on: each tick counts once, as what the processor did.

#![cfg(not(feature = "loom"))]

mod common;

use common::{advance, cpu, go_to, model_on, offline, online};
use dispatch::idle_time::{Times, times};
use machine::{MayFault, time};

fn of(index: usize) -> Times {
    times(cpu(index), time::now())
}

/// Where so many ticks have gone, on each of two processors.
fn gained(ticks: u64) -> [Times; 2] {
    let before = [of(0), of(1)];
    advance(ticks);
    let after = [of(0), of(1)];
    core::array::from_fn(|index| {
        let (before, after) = (before[index], after[index]);
        assert_eq!(after.sum() - before.sum(), ticks);
        Times {
            busy: after.busy - before.busy,
            idle: after.idle - before.idle,
            off_line: after.off_line - before.off_line,
        }
    })
}

const NONE: Times = Times { busy: 0, idle: 0, off_line: 0 };

#[test]
fn a_processor_with_a_thread_is_busy_and_the_other_idles() {
    model_on(2, |may_fault: &mut MayFault| {
        let first = go_to(0, may_fault);
        assert_eq!(gained(100), [Times { busy: 100, ..NONE }, Times { idle: 100, ..NONE }]);
        drop(first);
        let _second = go_to(1, may_fault);
        assert_eq!(gained(7), [Times { idle: 7, ..NONE }, Times { busy: 7, ..NONE }]);
    });
}

#[test]
fn a_processor_is_off_line_from_its_going_until_it_comes_back() {
    model_on(2, |may_fault: &mut MayFault| {
        let _here = go_to(0, may_fault);
        assert_eq!(offline(1, false, may_fault), Ok(()));
        assert_eq!(gained(50), [Times { busy: 50, ..NONE }, Times { off_line: 50, ..NONE }]);
        online(1, may_fault);
        assert_eq!(gained(20), [Times { busy: 20, ..NONE }, Times { idle: 20, ..NONE }]);
    });
}
