//! Two virtual processors, and a thread that is made ready while one of them falls asleep: every interleaving with few
//! preemptions, and every outcome of the memory order. A wake-up that is lost is a deadlock.

#![cfg(feature = "loom")]

mod common;

use common::Step::{Outlast, Park, Spawn, Unpark};
use common::{World, model};

#[test]
fn who_is_started_while_another_processor_falls_asleep_runs() {
    model(|| World::new(2, &[&[Spawn(2), Outlast(2)], &[]]).run());
}

#[test]
fn an_unpark_meets_a_park() {
    model(|| World::new(2, &[&[Spawn(2), Park], &[Unpark(1)]]).run());
}
