//! Threads that park, wake each other, yield and start others, on one to four virtual processors: all come to their
//! end, and nobody is run twice at a time. A lost wake-up is a deadlock, which every flavour finds.

#![cfg(not(feature = "loom"))]

mod common;

use common::Step::{Outlast, Park, ParkBriefly, Spawn, Unpark, Yield};
use common::{World, model};

#[test]
fn two_play_ping_pong() {
    for processors in common::FEWEST..=3 {
        model(move || {
            let threads: &[&[_]] = &[
                &[Spawn(2), Unpark(2), Park, Unpark(2), Park, Unpark(2), Park],
                &[Park, Unpark(1), Park, Unpark(1), Park, Unpark(1)],
            ];
            World::new(processors, threads).run();
        });
    }
}

#[test]
fn one_starts_many_and_all_yield() {
    for processors in common::FEWEST..=3 {
        model(move || {
            let threads: &[&[_]] = &[
                &[Spawn(2), Spawn(3), Spawn(4), Yield, Yield],
                &[Yield, Spawn(5), Yield],
                &[Yield, Yield, Yield],
                &[Spawn(6), Yield],
                &[Yield],
                &[Yield, Unpark(1)],
            ];
            World::new(processors, threads).run();
        });
    }
}

#[test]
fn a_ring_wakes_its_neighbours() {
    for processors in common::FEWEST..=4 {
        model(move || {
            let threads: &[&[_]] = &[
                &[Spawn(2), Spawn(3), Spawn(4), Unpark(2), Park],
                &[Park, Unpark(3)],
                &[Park, Unpark(4), ParkBriefly],
                &[Park, Yield, Unpark(1), ParkBriefly],
            ];
            World::new(processors, threads).run();
        });
    }
}

#[test]
fn who_starts_work_while_all_others_fall_asleep_is_helped() {
    model(|| {
        let threads: &[&[_]] = &[
            &[Spawn(2), Spawn(3), Park],
            &[Yield, Yield, Spawn(4)],
            &[Yield, Yield, Park],
            &[Unpark(3), Unpark(1)],
        ];
        World::new(3, threads).run();
    });
}

#[test]
fn nobody_idles_while_a_thread_can_run() {
    model(|| {
        let threads: &[&[_]] = &[
            &[Spawn(2), Spawn(3), Outlast(3), Spawn(4), Outlast(4)],
            &[Yield, Yield],
            &[Yield],
            &[],
        ];
        World::new(3, threads).run();
    });
}
